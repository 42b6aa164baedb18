"""``esca compile``: an artifact becomes a program of the accelerator."""

from pathlib import Path
from typing import Annotated

import typer

from esca.accelerator.compiler import compile_program
from esca.accelerator.config import config_hash, load_config, preset_names
from esca.accelerator.program import program_text, save_program
from esca.cli.console import Json, emit, say
from esca.files import written_beside
from esca.runtime import load_artifact


def compile_command(
    artifact: Annotated[Path, typer.Argument(help="Artifact of `esca quantize`.")],
    out: Annotated[Path, typer.Option(help="Program file to write.")],
    preset: Annotated[
        str, typer.Option(help=f"{', '.join(preset_names())}, or a YAML file.")
    ] = "esca-16x16",
    part: Annotated[str, typer.Option(help="decoder or texture.")] = "decoder",
    text: Annotated[
        Path | None, typer.Option(help="Write the program here as text, for people.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Compile for one configuration. JSON keys: `config config_sha256 instructions image_bytes`."""
    config = load_config(preset)
    program = compile_program(load_artifact(artifact).quantized, config, artifact.name, part)
    save_program(program, out)
    if text is not None:
        with written_beside(text) as beside:
            beside.write_text(program_text(program), encoding="utf-8")
    said = {
        "config": config.name,
        "config_sha256": config_hash(config),
        "instructions": len(program.instructions),
        "image_bytes": len(program.image),
    }
    emit(said, as_json)
    say(
        f"{out}: {said['instructions']:,} instructions for {config.name}, "
        f"{said['image_bytes']:,} bytes of weights and texel biases",
        as_json,
    )
