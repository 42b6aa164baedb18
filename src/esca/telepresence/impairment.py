"""A bad network, on purpose and from a seed: what it does to each datagram."""

import random
from collections import Counter, deque
from dataclasses import dataclass

from esca.errors import EscaError

HELD_BACK = 0.025
"""Seconds that a reordered datagram comes later: two or three others overtake it at 100 Hz."""

_REMEMBERED = 256


@dataclass(frozen=True)
class ImpairmentConfig:
    """Shares of the datagrams, in [0, 1].

    ``loss`` are lost, ``reorder`` held back, ``duplicate`` sent twice; beside the share ``garbage``
    something that is none of ours is sent. Every datagram is delayed by 0 to ``jitter_ms``, drawn
    evenly.
    """

    loss: float = 0.0
    jitter_ms: float = 0.0
    reorder: float = 0.0
    duplicate: float = 0.0
    garbage: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("loss", "reorder", "duplicate", "garbage"):
            if not 0 <= getattr(self, name) <= 1:
                raise EscaError(f"{name}: {getattr(self, name)}, expected a share from 0 to 1")
        if not 0 <= self.jitter_ms <= 1000:
            raise EscaError(f"jitter_ms: {self.jitter_ms}, expected 0 to 1000")

    @property
    def any(self) -> bool:
        """Whether anything is impaired at all."""
        return any((self.loss, self.jitter_ms, self.reorder, self.duplicate, self.garbage))


class Impairment:
    """One direction of a bad network. ``counts``: taken, lost, reordered, duplicated, garbage."""

    def __init__(self, config: ImpairmentConfig, direction: int) -> None:
        self._config = config
        self._random = random.Random(config.seed * 2 + direction)
        self._before: deque[bytes] = deque(maxlen=_REMEMBERED)
        self.counts: Counter[str] = Counter()

    def passed(self, datagram: bytes) -> list[tuple[float, bytes]]:
        """(delay in seconds, datagram) of everything that arrives instead of ``datagram``."""
        config, draw = self._config, self._random.random
        self.counts["taken"] += 1
        arriving = []
        if draw() < config.loss:
            self.counts["lost"] += 1
        else:
            arriving.append((self._delay(), datagram))
            if draw() < config.duplicate:
                self.counts["duplicated"] += 1
                arriving.append((self._delay(), datagram))
        if draw() < config.garbage:
            self.counts["garbage"] += 1
            arriving.append((self._delay(), self._garbage(datagram)))
        self._before.append(datagram)
        return arriving

    def _delay(self) -> float:
        delay = self._random.random() * self._config.jitter_ms / 1e3
        if self._random.random() < self._config.reorder:
            self.counts["reordered"] += 1
            delay += HELD_BACK
        return delay

    def _garbage(self, datagram: bytes) -> bytes:
        """Noise, a damaged or shortened copy, or an old datagram once more."""
        match self._random.randrange(4):
            case 0:
                return self._random.randbytes(self._random.randrange(0, 400))
            case 1:
                damaged = bytearray(datagram)
                damaged[self._random.randrange(len(damaged))] ^= 1 << self._random.randrange(8)
                return bytes(damaged)
            case 2:
                return datagram[: self._random.randrange(len(datagram))]
            case _:
                return self._random.choice(self._before) if self._before else b""
