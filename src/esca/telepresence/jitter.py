"""The jitter buffer: packets that arrive in any order leave in the order of their slots."""

from typing import Generic, Literal, TypeVar

from esca.errors import EscaError

T = TypeVar("T")

Verdict = Literal["kept", "late", "twice", "early"]


class JitterBuffer(Generic[T]):
    """Items by slot (the number of the display frame that they belong to), at most ``capacity``.

    Not synchronized: threads that share one hold a lock.
    """

    def __init__(self, capacity: int) -> None:
        if capacity < 1:
            raise EscaError(f"jitter buffer: capacity is {capacity}, expected 1 or more")
        self._capacity = capacity
        self._items: dict[int, T] = {}
        self._next: int | None = None

    def __len__(self) -> int:
        return len(self._items)

    def push(self, slot: int, item: T) -> Verdict:
        """Keep an item, unless its slot was played, is taken, or lies too far ahead.

        Before anything was played the oldest item makes room for a newer one.
        """
        if self._next is not None:
            if slot < self._next:
                return "late"
            if slot >= self._next + self._capacity:
                return "early"
        if slot in self._items:
            return "twice"
        if len(self._items) >= self._capacity:
            if slot < min(self._items):
                return "late"
            del self._items[min(self._items)]
        self._items[slot] = item
        return "kept"

    def pop(self, slot: int) -> tuple[T | None, int]:
        """The item of ``slot``, if it is there, and how many older ones were dropped as stale.

        Nothing up to ``slot`` is taken any more. Slots are popped in rising order.
        """
        if self._next is not None and slot < self._next:
            raise EscaError(f"jitter buffer: slot {slot} was played, expected {self._next} or more")
        item = self._items.pop(slot, None)
        stale = [old for old in self._items if old < slot]
        for old in stale:
            del self._items[old]
        self._next = slot + 1
        return item, len(stale)
