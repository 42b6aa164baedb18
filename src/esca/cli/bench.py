"""``esca bench``: decoders of every engine side by side."""

import tempfile
from pathlib import Path
from typing import Annotated

import torch
import typer

from esca.avatars import load_avatar
from esca.avatars.config import VARIANTS, AvatarConfig
from esca.cli.console import Json, emit, out, progress, say
from esca.errors import EscaError
from esca.files import write_json, written_beside
from esca.runtime.extra import needed


def bench_command(
    artifacts: Annotated[
        list[Path] | None, typer.Argument(help="Artifacts of one avatar; or give --variant.")
    ] = None,
    avatar: Annotated[Path | None, typer.Option(help="The artifacts' checkpoint.")] = None,
    variant: Annotated[
        str | None, typer.Option(help=f"Random values instead: {', '.join(VARIANTS)}.")
    ] = None,
    texture: Annotated[int, typer.Option(help="With --variant: side of the texture.")] = 1024,
    threads: Annotated[int, typer.Option(help="Threads of every engine.")] = 2,
    rounds: Annotated[int, typer.Option(help="Measurements of each.")] = 20,
    memory: Annotated[
        bool, typer.Option(help="Also measure memory, each in a process of its own.")
    ] = True,
    table: Annotated[
        Path | None, typer.Option("--out", help="Also write NAME.md and NAME.json here.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Time whole decoders in turn: PyTorch, ONNX Runtime and OpenVINO at fp32, W8A8 and W4A4.

    JSON keys: `subject machine part` and `rows`, each `engine bits form device threads ms
    ms_quartiles runs memory_bytes speedup` (against PyTorch fp32 on the CPU).
    """
    given = artifacts or []
    if (variant is None) == (not given) or (avatar is None) != (not given):
        raise EscaError("bench: expected artifacts and their --avatar, or --variant")
    if threads < 1:
        raise EscaError(f"threads: {threads}, expected 1 or more")
    needed("onnx", "export")
    needed("onnxruntime", "export")
    needed("openvino", "openvino")
    # Imported here, since they need what only the extras bring.
    from esca.runtime.backends.bench import measure
    from esca.runtime.backends.prepare import Subject, candidates, random_subject
    from esca.runtime.backends.table import bench_data, bench_text

    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        if avatar is not None:
            subject = Subject(avatar, tuple(given))
        else:
            config = AvatarConfig(variant, texture)  # type: ignore[arg-type]
            subject = random_subject(config, folder)
        loaded = load_avatar(subject.checkpoint)
        name = f"{loaded.variant}{' (random values)' if avatar is None else ''}"
        about = {
            "name": name,
            "texture": loaded.texture_size,
            "latent": loaded.latent,
            "vertices": loaded.vertex_values // 3,
        }
        device = "cuda" if torch.cuda.is_available() else None
        everything = candidates(subject, folder, threads, device)
        with progress("Measuring") as update:
            rows = measure(everything, loaded.latent, rounds, memory, progress=update)
    data, text = bench_data(rows, about), bench_text(rows, about)
    if table is not None:
        write_json(data, table.with_suffix(".json"))
        with written_beside(table.with_suffix(".md")) as beside:
            beside.write_text(f"{text}\n")
        say(f"Wrote {table.with_suffix('.md')} and {table.with_suffix('.json')}.", as_json)
    emit(data, as_json)
    if not as_json:
        out.print(text, highlight=False, markup=False)
