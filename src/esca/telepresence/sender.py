"""The sender: codes become packets, feedback becomes predictions, silence becomes knocks."""

import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from socket import socket
from threading import Event

from esca.errors import EscaError
from esca.telepresence.codec import CodeEncoder, CodeModel, Integers
from esca.telepresence.handshake import Knocker
from esca.telepresence.packets import BUDGET_KBPS, IP_UDP_BYTES, Media, code_limit, feedback
from esca.telepresence.session import LARGEST_DATAGRAM, RejectedError, Session
from esca.telepresence.source import CodeSource
from esca.telepresence.statistics import Samples

KNOCK_EVERY = 0.1
"""Seconds between two knocks."""

SILENCE = 0.3
"""Seconds without feedback after which a new receiver is looked for."""

MOST_AT_ONCE = 64
"""Datagrams that are read between two frames at most."""


class SendingEnd:
    """The protocol of a sender without its sockets and clocks; times in seconds, monotonic."""

    def __init__(self, secret: bytes, model: CodeModel, limit: int) -> None:
        self._knocker = Knocker(secret)
        self._encoder = CodeEncoder(model, limit)
        self._session: Session | None = None
        self._heard = float("-inf")
        self._knocked = float("-inf")
        self.rejected: Counter[str] = Counter()
        self.sessions = 0

    def knock(self, now: float) -> bytes | None:
        """A knock, if one is due: nobody has answered yet, or nobody answers any more."""
        silent = self._session is None or now - self._heard > SILENCE
        if not silent or now - self._knocked < KNOCK_EVERY:
            return None
        self._knocked = now
        # Predicting from what a silent receiver once held would be wasted on a new one.
        self._encoder.unheld()
        return self._knocker.knock()

    def media(self, integers: Integers, captured_us: int) -> bytes | None:
        """The packet of one code; None before anybody has answered."""
        if self._session is None:
            return None
        frame = self._encoder.encode(integers, self._session.next_number)
        return self._session.seal(Media(captured_us, frame).to_bytes())

    def receive(self, datagram: bytes, now: float) -> None:
        """Take a hello or feedback; anything else is counted in ``rejected``."""
        try:
            self._take(datagram, now)
        except RejectedError as rejected:
            self.rejected[rejected.reason] += 1
        except EscaError:
            self.rejected["malformed"] += 1

    def _take(self, datagram: bytes, now: float) -> None:
        session = self._session
        if session is not None:
            try:
                _, body = session.open(datagram)
                self._heard = now
                self._encoder.acknowledge(feedback(body).held)
                return
            except RejectedError as rejected:
                if rejected.reason in ("forged", "replayed"):
                    raise
        self._session = self._knocker.answered(datagram)
        self._encoder.forget()
        self._heard = now
        self.sessions += 1


@dataclass
class Sent:
    """What a sender did. ``bytes``: of media packets on the wire, IP and UDP headers included."""

    packets: int = 0
    bytes: int = 0
    largest: int = 0
    unsent: int = 0
    skipped: int = 0
    knocks: int = 0
    sessions: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    rejected: dict[str, int] = field(default_factory=dict)
    source_ms: list[float] = field(default_factory=list)
    code_ms: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class SenderConfig:
    """``rate_hz``: codes a second. ``kbps``: bandwidth that media packets keep to."""

    rate_hz: float = 100.0
    kbps: float = BUDGET_KBPS

    def __post_init__(self) -> None:
        if not 1 <= self.rate_hz <= 1000:
            raise EscaError(f"rate: {self.rate_hz} Hz, expected 1 to 1000")
        code_limit(self.rate_hz, self.kbps)


def send(
    source: CodeSource,
    model: CodeModel,
    secret: bytes,
    socket: socket,
    config: SenderConfig,
    seconds: float,
    stop: Event | None = None,
) -> Sent:
    """Send for ``seconds`` from a connected UDP socket.

    Frame k is due at ``k / rate`` and bears that time as its stamp, so that whatever delays it
    counts as latency. Frames that cannot be begun before the next one is due are skipped.
    """
    end = SendingEnd(secret, model, code_limit(config.rate_hz, config.kbps))
    sent = Sent()
    source_ms, code_ms = Samples(), Samples()
    began, cpu = time.monotonic(), time.process_time()
    number = 0
    while number < seconds * config.rate_hz and not (stop is not None and stop.is_set()):
        due = began + number / config.rate_hz
        _listen_until(socket, end, due)
        now = time.monotonic()
        behind = int((now - due) * config.rate_hz)
        if behind > 0:
            sent.skipped += behind
            number += behind
            due = began + number / config.rate_hz
        knock = end.knock(now)
        if knock is not None:
            sent.knocks += 1
            _put(socket, knock)
        code = source.code(due - began)
        sourced = time.monotonic()
        packet = end.media(model.integers(code), int(due * 1e6))
        source_ms.add((sourced - now) * 1e3)
        code_ms.add((time.monotonic() - sourced) * 1e3)
        if packet is None:
            sent.unsent += 1
        else:
            size = len(packet) + IP_UDP_BYTES
            sent.packets += 1
            sent.bytes += size
            sent.largest = max(sent.largest, size)
            _put(socket, packet)
        number += 1
    sent.seconds = time.monotonic() - began
    sent.cpu_seconds = time.process_time() - cpu
    sent.rejected, sent.sessions = dict(end.rejected), end.sessions
    sent.source_ms, sent.code_ms = source_ms.values, code_ms.values
    return sent


def _listen_until(socket: socket, end: SendingEnd, due: float) -> None:
    """Take what arrives until ``due``; where that is past already, what waits (and no flood)."""
    for _ in range(MOST_AT_ONCE):
        remaining = due - time.monotonic()
        socket.settimeout(max(remaining, 0.0))
        try:
            datagram = socket.recv(LARGEST_DATAGRAM + 1)
        except ConnectionRefusedError:  # nobody listens at the other port yet
            continue
        except (TimeoutError, BlockingIOError):
            return
        end.receive(datagram, time.monotonic())
    time.sleep(max(due - time.monotonic(), 0.0))


def _put(socket: socket, packet: bytes) -> None:
    # Nobody listens (yet), or a queue is full: for the receiver it is a lost packet.
    with suppress(ConnectionRefusedError, BlockingIOError, TimeoutError):
        socket.send(packet)
