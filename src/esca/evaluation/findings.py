"""The worst spot of each failure and method, cut out while videos are scored."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from esca.evaluation.clips import Clip, Clips, Segment, as_display
from esca.evaluation.failures import PATCH, TILE, checkerboard, detail_loss, worst_flicker
from esca.evaluation.metrics import Video, changes
from esca.evaluation.videos import FloatDecoder, Method
from esca.rendering.visibility import uv_visibility

DETAILED = ("eyes", "mouth")
"""Regions in which lost detail is looked for."""

TEXTURES = 2
"""Frames whose textures are searched for checkerboards."""

PERIODS = (2, 4)

HOLE = 3
"""Texels around a pixel's point that count as seen: pixels may be coarser than texels."""


@dataclass(frozen=True, eq=False)
class Finding:
    """Where one method fails most in one way.

    ``failure``: key of ``FAILURES``, whose unit ``amount`` has. ``where``: for people. ``fp32``,
    ``shown``: (h, w, 3) uint8 crops. ``error``: (h, w) grey levels, what the detector saw: the
    difference of the pictures, for flicker that of their changes from the frame before.
    """

    failure: str
    method: str
    bits: str
    where: str
    amount: float
    fp32: Video
    shown: Video
    error: NDArray[np.floating]


@dataclass
class FailureFinder:
    """Looks for flicker and blur: hand it to ``evaluate`` as ``on_video``."""

    found: dict[tuple[str, str, str], Finding] = field(default_factory=dict, init=False)
    _segment: str = field(default="", init=False)
    _fp32: dict[str, Video] = field(default_factory=dict, init=False)

    def __call__(self, method: Method, segment: Segment, clip: Clip, video: Video) -> None:
        """One rendered video, those of fp32 before all others of the segment."""
        if segment.name != self._segment:
            self._segment, self._fp32 = segment.name, {}
        ideal = self._fp32.setdefault(clip.view, video)
        if ideal is video:
            return
        self._flicker(method, segment, clip, video, ideal)
        for region in DETAILED:
            if region in clip.boxes:
                self._blur(method, segment, clip, video, ideal, region)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The worst of each failure, method by method."""
        return tuple(self.found.values())

    def _flicker(
        self, method: Method, segment: Segment, clip: Clip, video: Video, ideal: Video
    ) -> None:
        spot = worst_flicker(video, ideal, clip.mask)
        if not self._is_worse("flicker", method, spot.amount):
            return
        place = slice(spot.row, spot.row + TILE), slice(spot.column, spot.column + TILE)
        pair = slice(spot.frame - 1, spot.frame + 1)
        (change,) = changes(video[pair], ideal[pair])
        self._keep(
            Finding(
                "flicker",
                method.name,
                method.bits,
                f"{segment.name} {segment.frames[spot.frame].frame}, {clip.view}",
                spot.amount,
                ideal[spot.frame][place].copy(),
                video[spot.frame][place].copy(),
                change[place].max(axis=2).astype(np.float32),
            )
        )

    def _blur(
        self,
        method: Method,
        segment: Segment,
        clip: Clip,
        video: Video,
        ideal: Video,
        region: str,
    ) -> None:
        box = clip.boxes[region].slices
        own, right, mask = video[box], ideal[box], clip.mask[box]
        losses = [
            detail_loss(*frame) if frame[2].any() else 0.0
            for frame in zip(own, right, mask, strict=True)
        ]
        number = int(np.argmax(losses))
        if self._is_worse("blur", method, losses[number]):
            self._keep(
                Finding(
                    "blur",
                    method.name,
                    method.bits,
                    f"{segment.name} {segment.frames[number].frame}, {clip.view}, {region}",
                    losses[number],
                    right[number].copy(),
                    own[number].copy(),
                    _difference(own[number], right[number]),
                )
            )

    def _is_worse(self, failure: str, method: Method, amount: float) -> bool:
        known = self.found.get((failure, method.name, method.bits))
        return amount > (known.amount if known else 0.0)

    def _keep(self, finding: Finding) -> None:
        self.found[finding.failure, finding.method, finding.bits] = finding


def find_checkerboards(methods: Sequence[Method], clips: Clips) -> tuple[Finding, ...]:
    """The patch of each method's texture with the strongest checkerboard, if there is one.

    Looks at TEXTURES frames of the first segment, as its first view colours them, in raw grey
    levels; texels that no view sees do not count, whatever the avatar makes of them.
    """
    segment = clips.segments[0]
    clip = segment.clips[0]
    seen = _seen_texels(clips, segment)[..., None]
    numbers = np.unique(np.linspace(0, len(segment.frames) - 1, TEXTURES).round().astype(int))

    def texture(method: Method, number: int) -> NDArray[np.float32]:
        one = slice(number, number + 1)
        with torch.no_grad():
            made, _ = method.decoder.decode(segment.codes[one], clip.directions[one])
        return next(clips.pictures(made.float(), clip.camera_index))

    worst: dict[tuple[str, str], Finding] = {}
    for number in numbers.tolist():
        ideal = texture(Method("fp32", "fp32", 0, FloatDecoder(clips.avatar)), number)
        for method in methods:
            own, label = texture(method, number), (method.name, method.bits)
            for period in PERIODS:
                strength = checkerboard((own - ideal) * seen, period)
                row, column = np.unravel_index(int(strength.argmax()), strength.shape)
                amount = float(strength[row, column])
                if amount <= (worst[label].amount if label in worst else 0.0):
                    continue
                place = tuple(slice(PATCH // 2 * i, PATCH // 2 * i + PATCH) for i in (row, column))
                fp32, shown = (as_display(t[place][::-1]) for t in (ideal, own))
                worst[label] = Finding(
                    "checkerboard",
                    method.name,
                    method.bits,
                    f"texture of {segment.name} {segment.frames[number].frame}, {clip.view}, "
                    f"period {period}",
                    amount,
                    fp32,
                    shown,
                    np.abs(own - ideal)[place].max(axis=2)[::-1],
                )
    return tuple(worst.values())


def _seen_texels(clips: Clips, segment: Segment) -> NDArray[np.bool_]:
    """(T, T): texels that the segment's views see in its middle frame, holes between pixels closed.

    The mesh is that of the fp32 avatar.
    """
    middle = len(segment.frames) // 2
    one = slice(middle, middle + 1)
    with torch.no_grad():
        decoder = FloatDecoder(clips.avatar)
        _, mesh = decoder.decode(segment.codes[one], segment.clips[0].directions[one])
    counts = uv_visibility(
        [(clips.meshes(mesh)[0], segment.transforms[middle])],
        clips.topology,
        [clip.camera for clip in segment.clips],
        clips.avatar.texture_size,
    )
    hit = torch.from_numpy(counts > 0).float()[None]
    seen: NDArray[np.bool_] = functional.max_pool2d(hit, 2 * HOLE + 1, 1, HOLE)[0].numpy() > 0
    return seen


def _difference(test: Video, reference: Video) -> NDArray[np.float32]:
    return np.abs(test.astype(np.float32) - reference).max(axis=2)
