"""Frames onto the line: escapes and a CRC behind a message."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from esca.accelerator.rtl.board.crc import BITS, START, crc_next
from esca.accelerator.rtl.board.protocol import CRC_BYTES, END, ESCAPE, ESCAPED_END, ESCAPED_ESCAPE

MESSAGE_BYTE = data.StructLayout({"byte": 8, "last": 1})


class FrameWriter(wiring.Component):
    """Bytes of a ``message`` become a frame on the ``line``."""

    def __init__(self) -> None:
        super().__init__(
            {"message": In(stream.Signature(MESSAGE_BYTE)), "line": Out(stream.Signature(8))}
        )

    def elaborate(self, platform: object) -> Module:
        """A byte of the message, or of the CRC behind its last, goes in one or two."""
        m = Module()
        crc, escaped = Signal(BITS, init=START), Signal()
        place = Signal(range(CRC_BYTES))
        byte = Signal(8)
        special = (byte == END) | (byte == ESCAPE)
        sent = self.line.valid & self.line.ready
        done = sent & (escaped | ~special)
        inside = Mux(escaped, Mux(byte == END, ESCAPED_END, ESCAPED_ESCAPE), byte)
        plain = Mux(special & ~escaped, ESCAPE, inside)
        with m.If(sent):
            m.d.sync += escaped.eq(special & ~escaped)
        message = self.message
        with m.FSM():
            with m.State("idle"):
                m.d.sync += crc.eq(START)
                m.d.comb += [self.line.valid.eq(message.valid), self.line.payload.eq(END)]
                with m.If(sent):
                    m.next = "message"
            with m.State("message"):
                m.d.comb += [
                    byte.eq(message.payload.byte),
                    self.line.valid.eq(message.valid),
                    self.line.payload.eq(plain),
                    message.ready.eq(done),
                ]
                with m.If(done):
                    m.d.sync += crc.eq(crc_next(crc, byte))
                    with m.If(message.payload.last):
                        m.next = "crc"
            with m.State("crc"):
                m.d.comb += [
                    byte.eq(~crc[:8]),
                    self.line.valid.eq(1),
                    self.line.payload.eq(plain),
                ]
                with m.If(done):
                    m.d.sync += [crc.eq(crc >> 8), place.eq(place + 1)]
                    with m.If(place == CRC_BYTES - 1):
                        m.d.sync += place.eq(0)
                        m.next = "end"
            with m.State("end"):
                m.d.comb += [self.line.valid.eq(1), self.line.payload.eq(END)]
                with m.If(sent):
                    m.next = "idle"
        return m
