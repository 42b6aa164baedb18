"""Beyond calibration: stronger codes, held-out expressions and other light."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from esca.captures.layout import AVERAGE, FrameId, SampleId
from esca.captures.reader import Capture
from esca.errors import EscaError
from esca.evaluation.clips import Clip, Clips, Segment
from esca.evaluation.evaluate import FP32
from esca.evaluation.metrics import psnr
from esca.evaluation.table import aligned, decibels, finite
from esca.evaluation.vdp import jod
from esca.evaluation.videos import FloatDecoder, Method, render_videos
from esca.quantization.calibration import encode_each
from esca.runtime.artifact import Artifact
from esca.runtime.integer import IntegerDecoder
from esca.runtime.saturation import Saturation, SaturationWarning, WatchedDecoder, saturated

FACTORS = (1.0, 1.25, 1.5, 2.0)
"""By which calibration codes are moved away from their mean."""

LIGHTS: Mapping[str, tuple[float, float, float]] = {
    "light × 0.7": (0.7, 0.7, 0.7),
    "light × 1.4": (1.4, 1.4, 1.4),
    "warm light": (1.2, 1.0, 0.8),
    "cool light": (0.8, 1.0, 1.2),
}
"""Gains of the raw red, green and blue of held-out textures before they are encoded."""

HELD_OUT = "held-out"


@dataclass(frozen=True, eq=False)
class Shift:
    """Codes that are not those of calibration: a segment that holds them, without references."""

    name: str
    segment: Segment


@dataclass(frozen=True)
class ShiftRow:
    """One method under one shift; scores are means over the views.

    ``vdp_fp32`` (JOD) and ``psnr_fp32`` (dB, on the pixels that fp32 covers): against the fp32
    avatar's rendering of the same codes. ``inputs``, ``layers``: share of the values clamped in the
    input and in the layer output that clamp most; ``worst``: that layer. ``warned``: whether the
    runtime warns of it.
    """

    shift: str
    method: str
    bits: str
    vdp_fp32: float
    psnr_fp32: float
    inputs: float
    layers: float
    worst: str
    warned: bool


@dataclass(frozen=True, eq=False)
class RelitCapture(Capture):
    """A capture whose textures were lit otherwise.

    ``gains``: factors of raw red, green and blue; values end at 255 as in a camera, and texels that
    were seen (not 0) stay seen.
    """

    gains: tuple[float, float, float]

    def texture(self, frame: FrameId | SampleId, camera: str = AVERAGE) -> NDArray[np.uint8]:
        """See :meth:`esca.captures.Capture.texture`."""
        own = super().texture(frame, camera)
        lit = np.clip(np.rint(own * np.asarray(self.gains, np.float32)), 1, 255)
        return np.where(own == 0, 0, lit).astype(np.uint8)


def relit(capture: Capture, gains: tuple[float, float, float]) -> RelitCapture:
    """The same capture under other light."""
    return RelitCapture(
        **{field.name: getattr(capture, field.name) for field in fields(Capture)}, gains=gains
    )


def calibration_codes(capture: Capture, clips: Clips, artifact: Artifact) -> Tensor:
    """(N, L) codes of the frames that the artifact was calibrated on."""
    frames = [SampleId(*name.split("/")).frame_id for name in artifact.provenance["frames"]]
    return encode_each(clips.avatar, capture, frames)


def make_shifts(
    capture: Capture, clips: Clips, codes: Tensor, frames: int = 8, views: int = 1
) -> tuple[Shift, ...]:
    """Scaled calibration codes, held-out codes and held-out codes under other light.

    ``codes``: (N, L) of calibration. All of them with poses, cameras and directions of the first
    held-out segment, at most ``frames`` of its frames from the middle and ``views`` views. Scaled
    codes are spread evenly over the calibration frames, so one expression follows another.
    """
    segment = _part(clips.segments[0], frames, views)
    count = len(segment.frames)
    if codes.dim() != 2 or codes.shape[1] != segment.codes.shape[1] or not len(codes):
        raise EscaError(
            f"shifts: calibration codes of shape {tuple(codes.shape)}, "
            f"expected (N, {segment.codes.shape[1]})"
        )
    picked = codes[torch.linspace(0, len(codes) - 1, count).round().long()]
    mean = codes.mean(0)
    made = [
        Shift(f"calibration × {factor:g}", replace(segment, codes=mean + factor * (picked - mean)))
        for factor in FACTORS
    ]
    made.append(Shift(HELD_OUT, segment))
    for name, gains in LIGHTS.items():
        other = relit(capture, gains)
        lit = encode_each(clips.avatar, other, segment.frames)
        made.append(Shift(name, replace(segment, codes=lit)))
    return tuple(made)


def evaluate_shifts(
    artifacts: Sequence[Artifact],
    clips: Clips,
    shifts: Sequence[Shift],
    progress: Callable[[int, int], None] | None = None,
) -> tuple[ShiftRow, ...]:
    """Every artifact under every shift, shift by shift; ``progress`` counts rows."""
    rows: list[ShiftRow] = []
    decoders = [IntegerDecoder(artifact.quantized) for artifact in artifacts]
    for shift in shifts:
        fp32 = Method(FP32, FP32, 0, FloatDecoder(clips.avatar))
        ideals = render_videos(fp32, shift.segment, clips)
        for artifact, decoder in zip(artifacts, decoders, strict=True):
            recipe, calibrated = artifact.quantized.recipe, artifact.provenance.get("clamped", {})
            watched = WatchedDecoder(decoder, calibrated)
            method = Method(recipe.name, recipe.label, 0, watched)
            with warnings.catch_warnings():
                # The rows say it.
                warnings.simplefilter("ignore", SaturationWarning)
                videos = render_videos(method, shift.segment, clips)
            display = (clips.protocol.display, clips.protocol.fps, clips.protocol.foveated)
            pairs = list(zip(videos, ideals, strict=True))
            scores = [
                (jod(own, ideal, *display), psnr(own, ideal, ideal.max(3) > 0))
                for own, ideal in pairs
            ]
            inputs, layers = _worst(watched, artifact)
            graph = artifact.quantized.graph
            rows.append(
                ShiftRow(
                    shift.name,
                    method.name,
                    method.bits,
                    sum(score[0] for score in scores) / len(scores),
                    sum(score[1] for score in scores) / len(scores),
                    inputs.share,
                    layers.share,
                    layers.name,
                    bool(saturated(watched.found, calibrated, graph)),
                )
            )
            if progress:
                progress(len(rows), len(shifts) * len(artifacts))
    return tuple(rows)


def shifts_json(rows: Sequence[ShiftRow]) -> list[dict[str, Any]]:
    """Plain data for ``json.dumps``: a row's fields, ``psnr_fp32`` null without any error."""
    return [finite(asdict(row)) for row in rows]


def shifts_text(rows: Sequence[ShiftRow]) -> str:
    """An aligned table, a line for each shift and method; scores are against fp32."""
    head = ["shift", "method", "bits", "vdp", "psnr", "inputs clamped", "layers clamped", "warned"]
    lines = [
        [
            *(row.shift, row.method, row.bits, f"{row.vdp_fp32:.3f}", decibels(row.psnr_fp32)),
            *(f"{row.inputs:.2%}", f"{row.layers:.2%}", "yes" if row.warned else "no"),
        ]
        for row in rows
    ]
    return aligned([head, *lines], names=3)


def _worst(watched: WatchedDecoder, artifact: Artifact) -> tuple[Saturation, Saturation]:
    """The input and the layer output that clamp most."""
    names = {node.name for node in artifact.quantized.graph.inputs}

    def most(of_inputs: bool) -> Saturation:
        chosen = [found for name, found in watched.found.items() if (name in names) is of_inputs]
        return max(chosen, key=lambda found: found.share)

    return most(True), most(False)


def _part(segment: Segment, frames: int, views: int) -> Segment:
    """At most ``frames`` frames from the segment's middle, and its first views, no references."""
    first = max(0, (len(segment.frames) - frames) // 2)
    part = slice(first, first + frames)

    def clip(whole: Clip) -> Clip:
        directions, mask = whole.directions[part], whole.mask[part]
        return replace(whole, directions=directions, mask=mask, reference=None)

    return Segment(
        segment.name,
        segment.frames[part],
        segment.codes[part],
        segment.transforms[part],
        tuple(clip(whole) for whole in segment.clips[:views]),
    )
