"""Registers and the buffer of the host's port, and what its states have in common."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Shape, ShapeLike, Signal, Value
from amaranth.lib import data
from amaranth.lib.memory import Memory

from esca.accelerator.rtl.board.protocol import (
    ANSWER_BYTES,
    CRC_BYTES,
    PAYLOAD_BYTES,
    REQUEST_BYTES,
    Status,
)
from esca.accelerator.rtl.board.words import CHUNK_WORDS, WORD_BITS, WORD_BYTES

WORDS = PAYLOAD_BYTES // WORD_BYTES
LONGEST = REQUEST_BYTES + PAYLOAD_BYTES + CRC_BYTES
HEADER = data.StructLayout({"op": 8, "tag": 8, "count": 16, "address": 32})


def constant_bytes(entry: ShapeLike) -> int:
    """Bytes of a column of constants on the line, whole words."""
    return -(-Shape.cast(entry).width // WORD_BITS) * WORD_BYTES


class HostState:
    """``header`` of the request, bytes ``received`` of its frame, and those that its payload
    ``brought``. ``word``: of the buffer at ``place``, which is ``after`` in the next cycle.

    Of a transfer, words ``left`` to be asked for and still ``coming``. Of the answer, ``status``,
    bytes of its ``payload`` and those that are ``sent``.
    """

    def __init__(self, m: Module) -> None:
        m.submodules.buffer = buffer = Memory(shape=WORD_BITS, depth=WORDS, init=[])
        self.put, got = buffer.write_port(granularity=8), buffer.read_port()
        self.header, self.received = Signal(HEADER), Signal(range(LONGEST + 2))
        self.brought = Signal(range(LONGEST + 2))
        self.place, self.after = Signal(range(WORDS)), Signal(range(WORDS))
        self.word: Value = got.data
        self.left, self.coming = Signal(range(WORDS + 1)), Signal(range(WORDS + 1))
        self.address, self.words = Signal(31), Signal(range(CHUNK_WORDS + 1))
        self.status = Signal(Status)
        self.payload = Signal(range(PAYLOAD_BYTES + 1))
        self.sent = Signal(range(ANSWER_BYTES + PAYLOAD_BYTES))
        room = CHUNK_WORDS - self.address[: (CHUNK_WORDS - 1).bit_length()]
        m.d.comb += [
            self.after.eq(self.place),
            got.addr.eq(self.after),
            self.put.addr.eq(self.place),
            self.words.eq(Mux(self.left < room, self.left, room)),
        ]
        m.d.sync += self.place.eq(self.after)

    def receive(self, m: Module, byte: Value) -> None:
        """A byte of a frame: of the header, or into the buffer."""
        header, number = self.header.as_value(), self.received
        with m.If(number <= LONGEST):
            m.d.sync += number.eq(number + 1)
        with m.If(number < REQUEST_BYTES):
            m.d.sync += header.eq(Cat(header[8:], byte))
            m.d.comb += self.after.eq(0)
        with m.Elif(number < REQUEST_BYTES + PAYLOAD_BYTES):
            m.d.comb += [
                self.put.data.eq(byte.replicate(2)),
                self.put.en.eq(Mux(number[0], 2, 1)),  # the header's bytes are even
                self.after.eq(self.place + number[0]),
            ]

    def keep(self, m: Module, word: Value) -> None:
        """A word of the answer into the buffer."""
        m.d.comb += [self.put.data.eq(word), self.put.en.eq(3), self.after.eq(self.place + 1)]

    def ask(self, m: Module, master: Any) -> None:
        """Ask ``master`` for the next run while words are left."""
        m.d.comb += [
            master.run.valid.eq(self.left != 0),
            master.run.payload.address.eq(self.address),
            master.run.payload.words_less_1.eq(self.words - 1),
        ]
        with m.If(master.run.valid & master.run.ready):
            m.d.sync += [
                self.address.eq(self.address + self.words),
                self.left.eq(self.left - self.words),
            ]
