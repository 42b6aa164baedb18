"""What the board does with a host's requests, one after the other; see ``protocol``."""

from collections.abc import Callable
from math import ceil

from amaranth.hdl import Array, Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from esca.accelerator.rtl.board.frames_in import FrameReader
from esca.accelerator.rtl.board.frames_out import FrameWriter
from esca.accelerator.rtl.board.host_state import LONGEST, HostState, constant_bytes
from esca.accelerator.rtl.board.protocol import (
    ANSWER_BYTES,
    ANSWERED,
    CRC_BYTES,
    PAYLOAD_BYTES,
    REQUEST_BYTES,
    RUN_BYTES,
    Identity,
    Op,
    Status,
)
from esca.accelerator.rtl.board.words import WORD_BITS, WORD_BYTES, ReadMaster, WriteMaster

LINE_BYTE = data.StructLayout({"byte": 8, "valid": 1, "damaged": 1})
"""``damaged``: a byte did not come well."""

RUN_STATE = data.StructLayout(
    {"busy": 1, "alarm": 1, "memory": 1, "rest": 13, "cycles": 32, "number": 16}
)
"""What a status says of the machine and of memory, as it is sent."""


class HostPort(wiring.Component):
    """``bytes_in`` and ``line``: bytes from and to the host. ``reads``, ``writes``: masters of
    memory. ``constants``: a write of the machine's. ``run``: the program whose directory lies at
    ``program`` is to begin, which gives ``results``; none is begun while one is busy.
    """

    def __init__(self, identity: Identity, constants: data.StructLayout) -> None:
        self.identity, self.constants_shape = identity, constants
        super().__init__(
            {
                "bytes_in": In(LINE_BYTE),
                "line": Out(stream.Signature(8)),
                "reads": Out(ReadMaster()),
                "writes": Out(WriteMaster()),
                "constants": Out(constants),
                "run": Out(1),
                "program": Out(32),
                "results": Out(32),
                "state": In(RUN_STATE),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """The payload lies in a buffer until it is known to be right; so does an answer's."""
        m = Module()
        m.submodules.reader = reader = FrameReader()
        m.submodules.writer = writer = FrameWriter()
        wiring.connect(m, writer.line, wiring.flipped(self.line))
        state = HostState(m)
        header, after, word = state.header, state.after, state.word
        m.d.comb += [
            reader.line_byte.eq(self.bytes_in.byte),
            reader.line_valid.eq(self.bytes_in.valid),
            reader.damaged.eq(self.bytes_in.damaged),
            self.program.eq(header.address),
            self.writes.data.eq(word),
        ]
        line_errors, frame_errors = Signal(16), Signal(16)
        m.d.sync += line_errors.eq(line_errors + self.bytes_in.damaged)
        told = Cat(self.state, line_errors, frame_errors)
        skipping = Signal()  # a frame began while another was served

        def answer(status: Status) -> None:
            m.d.comb += after.eq(0)
            m.d.sync += state.status.eq(status)
            m.next = "answer"

        with m.FSM() as fsm:
            with m.State("receive"):
                with m.If(reader.valid & ~skipping):
                    state.receive(m, reader.byte)
                with m.If(reader.ended):
                    fits = state.received - (REQUEST_BYTES + CRC_BYTES)
                    whole = (state.received <= LONGEST) & (fits >= 0)
                    m.d.comb += after.eq(0)
                    m.d.sync += [state.received.eq(0), state.payload.eq(0)]
                    m.d.sync += state.brought.eq(fits[: len(state.brought)])
                    with m.If(reader.right & whole & ~skipping):
                        m.next = "decide"
                    with m.Elif(~skipping):
                        m.d.sync += frame_errors.eq(frame_errors + 1)
                        answer(Status.DAMAGED)
            with m.State("decide"):
                self._decide(m, state, len(told) // WORD_BITS, answer)
            with m.State("tell"):
                known = Array(_words(self.identity.pack()))[state.place]
                now = Array(told[i : i + WORD_BITS] for i in range(0, len(told), WORD_BITS))
                state.keep(m, Mux(header.op == Op.IDENTIFY, known, now[state.place]))
                m.d.sync += [
                    state.left.eq(state.left - 1),
                    state.payload.eq(state.payload + WORD_BYTES),
                ]
                with m.If(state.left == 1):
                    answer(Status.OK)
            with m.State("read"):
                state.ask(m, self.reads)
                with m.If(self.reads.valid):
                    state.keep(m, self.reads.data)
                    m.d.sync += state.coming.eq(state.coming - 1)
                with m.If(state.coming == 0):
                    m.d.sync += state.payload.eq(header.count)
                    answer(Status.OK)
            with m.State("write"):
                state.ask(m, self.writes)
                with m.If(self.writes.take):
                    m.d.comb += after.eq(state.place + 1)
                    m.d.sync += state.coming.eq(state.coming - 1)
                with m.If(state.coming == 0):
                    answer(Status.OK)
            with m.State("constants"):
                m.d.comb += after.eq(state.place + 1)
                m.d.sync += state.coming.eq(state.coming - 1)
                with m.If(state.coming == 0):
                    answer(Status.OK)
            with m.State("run"):
                m.d.comb += after.eq(state.place + 1)
                m.d.sync += self.results.eq(Cat(self.results[WORD_BITS:], word))
                with m.If(state.place == RUN_BYTES // WORD_BYTES):
                    m.d.sync += self.results.eq(self.results)
                    m.d.comb += self.run.eq(1)
                    answer(Status.OK)
            with m.State("answer"):
                m.d.comb += after.eq(0)
                shown = Cat(header.op | ANSWERED, header.tag, state.status)
                self._say(m, writer, state, shown.word_select(state.sent[:2], 8))
                with m.If(writer.message.payload.last & writer.message.ready):
                    m.next = "receive"
                with m.Elif((state.sent == ANSWER_BYTES - 1) & writer.message.ready):
                    m.next = "payload"
            with m.State("payload"):
                self._say(m, writer, state, word.word_select(state.sent[0], 8))
                with m.If(writer.message.ready):
                    m.d.comb += after.eq(state.place + state.sent[0])
                    with m.If(writer.message.payload.last):
                        m.next = "receive"
        with m.If(reader.ended):
            m.d.sync += skipping.eq(0)
        with m.Elif(reader.valid & ~fsm.ongoing("receive")):
            m.d.sync += skipping.eq(1)
        self._write_constants(m, state, fsm.ongoing("constants"))
        return m

    def _decide(
        self, m: Module, state: HostState, status_words: int, answer: Callable[[Status], None]
    ) -> None:
        header, brought = state.header, state.brought
        size = header.count
        unfit = size[0] | (size > PAYLOAD_BYTES)
        outside = header.address[0] | (header.address + size > self.identity.memory_bytes)
        m.d.sync += [
            state.address.eq(header.address >> 1),
            state.left.eq(size >> 1),
            state.coming.eq(size >> 1),
        ]
        with m.Switch(header.op):
            for op, words in (
                (Op.IDENTIFY, ceil(len(self.identity.pack()) / WORD_BYTES)),
                (Op.STATUS, status_words),
            ):
                with m.Case(op):
                    m.d.sync += state.left.eq(words)
                    m.next = "tell"
            with m.Case(Op.READ):
                with m.If(unfit | outside):
                    answer(Status.RANGE)
                with m.Else():
                    m.next = "read"
            with m.Case(Op.WRITE):
                with m.If(unfit | outside):
                    answer(Status.RANGE)
                with m.Elif(brought != size):
                    answer(Status.DAMAGED)
                with m.Else():
                    m.next = "write"
            with m.Case(Op.CONSTANTS):
                with m.If(self.state.busy):
                    answer(Status.BUSY)
                with m.Elif(unfit | (header.address >= self.identity.constants)):
                    answer(Status.RANGE)
                with m.Elif(brought != size):
                    answer(Status.DAMAGED)
                with m.Else():
                    m.next = "constants"
            with m.Case(Op.RUN):
                with m.If(self.state.busy):
                    answer(Status.BUSY)
                with m.Elif(brought != RUN_BYTES):
                    answer(Status.DAMAGED)
                with m.Else():
                    m.next = "run"
            with m.Default():
                answer(Status.UNKNOWN)

    def _say(self, m: Module, writer: wiring.Component, state: HostState, byte: Value) -> None:
        """A byte of the answer: its header's, or behind those the payload's."""
        out = writer.message
        end = ANSWER_BYTES - 1 + state.payload
        m.d.comb += [
            out.valid.eq(1),
            out.payload.byte.eq(byte),
            out.payload.last.eq(state.sent == end),
        ]
        with m.If(out.ready):
            m.d.sync += state.sent.eq(Mux(out.payload.last, 0, state.sent + 1))

    def _write_constants(self, m: Module, state: HostState, shifting: Value) -> None:
        """Words of the buffer become columns, the first in the low bits."""
        parts = constant_bytes(self.constants_shape["data"].shape) // WORD_BYTES
        bits, part = Signal(parts * WORD_BITS), Signal(range(parts))
        column, write = Signal(range(self.identity.constants)), Signal()
        m.d.comb += [
            self.constants.en.eq(write),
            self.constants.address.eq(column),
            self.constants.data.eq(bits),
        ]
        m.d.sync += [write.eq(0), column.eq(column + write)]
        with m.If(shifting & (state.coming != 0)):
            m.d.sync += [
                bits.eq(Cat(bits[WORD_BITS:], state.word)),
                part.eq(Mux(part == parts - 1, 0, part + 1)),
                write.eq(part == parts - 1),
            ]
        with m.If(~shifting & ~write):
            m.d.sync += [column.eq(state.header.address), part.eq(0)]


def _words(stored: bytes) -> list[int]:
    return [
        int.from_bytes(stored[i : i + WORD_BYTES], "little")
        for i in range(0, len(stored), WORD_BYTES)
    ]
