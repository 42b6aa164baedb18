"""Counters, percentiles and rates of a running call, in bounded memory."""

from collections import deque
from collections.abc import Iterable

import numpy as np

KEPT = 200_000
"""Samples kept of one quantity: half an hour at 100 Hz."""


class Samples:
    """The last values of a quantity."""

    def __init__(self) -> None:
        self._values: deque[float] = deque(maxlen=KEPT)

    def add(self, value: float) -> None:
        """One more value."""
        self._values.append(value)

    @property
    def values(self) -> list[float]:
        """All that are kept, oldest first."""
        return list(self._values)


def percentiles(values: Iterable[float]) -> dict[str, float | None]:
    """``p50``, ``p95`` and ``p99``, rounded to a thousandth; None without any values."""
    known = np.fromiter(values, float)
    return {
        f"p{share}": round(float(np.percentile(known, share)), 3) if known.size else None
        for share in (50, 95, 99)
    }
