"""What each layer's bits cost in the rendered picture, one layer at a time."""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from esca.captures import Capture
from esca.captures.splits import split_segments
from esca.errors import EscaError
from esca.evaluation import Clips, Decoder, FloatDecoder, Method, Protocol, render_videos
from esca.evaluation.metrics import PEAK, Video, psnr
from esca.evaluation.vdp import jod
from esca.quantization import Calibration, Recipe
from esca.quantization.budget import CHOICES, Unit, overrides_of, units
from esca.quantization.recipe import Bits, recipe_data
from esca.quantization.stages import quantize_calibrated
from esca.runtime.integer import IntegerDecoder
from esca.study.store import Store, run_key

Progress = Callable[[int, int], None]
FULL = CHOICES[-1]


@dataclass(frozen=True)
class Loss:
    """A rendering against the fp32 avatar's, over all views and segments.

    ``mse``: grey levels squared on the head's pixels. ``jod``: mean FovVideoVDP over the clips.
    """

    mse: float
    jod: float

    @property
    def psnr(self) -> float:
        """dB, infinite without any error."""
        return 10 * math.log10(PEAK**2 / self.mse) if self.mse else math.inf


@dataclass(frozen=True)
class Sensitivity:
    """``base``: all units at 8 bits. ``alone[unit][bits]``: only that unit at these bits."""

    base: Loss
    alone: dict[Unit, dict[Bits, Loss]]

    def added(self, unit: Unit, bits: Bits) -> float:
        """Mean squared error that a unit's bits add; never negative."""
        return max(0.0, self.alone[unit][bits].mse - self.base.mse)


def validation_segments(capture: Capture, count: int) -> tuple[str, ...]:
    """Training segments, evenly spread: what is judged while bits are chosen, never the tests."""
    training, held_out = split_segments(capture)
    tests = {frame.segment for frame in held_out}
    names = list(dict.fromkeys(frame.segment for frame in training))
    names = [name for name in names if not any(test.startswith(name) for test in tests)]
    if not names:
        raise EscaError(f"{capture.root}: no training segment to choose bits on")
    places = np.linspace(0, len(names) - 1, min(count, len(names)))
    return tuple(names[round(place)] for place in places)


def validation_protocol(protocol: Protocol) -> Protocol:
    """The same pictures against the fp32 rendering, without regions."""
    return replace(protocol, reference="fp32", regions=())


class Judge:
    """Renders decoders over clips; the fp32 videos are rendered once."""

    def __init__(self, clips: Clips) -> None:
        self.clips = clips
        self.ideal = [
            video for videos in self._videos(FloatDecoder(clips.avatar)) for video in videos
        ]

    def _videos(self, decoder: Decoder) -> list[list[Video]]:
        method = Method("probe", "", 0, decoder)
        return [render_videos(method, segment, self.clips) for segment in self.clips.segments]

    def loss(self, decoder: Decoder) -> Loss:
        """How far a decoder's pictures are from the fp32 avatar's."""
        protocol = self.clips.protocol
        clips = [clip for segment in self.clips.segments for clip in segment.clips]
        videos = [video for part in self._videos(decoder) for video in part]
        errors, scores = [], []
        for video, ideal, clip in zip(videos, self.ideal, clips, strict=True):
            errors.append(PEAK**2 / 10 ** (psnr(video, ideal, clip.mask) / 10))
            scores.append(jod(video, ideal, protocol.display, protocol.fps, protocol.foveated))
        return Loss(float(np.mean(errors)), float(np.mean(scores)))


def with_choice(recipe: Recipe, chosen: dict[Unit, Bits]) -> Recipe:
    """The recipe with these bits; what else its overrides say stays."""
    return replace(recipe, overrides=(*recipe.overrides, *overrides_of(chosen, recipe)))


def probed(recipe: Recipe) -> Recipe:
    """The recipe without what learns: a probe is to take seconds."""
    return replace(recipe, reconstruction=None, distill=None)


def sensitivity(
    calibration: Calibration,
    recipe: Recipe,
    judge: Judge,
    store: Store,
    identity: dict[str, Any],
    choices: Sequence[Bits] = CHOICES,
    progress: Progress | None = None,
) -> Sensitivity:
    """Render with one unit at few bits and all others at 8; stored, so that a second start goes on.

    The measure is the mean squared error of the rendering: noise of different layers is nearly
    independent, so errors add up, and additivity is what an exact allocation needs. On the
    embedded subject the sums were within 6% of the errors really measured. JOD is kept beside it;
    there its summed losses were 1.6 times the loss of all layers together.
    ``identity``: hashes of whatever else decides the result.
    """
    found = units(calibration.graph, recipe)
    everywhere = {unit: unit.effective(FULL) for unit in found}
    probes: list[tuple[Unit | None, Bits]] = [(None, FULL)]
    probes += [(unit, bits) for unit in found for bits in dict.fromkeys(choices) if bits != FULL]
    losses = {}
    for number, (unit, bits) in enumerate(probes):
        chosen = everywhere | ({} if unit is None else {unit: bits})
        losses[unit, bits] = stored_loss(
            calibration, with_choice(probed(recipe), chosen), judge, store, identity
        )
        if progress:
            progress(number + 1, len(probes))
    base = losses[None, FULL]
    alone = {unit: {b: losses.get((unit, b), base) for b in choices} for unit in found}
    return Sensitivity(base, alone)


def stored_loss(
    calibration: Calibration, recipe: Recipe, judge: Judge, store: Store, identity: dict[str, Any]
) -> Loss:
    """The loss of a recipe's integers, from the store where it is there."""
    data = {name: value for name, value in recipe_data(recipe).items() if name != "name"}
    config = {k: v for k, v in asdict(calibration.config).items() if k != "regions"}
    key = run_key(identity | {"recipe": data, "calibration": config, "kind": "validation"})
    if not store.has(key):
        quantized = quantize_calibrated(calibration, recipe).quantized
        loss = judge.loss(IntegerDecoder(quantized))
        store.save(key, {"mse": loss.mse, "jod": loss.jod, "recipe": data})
    known = store.load(key)
    return Loss(float(known["mse"]), float(known["jod"]))
