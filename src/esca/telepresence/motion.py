"""A capture's recorded frames as a motion that can be asked at any time."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from esca.captures.layout import FrameId
from esca.captures.reader import Capture
from esca.errors import EscaError

FRAMES_PER_SECOND = 30.0
"""Rate of a MultiFace capture; frame numbers count it."""

LONGEST_GAP = 0.4
"""Seconds that two neighbouring frames are apart at most: longer gaps, and those between two
segments, become transitions of this length."""


@dataclass(frozen=True, eq=False)
class Motion:
    """Frames of a capture in the order of playing, and the second at which each is passed."""

    frames: tuple[FrameId, ...]
    seconds: NDArray[np.float64]

    @property
    def length(self) -> float:
        """Seconds from the first frame to the last."""
        return float(self.seconds[-1])

    def at(self, time: float) -> tuple[int, float]:
        """Index of the frame before ``time`` and the share of the next one, forth and back."""
        if self.length == 0:
            return 0, 0.0
        folded = abs((time + self.length) % (2 * self.length) - self.length)
        index = int(np.searchsorted(self.seconds, folded, side="right")) - 1
        index = min(index, len(self.frames) - 2)
        low, high = self.seconds[index : index + 2]
        return index, float(min((folded - low) / (high - low), 1.0))


def motion_of(capture: Capture, segments: Sequence[str] | None = None) -> Motion:
    """The motion of a capture's segments (prefixes of their names; default: all), by frame number.

    Only frames that have an average texture take part. EscaError if there is none.
    """
    samples = capture.samples(segments=segments)
    frames = tuple(dict.fromkeys(sample.frame_id for sample in samples))
    if not frames:
        which = "" if segments is None else f" of segments {' '.join(segments)}*"
        raise EscaError(f"{capture.root}: no frames{which} with textures, expected some to play")
    gaps = [0.0]
    for before, after in pairwise(frames):
        number = (int(after.frame) - int(before.frame)) / FRAMES_PER_SECOND
        same = before.segment == after.segment
        gaps.append(min(number, LONGEST_GAP) if same else LONGEST_GAP)
    return Motion(frames, np.cumsum(gaps))
