"""A UDP relay with a bad network inside: the sender talks to it as if it were the receiver."""

import heapq
import select
import socket
import time
from collections.abc import Callable
from itertools import count

from esca.telepresence.impairment import Impairment, ImpairmentConfig
from esca.telepresence.session import LARGEST_DATAGRAM

POLL = 0.02
"""Seconds after which an idle relay looks whether it is stopped."""

MOST_WAITING = 4096
"""Datagrams under way in the relay at most; more are lost."""


class Relay:
    """Carries datagrams between whoever talks to ``address`` and ``receiver``."""

    def __init__(self, receiver: tuple[str, int], config: ImpairmentConfig) -> None:
        self._receiver = receiver
        self._near = _bound()
        self._far = _bound()
        self._forth, self._back = (Impairment(config, direction) for direction in (0, 1))
        self._sender: tuple[str, int] | None = None
        self._waiting: list[tuple[float, int, socket.socket, tuple[str, int], bytes]] = []
        self._number = count()
        self.overflowed = 0

    @property
    def address(self) -> tuple[str, int]:
        """Where senders send to."""
        return self._near.getsockname()

    @property
    def counts(self) -> dict[str, int]:
        """What was done to the datagrams on their way to the receiver."""
        return dict(self._forth.counts) | {"overflowed": self.overflowed}

    def run(self, stopped: Callable[[], bool]) -> None:
        """Relay until ``stopped``."""
        try:
            while not stopped():
                now = time.monotonic()
                wait = self._waiting[0][0] - now if self._waiting else POLL
                wait = min(max(wait, 0), POLL)
                readable, _, _ = select.select([self._near, self._far], [], [], wait)
                for side in readable:
                    self._take(side)
                self._deliver(time.monotonic())
        finally:
            self._near.close()
            self._far.close()

    def _take(self, side: socket.socket) -> None:
        try:
            datagram, address = side.recvfrom(LARGEST_DATAGRAM + 1)
        except (BlockingIOError, ConnectionRefusedError):
            return
        if side is self._near:
            self._sender = address
            path, out, target = self._forth, self._far, self._receiver
        elif self._sender is not None:
            path, out, target = self._back, self._near, self._sender
        else:
            return
        for delay, passed in path.passed(datagram):
            if len(self._waiting) >= MOST_WAITING:
                self.overflowed += 1
                continue
            due = time.monotonic() + delay
            heapq.heappush(self._waiting, (due, next(self._number), out, target, passed))

    def _deliver(self, now: float) -> None:
        while self._waiting and self._waiting[0][0] <= now:
            _, _, out, target, datagram = heapq.heappop(self._waiting)
            try:
                out.sendto(datagram, target)
            except (BlockingIOError, ConnectionRefusedError):
                self.overflowed += 1


def _bound() -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind(("127.0.0.1", 0))
    made.setblocking(False)
    return made
