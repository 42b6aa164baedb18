"""``esca evaluate``: artifacts scored as a person would see them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from esca.avatars import load_avatar
from esca.captures.reader import open_capture
from esca.cli.console import Json, emit, out, progress, say
from esca.evaluation.evaluate import evaluate
from esca.evaluation.methods import method_of
from esca.evaluation.prepare import prepare_clips
from esca.evaluation.protocol import VIEWS, Protocol, Reference
from esca.evaluation.table import as_json as table_json
from esca.evaluation.table import as_text
from esca.report.compare import write_json
from esca.runtime.artifact import load_artifact

View = Annotated[
    list[str] | None,
    typer.Option(help="NAME=CAMERA; repeat. Default: front, left and right of the v1 rig."),
]
Scale = Annotated[float, typer.Option(help="Size of the pictures against the photos'.")]
Clip = Annotated[int, typer.Option(help="Most frames of each held-out segment.")]
Display = Annotated[str, typer.Option(help="FovVideoVDP display model.")]
Foveated = Annotated[bool, typer.Option("--foveated", help="Foveated, gaze at the middle.")]


def evaluate_command(
    capture: Annotated[Path, typer.Argument(help="Capture with held-out segments.")],
    avatar: Annotated[Path, typer.Argument(help="Checkpoint of the fp32 avatar.")],
    artifacts: Annotated[list[Path], typer.Argument(help="Artifacts to score.")],
    results: Annotated[
        Path | None, typer.Option("--out", help="Also write the JSON document here.")
    ] = None,
    view: View = None,
    scale: Scale = 0.5,
    frames: Clip = 48,
    reference: Annotated[Reference, typer.Option(help="What counts as ground truth.")] = "auto",
    display: Display = "standard_fhd",
    foveated: Foveated = False,
    as_json: Json = False,
) -> None:
    """Render and score artifacts against the fp32 avatar and the ground truth.

    FovVideoVDP is CC BY-NC 4.0: for research, not for commercial use. JSON keys: `protocol`
    (settings and `description`) and `rows`, each `method bits view bytes vdp vdp_fp32 psnr
    psnr_fp32 ssim flicker regions`; a view named `mean` holds the means.
    """
    protocol = Protocol(
        views=views_of(view),
        scale=scale,
        frames=frames,
        reference=reference,
        display=display,
        foveated=foveated,
    )
    methods = [method_of(load_artifact(path)) for path in artifacts]
    with progress("Preparing clips") as update:
        clips = prepare_clips(open_capture(capture), load_avatar(avatar), protocol, progress=update)
    with progress("Scoring") as update:
        rows = evaluate(methods, clips, update)
    data = table_json(rows, clips.protocol)
    if results is not None:
        write_json(data, results)
    emit(data, as_json)
    if not as_json:
        out.print(as_text(rows, clips.protocol), highlight=False, markup=False)
    if results is not None:
        say(f"Wrote {results}.", as_json)


def views_of(options: Sequence[str] | None) -> dict[str, str]:
    """``NAME=CAMERA`` options as a mapping."""
    if not options:
        return dict(VIEWS)
    views = {}
    for option in options:
        name, mark, camera = option.partition("=")
        if not (name and mark and camera):
            raise typer.BadParameter(f"{option!r}: expected NAME=CAMERA", param_hint="--view")
        views[name] = camera
    return views
