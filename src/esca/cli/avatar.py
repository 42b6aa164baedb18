"""``esca avatar``: look at a checkpoint and convert it."""

from pathlib import Path
from typing import Annotated

import typer

from esca.avatars import load_avatar, save_avatar
from esca.cli.console import Json, emit, say

app = typer.Typer(no_args_is_help=True, help="Look at a checkpoint, or convert it.")


@app.command("show")
def show(
    checkpoint: Annotated[Path, typer.Argument(help="A .pth or .safetensors checkpoint.")],
    as_json: Json = False,
) -> None:
    """Say what a checkpoint holds; everything is read from its names and shapes.

    JSON keys: `variant texture latent vertices cameras parameters decoder_parameters`.
    """
    avatar = load_avatar(checkpoint)
    facts = {
        "variant": avatar.variant,
        "texture": avatar.texture_size,
        "latent": avatar.latent,
        "vertices": avatar.vertex_values // 3,
        "cameras": avatar.camera_count,
        "parameters": sum(value.numel() for value in avatar.parameters()),
        "decoder_parameters": sum(value.numel() for value in avatar.decoder.parameters()),
    }
    emit(facts, as_json)
    for name, value in facts.items():
        say(f"{name.replace('_', ' '):20} {value}", as_json)


@app.command("convert")
def convert(
    checkpoint: Annotated[Path, typer.Argument(help="A .pth or .safetensors checkpoint.")],
    target: Annotated[Path, typer.Argument(help="File to write; its suffix says the format.")],
    half: Annotated[bool, typer.Option("--half", help="Store 16-bit floats.")] = False,
    as_json: Json = False,
) -> None:
    """Write a checkpoint in another format, in the public names. JSON keys: `path bytes`."""
    save_avatar(load_avatar(checkpoint), target, half)
    size = target.stat().st_size
    emit({"path": str(target), "bytes": size}, as_json)
    say(f"Wrote {target}, {size / 1e6:.2f} MB.", as_json)
