"""What host and board say to each other: messages, and frames around them.

A message is a header, a payload and the CRC-32 of both (zlib's), integers little-endian. In a frame
its bytes lie between two ``END``; ``END`` and ``ESCAPE`` themselves go as two bytes (RFC 1055). So
whoever joins late or lost a byte is right again from the next ``END`` on.
"""

import struct
import zlib
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from esca.errors import EscaError

VERSION = 1
END, ESCAPE, ESCAPED_END, ESCAPED_ESCAPE = 0xC0, 0xDB, 0xDC, 0xDD

REQUEST_BYTES = 8
"""Of a request's header: ``op`` 1, ``tag`` 1, ``count`` 2, ``address`` 4."""

ANSWER_BYTES = 4
"""Of an answer's: ``op`` with :data:`ANSWERED` 1, ``tag`` of the request 1, ``status`` 1, 0."""

ANSWERED = 0x80
CRC_BYTES = 4
PAYLOAD_BYTES = 1024
"""Most of a payload."""

RUN_BYTES = 4
"""Payload of RUN: how many results the whole program gives."""

CONFIG_BYTES = 16
"""Of a configuration's hash, that tell it from others."""

CRC_REST = 0xDEBB20E3
"""What the register of a CRC-32 holds behind a message and its CRC."""


class Op(IntEnum):
    """``count`` and ``address`` of a request: bytes of memory; of CONSTANTS, bytes and first
    column; of RUN, the program's directory.
    """

    IDENTIFY = 1
    WRITE = 2
    READ = 3
    CONSTANTS = 4
    RUN = 5
    STATUS = 6


class Status(IntEnum):
    """DAMAGED: CRC or length is wrong. UNKNOWN: no such op. RANGE: odd, too long or outside.
    BUSY: a program runs.
    """

    OK = 0
    DAMAGED = 1
    UNKNOWN = 2
    RANGE = 3
    BUSY = 4


class DamagedError(EscaError):
    """Bytes that are no message."""


@dataclass(frozen=True)
class Identity:
    """Payload of IDENTIFY. ``config``: the first bytes of the configuration's
    hash. Of the machine's constants, ``constants`` columns of ``constant_bytes``.
    """

    version: int
    payload_bytes: int
    memory_bytes: int
    clock_hertz: int
    constants: int
    constant_bytes: int
    config: bytes

    FORMAT = f"<HHIIHH{CONFIG_BYTES}s"

    def pack(self) -> bytes:
        """Bytes of the payload."""
        numbers = (self.version, self.payload_bytes, self.memory_bytes, self.clock_hertz)
        return struct.pack(self.FORMAT, *numbers, self.constants, self.constant_bytes, self.config)

    @classmethod
    def unpack(cls, payload: bytes) -> "Identity":
        """Inverse of :meth:`pack`; DamagedError for another length."""
        return cls(*_unpacked(cls.FORMAT, payload))


@dataclass(frozen=True)
class BoardStatus:
    """Payload of STATUS. ``memory``: it is set up. Of the latest run: ``busy``, ``alarm``,
    ``cycles`` from its beginning to its last result. Since the board's reset: ``runs``, bytes whose
    stop bit was wrong, frames that were no message.
    """

    busy: bool
    alarm: bool
    memory: bool
    cycles: int
    runs: int
    line_errors: int
    frame_errors: int

    FORMAT = "<HIHHH"

    @classmethod
    def unpack(cls, payload: bytes) -> "BoardStatus":
        """DamagedError for another length."""
        bits, *numbers = _unpacked(cls.FORMAT, payload)
        return cls(bool(bits & 1), bool(bits & 2), bool(bits & 4), *numbers)


def _unpacked(form: str, payload: bytes) -> tuple[Any, ...]:
    if len(payload) != struct.calcsize(form):
        raise DamagedError(f"board: {len(payload)} bytes, expected {struct.calcsize(form)}")
    return struct.unpack(form, payload)


@dataclass(frozen=True)
class Request:
    """What a host asks for."""

    op: int
    tag: int
    count: int = 0
    address: int = 0
    payload: bytes = b""

    def frame(self) -> bytes:
        """Bytes on the line."""
        header = struct.pack("<BBHI", self.op, self.tag, self.count, self.address)
        return framed(header + self.payload)


@dataclass(frozen=True)
class Answer:
    """What the board says to it."""

    op: int
    tag: int
    status: Status
    payload: bytes

    @classmethod
    def parse(cls, body: bytes) -> "Answer":
        """From what lies between two ENDs; DamagedError where that is no answer."""
        message = unframed(body)
        if len(message) < ANSWER_BYTES or not message[0] & ANSWERED:
            raise DamagedError(f"board: an answer of {len(message)} bytes")
        try:
            status = Status(message[2])
        except ValueError:
            raise DamagedError(f"board: an answer with status {message[2]}") from None
        return cls(message[0] & ~ANSWERED, message[1], status, message[ANSWER_BYTES:])


def framed(message: bytes) -> bytes:
    """A message with its CRC, between ENDs."""
    whole = message + struct.pack("<I", zlib.crc32(message))
    inside = whole.replace(bytes([ESCAPE]), bytes([ESCAPE, ESCAPED_ESCAPE]))
    inside = inside.replace(bytes([END]), bytes([ESCAPE, ESCAPED_END]))
    return bytes([END]) + inside + bytes([END])


def unframed(body: bytes) -> bytes:
    """The message in what lies between two ENDs; DamagedError where its CRC is wrong."""
    whole = body.replace(bytes([ESCAPE, ESCAPED_END]), bytes([END]))
    whole = whole.replace(bytes([ESCAPE, ESCAPED_ESCAPE]), bytes([ESCAPE]))
    message, crc = whole[:-CRC_BYTES], whole[-CRC_BYTES:]
    if len(whole) < CRC_BYTES or struct.pack("<I", zlib.crc32(message)) != crc:
        raise DamagedError("board: the CRC is wrong")
    return message
