"""Recorded frames as a motion."""

import numpy as np
import pytest

from esca.captures.layout import FrameId
from esca.telepresence.motion import Motion

FRAMES = tuple(FrameId("A", f"{number:06d}") for number in range(4))


def test_motion_goes_forth_and_back() -> None:
    motion = Motion(FRAMES, np.array([0.0, 1.0, 1.5, 3.0]))
    for time, index, share in (
        (0.0, 0, 0.0), (0.25, 0, 0.25), (1.25, 1, 0.5), (2.25, 2, 0.5), (3.0, 2, 1.0),
        (3.75, 2, 0.5), (5.75, 0, 0.25), (6.0, 0, 0.0), (6.25, 0, 0.25),
    ):  # fmt: skip
        assert motion.at(time) == (index, pytest.approx(share))


def test_one_frame_stands_still() -> None:
    assert Motion(FRAMES[:1], np.zeros(1)).at(7.0) == (0, 0.0)
