"""Authenticated, encrypted packets of one session, each of them taken at most once.

Each direction of a session has its own key, so the packet
number alone makes the nonce and no key ever sees one twice.
"""

import struct
from dataclasses import dataclass, field
from typing import Literal

from esca.telepresence.crypto import Cipher, ForgedError

VERSION = 1
KNOCK, HELLO, MEDIA, FEEDBACK = range(4)
KINDS = {KNOCK: "knock", HELLO: "hello", MEDIA: "media", FEEDBACK: "feedback"}

TAG_BYTES = 16
HEADER = struct.Struct(">BII")
"""First byte (version and kind), session, packet number."""

OVERHEAD = HEADER.size + TAG_BYTES
"""Bytes that a sealed body grows by."""

WINDOW = 1024
"""How far behind the newest packet one may still arrive, in packets."""

LARGEST_DATAGRAM = 1200

Reason = Literal["malformed", "stranger", "forged", "replayed"]


class RejectedError(Exception):
    """A datagram that is not taken, and why: what the network does, never a user's mistake."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason


def first_byte(kind: int) -> int:
    """Version and kind of a packet."""
    return VERSION << 4 | kind


def kind_of(datagram: bytes) -> int:
    """The kind of a datagram; :class:`RejectedError` where first byte or size is none of ours."""
    if not datagram or len(datagram) > LARGEST_DATAGRAM:
        raise RejectedError("malformed")
    version, kind = datagram[0] >> 4, datagram[0] & 15
    if version != VERSION or kind not in KINDS:
        raise RejectedError("malformed")
    return kind


class ReplayWindow:
    """Which packet numbers were taken: a bitmap behind the newest one."""

    def __init__(self) -> None:
        self._newest = -1
        self._taken = 0

    def fresh(self, number: int) -> bool:
        """Whether a packet of that number may still be taken."""
        behind = self._newest - number
        return behind < 0 or (behind < WINDOW and not self._taken >> behind & 1)

    def take(self, number: int) -> None:
        """Remember a number that is fresh."""
        ahead = number - self._newest
        if ahead > 0:
            self._taken = (self._taken << min(ahead, WINDOW) | 1) & ((1 << WINDOW) - 1)
            self._newest = number
        else:
            self._taken |= 1 << -ahead


@dataclass
class Session:
    """One end of a session.

    ``number``: four bytes that name the session. ``outgoing``, ``incoming``: keys of 32 bytes.
    ``sends``: kind of the packets that this end sends, MEDIA or FEEDBACK; it receives the other.
    """

    number: int
    outgoing: bytes = field(repr=False)
    incoming: bytes = field(repr=False)
    sends: int = MEDIA

    def __post_init__(self) -> None:
        self._seal = Cipher(self.outgoing)
        self._open = Cipher(self.incoming)
        self._window = ReplayWindow()
        self._next = 0

    @property
    def next_number(self) -> int:
        """Number of the packet that :meth:`seal` makes next."""
        return self._next

    def seal(self, body: bytes) -> bytes:
        """The next packet around ``body``."""
        header = HEADER.pack(first_byte(self.sends), self.number, self._next)
        sealed = self._seal.seal(_nonce(self._next), body, header)
        self._next += 1
        return header + sealed

    def open(self, datagram: bytes) -> tuple[int, bytes]:
        """Number and body of a packet of the other end, or :class:`RejectedError`.

        What is not authentic changes nothing, so that forged numbers cannot move the window.
        """
        if len(datagram) < OVERHEAD or kind_of(datagram) == self.sends:
            raise RejectedError("malformed")
        header = datagram[: HEADER.size]
        _, session, number = HEADER.unpack(header)
        if session != self.number:
            raise RejectedError("stranger")
        if not self._window.fresh(number):
            raise RejectedError("replayed")
        try:
            body = self._open.open(_nonce(number), datagram[HEADER.size :], header)
        except ForgedError:
            raise RejectedError("forged") from None
        self._window.take(number)
        return number, body


def _nonce(number: int) -> bytes:
    return number.to_bytes(12, "big")
