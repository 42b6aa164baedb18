"""What stands inside sealed packets, and what a packet costs on the wire."""

import struct
from dataclasses import dataclass

from esca.errors import EscaError
from esca.telepresence.codec import CodedFrame, coded_frame
from esca.telepresence.session import OVERHEAD

IP_UDP_BYTES = 28
"""IPv4 header of 20 bytes and UDP header of 8."""

BUDGET_KBPS = 150.0
"""Most kilobits a second that one user's media packets may take on the wire."""

_STAMP_BYTES = 6
_FEEDBACK = struct.Struct(">II")


def code_limit(rate_hz: float, kbps: float = BUDGET_KBPS) -> int:
    """Bytes that a coded frame may take so that ``rate_hz`` packets a second keep to ``kbps``."""
    packet = int(kbps * 1000 / 8 / rate_hz)
    limit = packet - IP_UDP_BYTES - OVERHEAD - _STAMP_BYTES
    if limit < 16:
        raise EscaError(
            f"bandwidth: {kbps:g} kbit/s at {rate_hz:g} Hz leave {limit} bytes a code, "
            "expected 16 or more"
        )
    return limit


@dataclass(frozen=True)
class Media:
    """``captured_us``: microseconds on the sender's monotonic clock, below 2**48."""

    captured_us: int
    code: CodedFrame

    def to_bytes(self) -> bytes:
        """Time stamp and coded frame."""
        return self.captured_us.to_bytes(_STAMP_BYTES, "big") + self.code.to_bytes()


def media(body: bytes) -> Media:
    """What :meth:`Media.to_bytes` wrote, or EscaError."""
    if len(body) <= _STAMP_BYTES:
        raise EscaError(f"media: {len(body)} bytes, expected more than {_STAMP_BYTES}")
    stamp, code = body[:_STAMP_BYTES], body[_STAMP_BYTES:]
    return Media(int.from_bytes(stamp, "big"), coded_frame(code))


@dataclass(frozen=True)
class Feedback:
    """``held``: number of the newest code that the receiver holds. ``received``: codes in all."""

    held: int
    received: int

    def to_bytes(self) -> bytes:
        """Both numbers."""
        return _FEEDBACK.pack(self.held, self.received)


def feedback(body: bytes) -> Feedback:
    """What :meth:`Feedback.to_bytes` wrote, or EscaError."""
    if len(body) != _FEEDBACK.size:
        raise EscaError(f"feedback: {len(body)} bytes, expected {_FEEDBACK.size}")
    return Feedback(*_FEEDBACK.unpack(body))
