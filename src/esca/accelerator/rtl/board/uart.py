"""Serial bytes: a start bit, eight data bits, the lowest first, and a stop bit."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

from esca.errors import EscaError

LEAST_DIVISOR = 4
BITS = 10
"""Bits of a byte on the line."""


def baud_divisor(clock_hertz: float, baud: float) -> int:
    """Cycles of a bit; EscaError where the line would be more than 2% off."""
    divisor = max(1, round(clock_hertz / baud))
    off = abs(clock_hertz / (divisor * baud) - 1)
    if divisor < LEAST_DIVISOR or off > 0.02:
        raise EscaError(
            f"board: {baud:g} baud from {clock_hertz / 1e6:g} MHz are {clock_hertz / baud:.2f} "
            f"cycles a bit, expected {LEAST_DIVISOR} or more, within 2% of a whole number"
        )
    return divisor


class UartReceiver(wiring.Component):
    """``valid``: ``byte`` has come in on ``line``. ``damaged``: one came whose stop bit was low.
    A bit takes ``divisor`` cycles and is looked at in its middle.
    """

    def __init__(self, divisor: int) -> None:
        self.divisor = divisor
        super().__init__(
            {"line": In(1, init=1), "byte": Out(8), "valid": Out(1), "damaged": Out(1)}
        )

    def elaborate(self, platform: object) -> Module:
        """Half a bit behind the falling edge, then a bit each time."""
        m = Module()
        line = Signal(init=1)
        m.submodules.line = FFSynchronizer(self.line, line, init=1)
        timer, left = Signal(range(self.divisor)), Signal(range(BITS + 1))
        idle, half = left == 0, self.divisor // 2
        # The synchronizer's two cycles are the same for all bits.
        with m.If(idle):
            m.d.sync += timer.eq(half - 1)
            with m.If(~line):
                m.d.sync += left.eq(BITS)
        with m.Elif(timer != 0):
            m.d.sync += timer.eq(timer - 1)
        with m.Else():
            m.d.sync += [timer.eq(self.divisor - 1), left.eq(left - 1)]
            with m.If(left == BITS), m.If(line):  # it was no start bit
                m.d.sync += left.eq(0)
            with m.Elif(left == 1):
                m.d.comb += [self.valid.eq(line), self.damaged.eq(~line)]
            with m.Else():
                m.d.sync += self.byte.eq(Cat(self.byte[1:], line))
        return m


class UartTransmitter(wiring.Component):
    """Puts ``bytes`` on ``line``, a bit every ``divisor`` cycles."""

    def __init__(self, divisor: int) -> None:
        self.divisor = divisor
        super().__init__({"bytes": In(stream.Signature(8)), "line": Out(1, init=1)})

    def elaborate(self, platform: object) -> Module:
        """A shift register, ones behind the stop bit."""
        m = Module()
        timer, left = Signal(range(self.divisor)), Signal(range(BITS + 1))
        bits = Signal(BITS, init=(1 << BITS) - 1)
        m.d.comb += [self.line.eq(bits[0]), self.bytes.ready.eq(left == 0)]
        with m.If(left == 0), m.If(self.bytes.valid):
            m.d.sync += [
                bits.eq(Cat(0, self.bytes.payload, 1)),
                left.eq(BITS),
                timer.eq(self.divisor - 1),
            ]
        with m.Else():
            m.d.sync += timer.eq(Mux(timer == 0, self.divisor - 1, timer - 1))
            with m.If(timer == 0):
                m.d.sync += [bits.eq(Cat(bits[1:], 1)), left.eq(left - 1)]
        return m
