"""When each frame is shown: the sender's clock carried to ours, plus a delay that hides jitter."""

from collections import deque
from dataclasses import dataclass

import numpy as np

from esca.errors import EscaError

_REMEMBERED = 512
_RECKONED_EVERY = 16


@dataclass(frozen=True)
class PlayoutConfig:
    """``delay_ms``: fixed delay behind the fastest packet, or None to follow the jitter.

    An adaptive delay covers the share ``covered`` of the packets of the last ``window_s`` seconds
    plus ``guard_ms``, within ``least_ms`` and ``most_ms``. It moves by at most ``slew`` of a period
    from one frame to the next, so that playing faster or slower does not show.
    """

    delay_ms: float | None = None
    covered: float = 0.98
    window_s: float = 3.0
    guard_ms: float = 3.0
    least_ms: float = 5.0
    most_ms: float = 150.0
    slew: float = 0.1

    def __post_init__(self) -> None:
        if self.delay_ms is not None and self.delay_ms < 0:
            raise EscaError(f"delay_ms: {self.delay_ms}, expected 0 or more")
        if not 0 < self.covered <= 1:
            raise EscaError(f"covered: {self.covered}, expected above 0 to 1")
        if not 0 <= self.least_ms <= self.most_ms:
            raise EscaError(f"least_ms: {self.least_ms}, expected 0 to most_ms ({self.most_ms})")
        if not 0 < self.slew < 1:
            raise EscaError(f"slew: {self.slew}, expected between 0 and 1")


class PlayoutClock:
    """Slots of ``period_s`` seconds on the sender's clock, and when they are due on ours.

    All times in seconds on a monotonic clock. The difference of the two clocks is only known
    together with the network's shortest delay, which is all that playing needs. A sliding window
    follows clocks that drift apart.
    """

    def __init__(self, period_s: float, config: PlayoutConfig) -> None:
        if period_s <= 0:
            raise EscaError(f"period: {period_s} s, expected above 0")
        self.period_s = period_s
        self._config = config
        self._transits: deque[tuple[float, float]] = deque(maxlen=_REMEMBERED)
        self._first: float | None = None
        self._target = 0.0
        self._behind = 0.0
        self._seen = 0

    @property
    def started(self) -> bool:
        """Whether a frame was ever observed."""
        return self._first is not None

    @property
    def delay_s(self) -> float:
        """How far playing is behind the fastest packet of the window."""
        return self._behind - self._fastest() if self._transits else 0.0

    def observe(self, captured_s: float, arrived_s: float) -> int:
        """Take note of an arrival; returns the frame's slot, 0 for the first one's."""
        if self._first is None:
            self._first = captured_s
        self._transits.append((arrived_s, arrived_s - captured_s))
        self._seen += 1
        if self._seen == 1:
            initial = self._config.delay_ms
            least = self._config.least_ms if initial is None else initial
            self._target = self._behind = arrived_s - captured_s + least / 1e3
        elif self._seen % _RECKONED_EVERY == 0:
            self._target = self._reckoned(arrived_s)
        return round((captured_s - self._first) / self.period_s)

    def due(self, slot: int) -> float:
        """Our time at which a slot is to be shown."""
        assert self._first is not None
        return self._first + slot * self.period_s + self._behind

    def slot_at(self, now: float) -> int:
        """The newest slot that is due."""
        assert self._first is not None
        return int(np.floor((now - self._behind - self._first) / self.period_s))

    def advance(self) -> None:
        """A frame was played: move towards the wanted delay, by a fraction of a period."""
        most = self._config.slew * self.period_s
        self._behind += float(np.clip(self._target - self._behind, -most, most))

    def _fastest(self) -> float:
        return min(transit for _, transit in self._transits)

    def _reckoned(self, now: float) -> float:
        while self._transits and self._transits[0][0] < now - self._config.window_s:
            self._transits.popleft()
        fastest = self._fastest()
        if self._config.delay_ms is not None:
            return fastest + self._config.delay_ms / 1e3
        transits = np.array([transit for _, transit in self._transits]) - fastest
        delay = float(np.quantile(transits, self._config.covered)) * 1e3 + self._config.guard_ms
        return fastest + min(max(delay, self._config.least_ms), self._config.most_ms) / 1e3
