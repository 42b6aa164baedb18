"""``esca gallery``: pictures for a README or a paper."""

from pathlib import Path
from typing import Annotated

import typer

from esca.cli.console import Json, emit, progress, say
from esca.cli.protocol import (
    Crop,
    Frames,
    Reference,
    Scale,
    View,
    protocol_of,
)
from esca.report.gallery import gallery


def gallery_command(
    capture: Annotated[Path, typer.Argument(help="Capture with held-out segments.")],
    avatar: Annotated[Path, typer.Argument(help="Checkpoint of the fp32 avatar.")],
    artifacts: Annotated[list[Path], typer.Argument(help="Artifacts to show.")],
    folder: Annotated[Path, typer.Option("--out", help="Folder of the pictures.")],
    crop: Crop = "head",
    view: View = None,
    scale: Scale = 0.25,
    frames: Frames = 24,
    reference: Reference = "auto",
    as_json: Json = False,
) -> None:
    """Render artifacts beside fp32 into `methods.webp` (with errors) and `talking.webp` (moving).

    JSON keys: `methods talking`.
    """
    protocol = protocol_of(view, scale, frames, reference, "standard_fhd", False, crop)
    with progress("Rendering") as update:
        still, moving = gallery(capture, avatar, artifacts, folder, protocol, update)
    emit({"methods": str(still), "talking": str(moving)}, as_json)
    say(f"Wrote {still} and {moving}.", as_json)
