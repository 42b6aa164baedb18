"""A queue that never makes its producer wait."""

import queue
from typing import Generic, TypeVar

T = TypeVar("T")

POLL = 0.02
"""Seconds after which a waiting thread looks whether the call is over."""


class DroppingQueue(Generic[T]):
    """A queue of at most ``size`` items, in which a new one displaces the oldest."""

    def __init__(self, size: int) -> None:
        self._items: queue.Queue[T] = queue.Queue(size)

    def put(self, item: T) -> None:
        """Add an item; there is one producer."""
        while True:
            try:
                self._items.put_nowait(item)
                return
            except queue.Full:
                try:
                    self._items.get_nowait()
                except queue.Empty:
                    continue

    def get(self, timeout: float) -> T | None:
        """The oldest item; None if none came within ``timeout`` seconds."""
        try:
            return self._items.get(timeout=timeout)
        except queue.Empty:
            return None
