"""``esca evaluate``: artifacts scored as a person would see them."""

from pathlib import Path
from typing import Annotated

import typer

from esca.avatars import load_avatar
from esca.captures.reader import open_capture
from esca.cli.console import Json, emit, out, progress, say
from esca.cli.protocol import Display, Foveated, Frames, Reference, Scale, View, protocol_of
from esca.evaluation.evaluate import evaluate
from esca.evaluation.methods import method_of
from esca.evaluation.prepare import prepare_clips
from esca.evaluation.table import as_json as table_json
from esca.evaluation.table import as_text
from esca.files import write_json
from esca.runtime.artifact import load_artifact


def evaluate_command(
    capture: Annotated[Path, typer.Argument(help="Capture with held-out segments.")],
    avatar: Annotated[Path, typer.Argument(help="Checkpoint of the fp32 avatar.")],
    artifacts: Annotated[list[Path], typer.Argument(help="Artifacts to score.")],
    results: Annotated[
        Path | None, typer.Option("--out", help="Also write the JSON document here.")
    ] = None,
    view: View = None,
    scale: Scale = 0.5,
    frames: Frames = 48,
    reference: Reference = "auto",
    display: Display = "standard_fhd",
    foveated: Foveated = False,
    as_json: Json = False,
) -> None:
    """Render and score artifacts against the fp32 avatar and the ground truth.

    FovVideoVDP is CC BY-NC 4.0: for research, not for commercial use. JSON keys: `protocol`
    (settings and `description`) and `rows`, each `method bits view bytes vdp vdp_fp32 psnr
    psnr_fp32 ssim flicker regions`; a view named `mean` holds the means.
    """
    protocol = protocol_of(view, scale, frames, reference, display, foveated)
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
