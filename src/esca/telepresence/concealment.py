"""What to show when a code is missing."""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from esca.errors import EscaError

Mode = Literal["hold", "extrapolate"]
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class ConcealmentConfig:
    """``hold`` repeats the last code; ``extrapolate`` lets its motion go on and decay.

    ``decay``: factor of the motion from one missing frame to the next, in [0, 1).
    """

    mode: Mode = "extrapolate"
    decay: float = 0.7

    def __post_init__(self) -> None:
        if self.mode not in get_args(Mode):
            raise EscaError(f"conceal: {self.mode!r}, expected {' or '.join(get_args(Mode))}")
        if not 0 <= self.decay < 1:
            raise EscaError(f"decay: {self.decay}, expected 0 to below 1")


class Concealer:
    """Remembers the last two codes (L,) that really came."""

    def __init__(self, config: ConcealmentConfig) -> None:
        self._config = config
        self._last: tuple[int, Floats] | None = None
        self._motion: Floats | None = None

    def came(self, slot: int, code: Floats) -> None:
        """The code of ``slot``; slots rise."""
        if self._last is not None:
            before, last = self._last
            self._motion = (code - last) / np.float32(slot - before)
        self._last = slot, code

    def missing(self, slot: int) -> Floats | None:
        """What stands for the code of ``slot``; None if no code ever came.

        After n missing frames the motion has gone on for ``d + d^2 + ... + d^n`` frames.
        """
        if self._last is None:
            return None
        before, last = self._last
        if self._config.mode == "hold" or self._motion is None:
            return last
        decay = self._config.decay
        frames = decay * (1 - decay ** (slot - before)) / (1 - decay)
        return last + self._motion * np.float32(frames)
