"""The receiver's protocol and playout: datagrams in, one code for every display frame out."""

from collections import Counter
from dataclasses import dataclass
from threading import Lock

import numpy as np

from esca.errors import EscaError
from esca.telepresence.codec import CodeDecoder, CodeModel, Integers
from esca.telepresence.concealment import Concealer, ConcealmentConfig, Floats
from esca.telepresence.handshake import Listener
from esca.telepresence.jitter import JitterBuffer
from esca.telepresence.packets import Feedback, media
from esca.telepresence.playout import PlayoutClock, PlayoutConfig
from esca.telepresence.session import KNOCK, RejectedError, Session, kind_of

FEEDBACK_EVERY = 0.05
"""Seconds between two feedback packets."""

CAPACITY = 64
"""Frames that wait in the jitter buffer at most."""

JUMP_US = 5_000_000
"""A step of the time stamps by more than this is another clock: playing begins anew."""


@dataclass(frozen=True, eq=False)
class Arrived:
    """A code that was received, and when it was captured on the sender's clock."""

    captured_us: int
    integers: Integers


class ReceivingEnd:
    """The protocol of a receiver without its sockets and clocks; times in seconds, monotonic.

    ``counts``: ``datagrams`` = ``knocks`` + ``media`` + all of ``rejected``; ``media`` = codes
    returned + ``unreferenced`` + ``undecodable``.
    """

    def __init__(self, secret: bytes, model: CodeModel) -> None:
        self._listener = Listener(secret)
        self._model = model
        self._decoder = CodeDecoder(model)
        self._session: Session | None = None
        self._held: int | None = None
        self._told = float("-inf")
        self.counts: Counter[str] = Counter()
        self.rejected: Counter[str] = Counter()

    def receive(self, datagram: bytes) -> tuple[bytes | None, Arrived | None]:
        """What to answer and which code came, if any; what is not ours is counted."""
        self.counts["datagrams"] += 1
        try:
            if kind_of(datagram) == KNOCK:
                hello = self._listener.answer(datagram)
                self.counts["knocks"] += 1
                return hello, None
            session, number, body = self._listener.open(datagram)
        except RejectedError as rejected:
            self.rejected[rejected.reason] += 1
            return None, None
        self.counts["media"] += 1
        if session is not self._session:
            self._session = session
            self._decoder = CodeDecoder(self._model)
            self._held = None
        return None, self._decoded(number, body)

    def _decoded(self, number: int, body: bytes) -> Arrived | None:
        try:
            packet = media(body)
            integers = self._decoder.decode(packet.code, number)
        except EscaError:
            self.counts["undecodable"] += 1
            return None
        if integers is None:
            self.counts["unreferenced"] += 1
            return None
        self._held = number if self._held is None else max(self._held, number)
        return Arrived(packet.captured_us, integers)

    def feedback(self, now: float) -> bytes | None:
        """A feedback packet, if one is due."""
        if self._session is None or self._held is None or now - self._told < FEEDBACK_EVERY:
            return None
        self._told = now
        return self._session.seal(Feedback(self._held, self.counts["media"]).to_bytes())


@dataclass(frozen=True, eq=False)
class Play:
    """What to show in one slot. ``captured_us``: None where the code was made up (concealed)."""

    slot: int
    code: Floats
    captured_us: int | None


class Playout:
    """Between network and decoder: puts codes in order and makes up missing ones. Thread-safe.

    ``counts``: ``kept``, ``late``, ``early`` and ``twice`` codes; of the kept ones ``played``,
    ``stale`` (their slot went by while the decoder was busy) and ``discarded`` (when time stamps
    jumped); ``concealed`` slots between two played ones, ``trailing`` ones after the last,
    ``missed`` slots for which there was no time.
    """

    def __init__(
        self,
        model: CodeModel,
        period_s: float,
        playout: PlayoutConfig,
        concealment: ConcealmentConfig,
    ) -> None:
        self._model = model
        self._period = period_s
        self._config = playout
        self._concealment = concealment
        self._lock = Lock()
        self._newest_us: int | None = None
        self.counts: Counter[str] = Counter()
        self._begin()

    def _begin(self) -> None:
        self._clock = PlayoutClock(self._period, self._config)
        self._buffer: JitterBuffer[Arrived] = JitterBuffer(CAPACITY)
        self._concealer = Concealer(self._concealment)
        self._next: int | None = None

    @property
    def waiting(self) -> int:
        """Codes in the jitter buffer."""
        return len(self._buffer)

    @property
    def delay_ms(self) -> float:
        """How far playing is behind the fastest packet."""
        with self._lock:
            return self._clock.delay_s * 1e3

    def arrived(self, code: Arrived, now: float) -> None:
        """Take a code that arrived at ``now``."""
        with self._lock:
            newest = code.captured_us if self._newest_us is None else self._newest_us
            if abs(code.captured_us - newest) > JUMP_US:
                self.counts["discarded"] += len(self._buffer)
                self._begin()
                newest = code.captured_us
            self._newest_us = max(newest, code.captured_us)
            slot = self._clock.observe(code.captured_us / 1e6, now)
            self.counts[self._buffer.push(slot, code)] += 1

    def due(self) -> float | None:
        """When the next slot is to be played; None before anything came."""
        with self._lock:
            if not self._clock.started:
                return None
            return self._clock.due(0 if self._next is None else self._next)

    def play(self, now: float) -> Play | None:
        """What to show now; None if the next slot is not due yet or nothing ever came.

        Where playing fell behind by a whole slot or more, it goes on with the newest that is due.
        """
        with self._lock:
            if not self._clock.started:
                return None
            expected = 0 if self._next is None else self._next
            slot = self._clock.slot_at(now)
            if slot < expected:
                # Rounding apart, due() has said that this slot's time has come.
                if now < self._clock.due(expected):
                    return None
                slot = expected
            if self._next is not None:
                self.counts["missed"] += slot - expected
            item, stale = self._buffer.pop(slot)
            self.counts["stale"] += stale
            self._next = slot + 1
            self._clock.advance()
            return self._chosen(slot, item)

    def _chosen(self, slot: int, item: Arrived | None) -> Play | None:
        if item is None:
            code = self._concealer.missing(slot)
            if code is None:
                return None
            self.counts["trailing"] += 1
            return Play(slot, code, None)
        code = self._model.reals(item.integers).numpy().astype(np.float32)
        self._concealer.came(slot, code)
        self.counts["played"] += 1
        self.counts["concealed"] += self.counts["trailing"]
        self.counts["trailing"] = 0
        return Play(slot, code, item.captured_us)
