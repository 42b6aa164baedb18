"""The options that make a protocol, shared by every command that scores."""

from collections.abc import Sequence
from typing import Annotated

import typer

from esca.errors import EscaError
from esca.evaluation.protocol import VIEWS, Protocol
from esca.evaluation.protocol import Reference as Kind

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
) -> Protocol:
    """The protocol that the options ask for."""
    return Protocol(
        views=_views(view),
        scale=scale,
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
