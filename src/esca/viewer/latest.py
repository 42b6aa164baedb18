"""What keeps the page quick: a box for the latest wish alone, and sliding measurements."""

import statistics
import time
from collections import deque
from threading import Condition
from typing import Generic, TypeVar

T = TypeVar("T")


class Latest(Generic[T]):
    """Holds one value. A new one displaces one that nobody took: what is stale is never worked on.

    ``dropped`` counts those. Any thread may put and take.
    """

    def __init__(self) -> None:
        self._condition = Condition()
        self._values: list[T] = []
        self.dropped = 0

    def put(self, value: T) -> None:
        """Leave a value."""
        with self._condition:
            self.dropped += len(self._values)
            self._values = [value]
            self._condition.notify()

    def take(self, timeout: float) -> T | None:
        """The value, once; None if there is none within ``timeout`` seconds."""
        with self._condition:
            self._condition.wait_for(lambda: bool(self._values), timeout)
            return self._values.pop() if self._values else None


class Recent:
    """The last ``count`` durations in milliseconds."""

    def __init__(self, count: int = 30) -> None:
        self._values: deque[float] = deque(maxlen=count)

    def add(self, milliseconds: float) -> None:
        """Remember one more."""
        self._values.append(milliseconds)

    @property
    def median(self) -> float | None:
        """Of what is remembered; None at first."""
        return statistics.median(self._values) if self._values else None


class Rate:
    """Events a second over the last ``window`` seconds; ``total`` counts all."""

    def __init__(self, window: float = 2.0) -> None:
        self.total = 0
        self._window = window
        self._times: deque[float] = deque()

    def add(self, now: float | None = None) -> None:
        """One event, now or at a given time of ``time.monotonic``."""
        self.total += 1
        self._times.append(time.monotonic() if now is None else now)

    def value(self, now: float | None = None) -> float:
        """Events a second; 0 once the window holds fewer than two."""
        now = time.monotonic() if now is None else now
        while self._times and self._times[0] < now - self._window:
            self._times.popleft()
        if len(self._times) < 2:
            return 0.0
        return (len(self._times) - 1) / max(self._times[-1] - self._times[0], 1e-9)
