"""Frames from the line: bytes without escapes, and whether they were a message."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from esca.accelerator.rtl.board.crc import BITS, START, crc_next
from esca.accelerator.rtl.board.protocol import CRC_REST, END, ESCAPE, ESCAPED_END, ESCAPED_ESCAPE


class FrameReader(wiring.Component):
    """``valid``: ``byte`` is the next of a frame. ``ended``: a frame of one byte and more is over;
    it is ``right`` if its CRC was and no byte of it was ``damaged`` on the line.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "line_byte": In(8),
                "line_valid": In(1),
                "damaged": In(1),
                "byte": Out(8),
                "valid": Out(1),
                "ended": Out(1),
                "right": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Escapes are undone a byte later."""
        m = Module()
        crc, bad = Signal(BITS, init=START), Signal()
        escaped, begun = Signal(), Signal()
        ends = self.line_valid & (self.line_byte == END)
        stuffed = (self.line_byte == ESCAPED_END) | (self.line_byte == ESCAPED_ESCAPE)
        m.d.comb += [
            self.byte.eq(
                Mux(escaped, Mux(self.line_byte == ESCAPED_END, END, ESCAPE), self.line_byte)
            ),
            self.valid.eq(self.line_valid & ~ends & (escaped | (self.line_byte != ESCAPE))),
            self.ended.eq(ends & begun),
            self.right.eq(~bad & ~escaped & (crc == CRC_REST)),
        ]
        with m.If(self.damaged):
            m.d.sync += [bad.eq(1), begun.eq(1)]
        with m.If(self.line_valid):
            m.d.sync += [escaped.eq(~self.valid & ~ends), begun.eq(1)]
            with m.If(escaped & ~stuffed):
                m.d.sync += bad.eq(1)
        with m.If(self.valid):
            m.d.sync += crc.eq(crc_next(crc, self.byte))
        with m.If(ends):
            m.d.sync += [crc.eq(START), bad.eq(0), begun.eq(0), escaped.eq(0)]
        return m
