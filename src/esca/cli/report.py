"""``esca report``: score artifacts and show the result on one page."""

import datetime
from pathlib import Path
from typing import Annotated

import typer

from esca.cli.console import Json, emit, out, progress, say
from esca.cli.protocol import (
    Display,
    Foveated,
    Frames,
    Reference,
    Regions,
    Scale,
    View,
    protocol_of,
)
from esca.evaluation.table import as_json as table_json
from esca.evaluation.table import as_text
from esca.files import write_json
from esca.report.judge import judge


def report_command(
    capture: Annotated[Path, typer.Argument(help="Capture with held-out segments.")],
    avatar: Annotated[Path, typer.Argument(help="Checkpoint of the fp32 avatar.")],
    artifacts: Annotated[list[Path], typer.Argument(help="Artifacts to show.")],
    page: Annotated[Path, typer.Option("--out", help="Page to write.")] = Path("report.html"),
    results: Annotated[
        Path | None, typer.Option(help="Also write the scores here, as JSON.")
    ] = None,
    title: Annotated[str, typer.Option(help="Title of the page.")] = "Quantized codec avatar",
    regions: Regions = None,
    view: View = None,
    scale: Scale = 0.5,
    frames: Frames = 48,
    reference: Reference = "auto",
    display: Display = "standard_fhd",
    foveated: Foveated = False,
    shifts: Annotated[
        int, typer.Option(help="Frames of each shift beyond calibration; 0 leaves them out.")
    ] = 0,
    as_json: Json = False,
) -> None:
    """Score artifacts and write one self-contained HTML page.

    JSON keys: `path` and those of `esca evaluate`.
    """
    protocol = protocol_of(view, scale, frames, reference, display, foveated)
    with progress("Scoring") as update:
        rows, clips = judge(
            capture,
            avatar,
            artifacts,
            protocol,
            page,
            title=title,
            date=datetime.date.today().isoformat(),
            regions=regions,
            shift_frames=shifts,
            progress=update,
        )
    data = table_json(rows, clips.protocol)
    if results is not None:
        write_json(data, results)
    emit({"path": str(page), **data}, as_json)
    if not as_json:
        out.print(as_text(rows, clips.protocol), highlight=False, markup=False)
    say(f"Wrote {page}.", as_json)
