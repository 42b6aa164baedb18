"""``esca demo``: the whole line on the subject that comes with esca."""

import datetime
import time
from pathlib import Path
from typing import Annotated

import typer

from esca.cli.console import Json, emit, out, progress, say
from esca.demo import demo_avatar, record_demo
from esca.evaluation import Protocol, as_text
from esca.evaluation import as_json as table_json
from esca.quantization import CalibrationConfig, load_recipe
from esca.report.compare import compare

BITS = ("w4a4", "w8a8")
RECIPES = ("rtn", "gptq", "icas", "uv", "icas-uv", "ffas-uv")


def demo_command(
    folder: Annotated[Path, typer.Option("--out", help="Folder for everything.")] = Path(
        "runs/demo"
    ),
    frames: Annotated[int, typer.Option(help="Frames to record, held-out ones included.")] = 50,
    frames_scored: Annotated[int, typer.Option(help="Most scored frames a segment.")] = 5,
    scale: Annotated[float, typer.Option(help="Size of the scored pictures.")] = 0.25,
    as_json: Json = False,
) -> None:
    """Record, quantize by six recipes at 4 and 8 bits, score, and write the report.

    Leaves `results.json`, `report.html`, the capture and the artifacts in the folder. JSON keys:
    those of `esca evaluate`, and `report seconds`.
    """
    began = time.perf_counter()
    checkpoint = demo_avatar()
    with progress("Recording the subject") as update:
        root = record_demo(folder, frames, progress=update)
    rows, clips = compare(
        root,
        checkpoint,
        folder,
        [load_recipe(name, bits) for bits in BITS for name in RECIPES],
        CalibrationConfig(),
        Protocol(scale=scale, crop="face", frames=frames_scored),
        progress,
        title="The embedded subject, six recipes",
        date=datetime.date.today().isoformat(),
    )
    page, results = folder / "report.html", folder / "results.json"
    seconds = round(time.perf_counter() - began, 1)
    emit({**table_json(rows, clips.protocol), "report": str(page), "seconds": seconds}, as_json)
    if not as_json:
        out.print(as_text(rows, clips.protocol), highlight=False, markup=False)
    say(f"{seconds:.0f} s. Scores: {results}. Report: {page}", as_json)
