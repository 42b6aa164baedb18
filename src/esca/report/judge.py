"""Score artifacts and show the result: evaluation and page in one go."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

import esca
from esca.avatars import load_avatar
from esca.captures import Capture, open_capture
from esca.captures.layout import SampleId
from esca.evaluation import Clips, Method, Protocol, Row, evaluate, method_of, prepare_clips
from esca.evaluation.clips import Clip, Segment, as_display
from esca.evaluation.findings import FailureFinder, find_checkerboards
from esca.evaluation.metrics import Video
from esca.evaluation.shift import ShiftRow, calibration_codes, evaluate_shifts, make_shifts
from esca.files import sha256
from esca.quantization.calibration import (
    CalibrationConfig,
    calibration_visibility,
    decoder_graph,
    texel_maps,
)
from esca.report.gather import Gallery, avatar_facts, capture_facts, details_of, parameter_bytes
from esca.report.inputs import Label, ReportInputs, TexelMaps
from esca.report.page import build_report
from esca.runtime.artifact import Artifact, load_artifact

Progress = Callable[[int, int], None]
LAYER_FRAMES = 4
"""Frames over which the errors of single layers are measured."""


def judge(
    capture_folder: Path,
    checkpoint: Path,
    artifacts: Sequence[Path],
    protocol: Protocol,
    page: Path,
    *,
    title: str,
    date: str,
    regions: Path | None = None,
    shift_frames: int = 0,
    progress: Progress | None = None,
) -> tuple[tuple[Row, ...], Clips]:
    """Render, score and write ``page``; returns the rows and the clips they were scored on.

    The page's video shows fp32 beside the first artifact and the last of the same bits.
    ``shift_frames``: frames a shift for the section on what lies beyond calibration, which is left
    out at 0. ``progress`` counts methods.
    """
    capture, avatar = open_capture(capture_folder), load_avatar(checkpoint)
    loaded = {path: load_artifact(path) for path in artifacts}
    clips = prepare_clips(capture, avatar, protocol)
    methods = [method_of(artifact) for artifact in loaded.values()]
    labels = [Label(method.name, method.bits) for method in methods]
    view = next(iter(protocol.views))
    alike = [label for label in labels if label.bits == labels[0].bits]
    gallery = Gallery(view, list(dict.fromkeys((alike[0], alike[-1]))), round(protocol.fps))
    finder = FailureFinder()

    def look(method: Method, segment: Segment, clip: Clip, video: Video) -> None:
        gallery(method, segment, clip, video)
        finder(method, segment, clip, video)

    rows = evaluate(methods, clips, progress, look)
    graph = decoder_graph(avatar)
    segment = clips.segments[0]
    some = slice(0, LAYER_FRAMES)
    feeds = {"z": segment.codes[some], "view": segment.clips[0].directions[some]}
    inputs = ReportInputs(
        title=title,
        capture=capture_facts(capture),
        avatar=avatar_facts(avatar, checkpoint),
        protocol=clips.protocol.describe(),
        rows=rows,
        views=gallery.views,
        clip=gallery.clip,
        findings=(*finder.findings, *find_checkerboards(methods, clips)),
        shifts=_shifts(capture, clips, list(loaded.values()), shift_frames),
        maps=_maps(capture, list(loaded.values())[-1], regions),
        details=[
            details_of(artifact, graph, feeds, sha256(path)) for path, artifact in loaded.items()
        ],
        fp32_parts=parameter_bytes(graph),
        provenance=_provenance(list(loaded.values())[-1].provenance),
        date=date,
    )
    build_report(inputs, page)
    return rows, clips


def _shifts(
    capture: Capture, clips: Clips, artifacts: Sequence[Artifact], frames: int
) -> tuple[ShiftRow, ...]:
    if not frames:
        return ()
    codes = calibration_codes(capture, clips, artifacts[-1])
    return evaluate_shifts(artifacts, clips, make_shifts(capture, clips, codes, frames))


def _maps(capture: Capture, artifact: Artifact, regions: Path | None) -> TexelMaps:
    """The maps that calibration used, made again from the frames that the artifact names."""
    samples = tuple(SampleId(*name.split("/")) for name in artifact.provenance["frames"])
    config = CalibrationConfig(frames=len(samples), regions=regions)
    visibility = calibration_visibility(capture, samples, config)
    maps = texel_maps(capture, visibility, config)
    assert maps.face is not None and maps.weight is not None
    return TexelMaps(
        mean_texture=as_display(capture.texture_mean),
        visibility=visibility.numpy(),
        face=maps.face.numpy(),
        weight=maps.weight.numpy(),
    )


def _provenance(facts: Mapping[str, object]) -> dict[str, str]:
    frames = facts["frames"]
    assert isinstance(frames, list)
    return {
        "Checkpoint": str(facts["checkpoint"]),
        "Capture": str(facts["capture"]),
        "Calibration frames": str(len(frames)),
        "Seed": str(facts["seed"]),
        "esca": esca.__version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "FovVideoVDP": "pyfvvdp, CC BY-NC 4.0: results are for non-commercial use",
    }
