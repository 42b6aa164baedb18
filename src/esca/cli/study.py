"""``esca study``: ablations and rivals as one resumable command."""

import datetime
from pathlib import Path
from typing import Annotated, get_args

import typer

from esca.captures.layout import Layout
from esca.cli.console import Json, emit, progress, say
from esca.cli.protocol import (
    CalibrationFrames,
    Crop,
    Display,
    Foveated,
    Frames,
    Reference,
    Regions,
    Scale,
    View,
    protocol_of,
)
from esca.errors import EscaError
from esca.quantization.calibration import CalibrationConfig
from esca.study import StudyConfig, Subject, SweepName, load_study, run_study, write_study


def study_command(
    folder: Annotated[Path, typer.Option("--out", help="Folder of rows, tables and page.")],
    capture: Annotated[Path | None, typer.Argument(help="Capture to look at.")] = None,
    avatar: Annotated[Path | None, typer.Argument(help="Checkpoint of its avatar.")] = None,
    file: Annotated[
        Path | None,
        typer.Option(help="YAML study file, for several subjects; then no other settings."),
    ] = None,
    sweep: Annotated[
        list[str] | None,
        typer.Option(help=f"{', '.join(get_args(SweepName))}; repeat. Default: all."),
    ] = None,
    points: Annotated[
        str | None, typer.Option(help="Values of k, alpha or frames, such as 0,50,75.")
    ] = None,
    recipe: Annotated[
        list[str] | None, typer.Option(help="Rivals: names or YAML files; repeat. Default: all.")
    ] = None,
    base: Annotated[str, typer.Option(help="Recipe that the ablations start from.")] = "ffas-uv",
    bits: Annotated[list[str] | None, typer.Option(help="Repeat. Default: w4a4.")] = None,
    seed: Annotated[list[int] | None, typer.Option(help="Repeat. Default: 0, 1, 2.")] = None,
    calibration_frames: CalibrationFrames = 64,
    regions: Regions = None,
    crop: Crop = "head",
    view: View = None,
    scale: Scale = 0.5,
    frames: Frames = 48,
    reference: Reference = "auto",
    display: Display = "standard_fhd",
    foveated: Foveated = False,
    as_json: Json = False,
) -> None:
    """Run sweeps over recipes, subjects and seeds, and write a page of results.

    Leaves `study.html`, `study.md`, `figures/`, `results.jsonl` (a line a run and view) and `rows/`
    (a file a run). A second start skips the runs that are done. JSON keys: `runs page results`.
    """
    values = _numbers(points)
    if file is not None:
        if capture is not None or sweep or recipe or bits or seed:
            raise EscaError("--file: expected no other settings beside the study file's")
        study = load_study(file)
    else:
        if capture is None or avatar is None:
            raise EscaError("study: expected CAPTURE and AVATAR, or --file STUDY.yaml")
        protocol = protocol_of(view, scale, frames, reference, display, foveated, crop)
        name = Layout(capture).subject
        study = StudyConfig(
            subjects=(Subject(name, capture, avatar, regions),),
            sweeps=_sweeps(sweep),
            base=base,
            recipes=tuple(recipe or ()),
            bits=tuple(bits or ("w4a4",)),
            seeds=tuple(seed or (0, 1, 2)),
            calibration=CalibrationConfig(frames=calibration_frames),
            protocol=protocol,
            title=f"Study of {name}",
        )
    with progress("Runs") as update:
        results = run_study(study, folder, update, values)
    page = write_study(study, results, folder, datetime.date.today().isoformat())
    done = len({result.run.key for result in results})
    emit({"runs": done, "page": str(page), "results": str(folder / "results.jsonl")}, as_json)
    say(f"{done} runs. Page: {page}. Rows: {folder / 'results.jsonl'}.", as_json)


def _numbers(text: str | None) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(",")) if text else ()
    except ValueError as error:
        raise EscaError(f"--points: {text!r}, expected numbers such as 0,50,75") from error


def _sweeps(names: list[str] | None) -> tuple[SweepName, ...]:
    known: tuple[SweepName, ...] = get_args(SweepName)
    for name in names or ():
        if name not in known:
            raise EscaError(f"--sweep: {name!r}, expected one of {', '.join(known)}")
    return tuple(name for name in known if not names or name in names)
