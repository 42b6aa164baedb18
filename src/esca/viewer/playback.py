"""Playing a segment: where it stands is a function of the clock, so no thread has to advance it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from torch import Tensor

from esca.errors import EscaError

FRAME_RATE = 30.0
"""Frames a second at which captures are numbered."""

LONGEST_GAP = 10
"""Frame numbers: longer gaps between two recorded frames are shortened to this."""


@dataclass(frozen=True)
class Playback:
    """A segment's recorded frames and a place in it.

    ``times``: seconds of each frame, rising from 0. ``start``: place in seconds at the time
    ``since``; None while it stands still. ``speed``: 1 is as recorded. At the end it begins again.
    """

    times: tuple[float, ...]
    start: float = 0.0
    since: float | None = None
    speed: float = 1.0

    def __post_init__(self) -> None:
        rising = all(a < b for a, b in pairwise(self.times))
        if not self.times or self.times[0] != 0 or not rising:
            raise EscaError("playback: times must rise from 0")
        if not self.speed > 0:
            raise EscaError(f"speed: {self.speed}, expected above 0")

    @property
    def playing(self) -> bool:
        """Whether it moves."""
        return self.since is not None

    @property
    def last(self) -> int:
        """Number of the last recorded frame."""
        return len(self.times) - 1

    @property
    def length(self) -> float:
        """Seconds of one round; the last frame is shown as long as one at the frame rate."""
        return self.times[-1] + 1 / FRAME_RATE

    def place(self, now: float) -> float:
        """Seconds into the segment at clock time ``now``."""
        if self.since is None:
            return self.start
        return (self.start + (now - self.since) * self.speed) % self.length

    def frame(self, now: float) -> int:
        """The recorded frame at or before that place."""
        place = self.place(now)
        return max(index for index, time in enumerate(self.times) if time <= place)

    def toggled(self, now: float) -> "Playback":
        """Playing instead of paused, or the other way round, at the same place."""
        return replace(self, start=self.place(now), since=None if self.playing else now)

    def at_speed(self, speed: float, now: float) -> "Playback":
        """The same place, from now on at another speed."""
        since = now if self.playing else None
        return replace(self, start=self.place(now), since=since, speed=speed)

    def sought(self, frame: int) -> "Playback":
        """Paused at a recorded frame; EscaError if there is no such frame."""
        if not 0 <= frame < len(self.times):
            raise EscaError(f"frame: {frame}, expected 0 to {len(self.times) - 1}")
        return replace(self, start=self.times[frame], since=None)

    def code(self, codes: Tensor, now: float) -> Tensor:
        """(L,) of codes (F, L): between two recorded frames the codes are interpolated."""
        left = self.frame(now)
        if left == self.last:
            return codes[left]
        gap = self.times[left + 1] - self.times[left]
        part = (self.place(now) - self.times[left]) / gap
        return torch.lerp(codes[left], codes[left + 1], part)


def frame_times(numbers: Sequence[int]) -> tuple[float, ...]:
    """Seconds of recorded frames by their rising numbers, long gaps shortened."""
    times = [0.0]
    for before, after in pairwise(numbers):
        times.append(times[-1] + min(max(after - before, 1), LONGEST_GAP) / FRAME_RATE)
    return tuple(times)
