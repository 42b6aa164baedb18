"""The weight buffer: a ring in which parts of layers follow each other in order of first use."""

from collections import deque
from dataclasses import dataclass

Key = tuple[int, int, int]
"""Layer, pass and tile of outputs."""

_BURST_BYTES = 4096


@dataclass
class _Part:
    bytes: int
    keys: list[Key]
    loaded: int = -1
    last_use: int = -1


class WeightRing:
    """Which parts are at hand, and whose place a new one takes. ``head``: where it begins.

    A part is a burst of weights; the oldest leaves first. A part that has left and is needed again
    is loaded again, and its bytes count again.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity, self.head = capacity, 0
        self._parts: deque[_Part] = deque()
        self._at_hand: dict[Key, _Part] = {}
        self._used = 0

    def job_of(self, key: Key) -> int | None:
        """The job that loaded a key's weights, None where they are not at hand."""
        part = self._at_hand.get(key)
        return None if part is None else part.loaded

    def use(self, key: Key, job: int) -> None:
        """Note that ``job`` reads a key's weights."""
        self._at_hand[key].last_use = job

    def burst(self, key: Key, sizes: dict[tuple[int, int], int]) -> tuple[list[Key], int]:
        """Keys, from ``key`` on, that are worth one transfer, and their bytes."""
        keys: list[Key] = []
        total = 0
        order = list(sizes)
        for part in order[order.index(key[1:]) :]:
            one = (key[0], *part)
            over = total + sizes[part] > self.capacity
            if keys and (total >= _BURST_BYTES or over or one in self._at_hand):
                break
            keys.append(one)
            total += sizes[part]
        return keys, total

    def make_room(self, size: int) -> list[int]:
        """Drop the oldest parts until ``size`` bytes fit; the last jobs that read them."""
        readers = []
        while self._used + size > self.capacity:
            old = self._parts.popleft()
            self._used -= old.bytes
            for key in old.keys:
                if self._at_hand.get(key) is old:
                    del self._at_hand[key]
            if old.last_use >= 0:
                readers.append(old.last_use)
        return readers

    def put(self, keys: list[Key], size: int, job: int) -> None:
        """Enter a part that ``job`` loads, after :meth:`make_room`."""
        part = _Part(size, keys, job)
        self._parts.append(part)
        self._used += size
        self.head = (self.head + size) % self.capacity
        self._at_hand.update(dict.fromkeys(keys, part))
