"""The host's side of the protocol, over whatever carries bytes."""

from collections.abc import Iterator
from itertools import count
from typing import Protocol

from esca.accelerator.rtl.board.protocol import (
    CONFIG_BYTES,
    END,
    RUN_BYTES,
    VERSION,
    Answer,
    BoardStatus,
    DamagedError,
    Identity,
    Op,
    Request,
    Status,
)
from esca.errors import EscaError

TRIES = 5


class ByteStream(Protocol):
    """A serial port, or what stands for one."""

    def write(self, data: bytes) -> None:
        """Send bytes."""

    def read(self) -> bytes:
        """What has come, 1 byte or more; none where nothing comes for a while."""


class Board:
    """A board at the other end of ``stream``. EscaError where it does not answer within ``tries``
    tries, or refuses. ``repeated``: requests that were sent again.
    """

    def __init__(self, stream: ByteStream, tries: int = TRIES) -> None:
        self._stream, self._tries = stream, tries
        self._tags: Iterator[int] = count()
        self._bytes = bytearray()
        self.repeated = 0
        self.identity = Identity.unpack(self._ask(Op.IDENTIFY))
        if self.identity.version != VERSION:
            raise EscaError(f"board: speaks version {self.identity.version}, expected {VERSION}")

    def check(self, config_sha256: str) -> None:
        """EscaError where the machine is not of the configuration with this hash."""
        mine, its = config_sha256[: 2 * CONFIG_BYTES], self.identity.config.hex()
        if mine != its:
            raise EscaError(f"board: has configuration {its[:12]}, expected {mine[:12]}")

    def write(self, address: int, values: bytes) -> None:
        """Bytes into memory; both even."""
        most = self.identity.payload_bytes
        for at in range(0, len(values), most):
            piece = values[at : at + most]
            self._ask(Op.WRITE, len(piece), address + at, piece)

    def read(self, address: int, size: int) -> bytes:
        """``size`` bytes of memory; both even."""
        most, found = self.identity.payload_bytes, bytearray()
        for at in range(0, size, most):
            piece = min(most, size - at)
            got = self._ask(Op.READ, piece, address + at)
            if len(got) != piece:
                raise EscaError(f"board: {len(got)} bytes came, expected {piece}")
            found += got
        return bytes(found)

    def write_constants(self, columns: list[bytes], first: int = 0) -> None:
        """The machine's constants of columns ``first`` on, each as the identity says."""
        size, most = self.identity.constant_bytes, self.identity.payload_bytes
        together = most // size
        for at in range(0, len(columns), together):
            piece = b"".join(columns[at : at + together])
            self._ask(Op.CONSTANTS, len(piece), first + at, piece)

    def run(self, program: int, results: int) -> None:
        """Begin the program whose directory lies at ``program`` and which gives ``results``, once,
        also where the answer is lost.
        """
        before = self.status()
        if before.busy:
            raise EscaError("board: a program runs")
        for _ in range(self._tries):
            answer = self._exchange(Op.RUN, 0, program, results.to_bytes(RUN_BYTES, "little"))
            if answer or self.status().runs != before.runs:
                return
        raise EscaError(f"board: began nothing in {self._tries} tries")

    def status(self) -> BoardStatus:
        """What it says of itself."""
        return BoardStatus.unpack(self._ask(Op.STATUS))

    def _ask(self, op: Op, size: int = 0, address: int = 0, payload: bytes = b"") -> bytes:
        for _ in range(self._tries):
            answer = self._exchange(op, size, address, payload)
            if answer and answer.status == Status.OK:
                return answer.payload
            if answer:
                raise EscaError(
                    f"board: {op.name.lower()} of {size} at {address:#x}: "
                    f"{answer.status.name.lower()}"
                )
        raise EscaError(f"board: no answer to {op.name.lower()} in {self._tries} tries")

    def _exchange(self, op: Op, size: int, address: int, payload: bytes) -> Answer | None:
        """The answer to one request; None where request or answer was lost or damaged."""
        tag = next(self._tags) % 256
        self._stream.write(Request(op, tag, size, address, payload).frame())
        while (body := self._body()) is not None:
            try:
                answer = Answer.parse(body)
            except DamagedError:
                break
            if answer.status == Status.DAMAGED:
                break
            if (answer.op, answer.tag) == (op, tag):
                return answer  # else it is late, of a request that was given up
        self.repeated += 1
        return None

    def _body(self) -> bytes | None:
        """What lies between the next two ENDs; None where nothing comes."""
        while True:
            body, found, rest = self._bytes.partition(bytes([END]))
            if found:
                self._bytes = rest
                if body:
                    return bytes(body)
            elif came := self._stream.read():
                self._bytes += came
            else:
                self._bytes.clear()
                return None
