"""``esca demo``: the whole line on the subject that comes with esca."""

import datetime
import time
from pathlib import Path
from typing import Annotated

import typer

from esca.avatars import load_avatar
from esca.captures.reader import open_capture
from esca.cli.console import Json, emit, out, progress, say
from esca.cli.evaluate import write_json
from esca.demo import demo_avatar, record_demo
from esca.evaluation.protocol import Protocol
from esca.evaluation.table import as_json as table_json
from esca.evaluation.table import as_text
from esca.quantization.calibration import CalibrationConfig, calibrate
from esca.quantization.recipe import load_recipe, recipe_names
from esca.report.judge import judge
from esca.runtime.artifact import quantized_artifact, save_artifact

BITS = ("w4a4", "w8a8")


def demo_command(
    folder: Annotated[Path, typer.Option("--out", help="Folder for everything.")] = Path(
        "runs/demo"
    ),
    frames: Annotated[int, typer.Option(help="Frames to record, held-out ones included.")] = 72,
    scale: Annotated[float, typer.Option(help="Size of the scored pictures.")] = 0.25,
    as_json: Json = False,
) -> None:
    """Record, quantize by every recipe at 4 and 8 bits, score, and write the report.

    Leaves `results.json`, `report.html`, the capture and the artifacts in the folder. JSON keys:
    those of `esca evaluate`, and `report seconds`.
    """
    began = time.perf_counter()
    checkpoint = demo_avatar()
    with progress("Recording the subject") as update:
        root = record_demo(folder, frames, progress=update)
    with progress("Calibrating") as update:
        calibration = calibrate(
            load_avatar(checkpoint), open_capture(root), CalibrationConfig(), update
        )
    jobs = [(name, bits) for bits in BITS for name in recipe_names()]
    artifacts = []
    with progress("Quantizing") as update:
        for done, (name, bits) in enumerate(jobs):
            update(done, len(jobs))
            path = folder / "artifacts" / f"{name}-{bits}.esca"
            recipe = load_recipe(name, bits)
            save_artifact(quantized_artifact(calibration, recipe, checkpoint, root.name), path)
            artifacts.append(path)
    page, results = folder / "report.html", folder / "results.json"
    with progress("Scoring") as update:
        rows, clips = judge(
            root,
            checkpoint,
            artifacts,
            Protocol(scale=scale, frames=16),
            page,
            title="The embedded subject, every recipe",
            date=datetime.date.today().isoformat(),
            progress=update,
        )
    data = table_json(rows, clips.protocol)
    write_json(data, results)
    seconds = round(time.perf_counter() - began, 1)
    emit({**data, "report": str(page), "seconds": seconds}, as_json)
    if not as_json:
        out.print(as_text(rows, clips.protocol), highlight=False, markup=False)
    say(f"{seconds:.0f} s. Scores: {results}. Report: {page}", as_json)
