"""Options of calibration and of an evaluation protocol, for all commands that take them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from esca.errors import EscaError
from esca.evaluation.protocol import VIEWS, Protocol
from esca.evaluation.protocol import Crop as Shown
from esca.evaluation.protocol import Reference as Kind

CalibrationFrames = Annotated[int, typer.Option(help="Calibration frames.")]
Seed = Annotated[int, typer.Option(help="Seed of the choice of cameras.")]
Regions = Annotated[
    Path | None, typer.Option(help="Folder of region masks, if the capture has none.")
]
Crop = Annotated[Shown, typer.Option(help="What the pictures show.")]
View = Annotated[
    list[str] | None,
    typer.Option(help="NAME=CAMERA; repeat. Default: front, left and right of the v1 rig."),
]
Scale = Annotated[float, typer.Option(help="Size of the pictures against the photos'.")]
Frames = Annotated[int, typer.Option(help="Most frames of each held-out segment.")]
Reference = Annotated[Kind, typer.Option(help="What counts as ground truth.")]
Display = Annotated[str, typer.Option(help="FovVideoVDP display model.")]
Foveated = Annotated[bool, typer.Option("--foveated", help="Foveated, gaze at the middle.")]


def protocol_of(
    view: Sequence[str] | None,
    scale: float,
    frames: int,
    reference: Kind,
    display: str,
    foveated: bool,
    crop: Shown = "head",
) -> Protocol:
    """The protocol that the options ask for."""
    return Protocol(
        views=_views(view),
        scale=scale,
        crop=crop,
        frames=frames,
        reference=reference,
        display=display,
        foveated=foveated,
    )


def _views(options: Sequence[str] | None) -> dict[str, str]:
    """``NAME=CAMERA`` options as a mapping; EscaError for one of another form."""
    if not options:
        return dict(VIEWS)
    views = {}
    for option in options:
        name, mark, camera = option.partition("=")
        if not (name and mark and camera):
            raise EscaError(f"--view: {option!r}, expected NAME=CAMERA")
        views[name] = camera
    return views
