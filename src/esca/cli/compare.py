"""``esca compare``: every recipe in one table and on one page."""

import datetime
from pathlib import Path
from typing import Annotated

import typer

from esca.cli.console import Json, emit, out, progress, say
from esca.cli.protocol import (
    CalibrationFrames,
    Display,
    Foveated,
    Frames,
    Reference,
    Regions,
    Scale,
    Seed,
    View,
    protocol_of,
)
from esca.evaluation import as_json as table_json
from esca.evaluation import as_text
from esca.quantization import CalibrationConfig, load_recipe
from esca.quantization.recipe import QUICK
from esca.report.compare import compare


def compare_command(
    capture: Annotated[Path, typer.Argument(help="Capture: calibration and held-out segments.")],
    avatar: Annotated[Path, typer.Argument(help="Checkpoint of the fp32 avatar.")],
    folder: Annotated[Path, typer.Option("--out", help="Folder for artifacts, scores and page.")],
    recipe: Annotated[
        list[str] | None,
        typer.Option(help=f"Recipe name or YAML file; repeat; default {', '.join(QUICK)}."),
    ] = None,
    bits: Annotated[list[str] | None, typer.Option(help="Repeat; default w4a4 and w8a8.")] = None,
    calibration_frames: CalibrationFrames = 64,
    regions: Regions = None,
    seed: Seed = 0,
    view: View = None,
    scale: Scale = 0.5,
    frames: Frames = 48,
    reference: Reference = "auto",
    display: Display = "standard_fhd",
    foveated: Foveated = False,
    as_json: Json = False,
) -> None:
    """Calibrate once, quantize by every recipe, score all, and write the report.

    Leaves `artifacts/`, `results.json` and `report.html` in the folder. JSON keys: those of
    `esca evaluate`.
    """
    labels = bits or ["w4a4", "w8a8"]
    recipes = [load_recipe(name, label) for label in labels for name in recipe or QUICK]
    protocol = protocol_of(view, scale, frames, reference, display, foveated)
    rows, clips = compare(
        capture,
        avatar,
        folder,
        recipes,
        CalibrationConfig(frames=calibration_frames, seed=seed, regions=regions),
        protocol,
        progress,
        title=f"Recipes on {capture.resolve().name}",
        date=datetime.date.today().isoformat(),
    )
    emit(table_json(rows, clips.protocol), as_json)
    if not as_json:
        out.print(as_text(rows, clips.protocol), highlight=False, markup=False)
    say(f"Scores: {folder / 'results.json'}. Report: {folder / 'report.html'}", as_json)
