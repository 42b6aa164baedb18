"""Segments: a performance played at 30 frames a second, with blinks and natural head motion.

Everything is a function of the frame number alone (and of the seed), so that frames can be recorded
in any order, on any number of workers, and come out the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from esca.captures.geometry import FloatArray
from esca.errors import EscaError
from esca.subjects.motions import HELD_OUT, TRAINING, Performance, Track
from esca.subjects.rig import rest_transform, rotation_matrix

FRAMES_PER_SECOND = 30.0

_BLINK_CLOSING, _BLINK_OPENING = 0.10, 0.20
"""Seconds that a lid takes to fall and to rise."""


@dataclass(frozen=True)
class Segment:
    """Some frames of a performance. ``frames``: their numbers; ``first``: the number of time 0."""

    performance: Performance
    frames: tuple[int, ...]
    first: int
    seed: int

    @property
    def name(self) -> str:
        """Name of the segment, as in the capture's folders."""
        return self.performance.name

    @property
    def held_out(self) -> bool:
        """Whether the segment is kept for testing."""
        return self.performance.held_out

    def weights(self, frame: int) -> dict[str, float]:
        """Expression weights in [0, 1] at a frame number; C1 over time."""
        time = (frame - self.first) / FRAMES_PER_SECOND
        weights: dict[str, float] = {}
        for index, track in enumerate(self.performance.tracks):
            for name, weight in _track_weights(track, time, [self.seed, index]).items():
                weights[name] = weights.get(name, 0.0) + weight
        weights = {name: min(weight, 1.0) for name, weight in weights.items() if weight > 0.0}
        if self.performance.blinks:
            closed = _blink(time, self.seed)
            for name in ("eyeBlink_L", "eyeBlink_R"):
                weights[name] = 1.0 - (1.0 - weights.get(name, 0.0)) * (1.0 - closed)
        return weights

    def transform(self, frame: int) -> FloatArray:
        """(3, 4) head-to-world ``[R|t]`` at a frame number, mm: a few degrees and mm of sway."""
        time = (frame - self.first) / FRAMES_PER_SECOND
        rng = np.random.default_rng([self.seed, 7])
        rate = rng.uniform(0.12, 0.55, (2, 6))
        phase = rng.uniform(0.0, 2.0 * np.pi, (2, 6))
        wave = np.sin(2.0 * np.pi * rate * time + phase).mean(axis=0) * self.performance.sway
        turn = rotation_matrix(np.radians([2.2, 3.2, 1.2]) * wave[:3])
        shift = np.array([3.0, 2.5, 3.0]) * wave[3:]
        rest = rest_transform()
        return np.hstack(
            [rest[:, :3] @ turn, (rest[:, :3] @ shift + rest[:, 3])[:, None]],
        )


def default_segments(
    frames_total: int, *, held_out: float = 0.2, dropped: float = 0.0, seed: int = 0
) -> tuple[Segment, ...]:
    """All performances, with ``frames_total`` frames between them.

    Training segments are spread thin over their whole motion when few frames are asked for
    (their numbers then have gaps); held-out ones, the share ``held_out``, are recorded without gaps
    so that they play as video. ``dropped``: share of the frames that the simulated cameras then
    lose. Segments left without frames are omitted. Raises EscaError below 8 frames and for shares
    outside [0, 1).
    """
    if frames_total < 8:
        raise EscaError(f"frames: {frames_total!r} asked for; at least 8 are needed")
    for field, share in (("held_out", held_out), ("dropped", dropped)):
        if not 0.0 <= share < 1.0:
            raise EscaError(f"{field}: {share!r} is not a share in [0, 1)")
    testing = round(frames_total * held_out)
    counts = [
        *_shares([item.share for item in TRAINING], frames_total - testing),
        *_shares([item.share for item in HELD_OUT], testing),
    ]
    segments, number = [], 102
    for index, (performance, count) in enumerate(zip(TRAINING + HELD_OUT, counts, strict=True)):
        rng = np.random.default_rng([seed, index])
        length = count if performance.held_out else max(count, _natural_length(performance))
        numbers = number + _spread(count, length)
        kept = numbers[rng.random(count) >= dropped] if count else numbers
        if len(kept):
            segment_seed = int(rng.integers(2**31))
            frames = tuple(int(value) for value in kept)
            segments.append(Segment(performance, frames, number, segment_seed))
        number += length + int(rng.integers(20, 90))
    return tuple(segments)


def _natural_length(performance: Performance) -> int:
    """Frames in which every track has shown every pose once."""
    longest = max(len(track.poses) * track.beat for track in performance.tracks)
    return max(round(longest * FRAMES_PER_SECOND), 30)


def _spread(count: int, length: int) -> np.ndarray:
    """``count`` frame offsets, evenly over ``length`` frames, from the middle of their shares."""
    return ((np.arange(count) + 0.5) * length / max(count, 1)).astype(np.int64)


def _shares(shares: Sequence[float], total: int) -> list[int]:
    """Split ``total`` in proportion to ``shares``, by largest remainder."""
    exact = np.asarray(shares) / np.sum(shares) * total
    counts = np.floor(exact).astype(int)
    order = np.argsort(-(exact - counts), kind="stable")
    counts[order[: total - counts.sum()]] += 1
    return [int(count) for count in counts]


def _smooth(fraction: float) -> float:
    """Smoothstep: 0 to 1 with zero slope at both ends."""
    fraction = min(max(fraction, 0.0), 1.0)
    return fraction * fraction * (3.0 - 2.0 * fraction)


def _track_weights(track: Track, time: float, seed: list[int]) -> dict[str, float]:
    """Blend of the poses before and after ``time``; each showing has its own strength."""
    step = int(np.floor(time / track.beat))
    fraction = (time / track.beat - step - track.hold) / (1.0 - track.hold)
    blend = _smooth(fraction)
    weights: dict[str, float] = {}
    for key, share in ((step, 1.0 - blend), (step + 1, blend)):
        strength = share * _strength(key, seed)
        for name, weight in track.poses[key % len(track.poses)].items():
            weights[name] = weights.get(name, 0.0) + strength * weight
    return weights


def _strength(key: int, seed: list[int]) -> float:
    return float(np.random.default_rng([*seed, 11, abs(key)]).uniform(0.82, 1.0))


def _blink(time: float, seed: int) -> float:
    """How far the lids are closed by a blink, in [0, 1]; one blink every two to four seconds."""
    period = 3.0
    closed = 0.0
    for index in (int(time // period) - 1, int(time // period), int(time // period) + 1):
        rng = np.random.default_rng([seed, 13, abs(index)])
        start = (index + rng.uniform(0.1, 0.75)) * period
        down = _smooth((time - start) / _BLINK_CLOSING)
        up = _smooth((time - start - _BLINK_CLOSING) / _BLINK_OPENING)
        closed = max(closed, down - up)
    return closed
