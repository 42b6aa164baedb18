"""From a coordinate to its colour and address, as the banks of activations are coloured."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from esca.accelerator.rtl.records import HASH
from esca.accelerator.rtl.streams import COORDINATE_BITS


class HashAxis(wiring.Component):
    """``colour`` and ``address`` of a coordinate, as
    :class:`esca.accelerator.layout.AxisHash` has them.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "v": In(COORDINATE_BITS),
                "hash": In(HASH),
                "colour": Out(3),
                "address": Out(COORDINATE_BITS),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """No registers."""
        m, v = Module(), self.v
        high, kept, low = Signal(COORDINATE_BITS), Signal(COORDINATE_BITS), Signal(2)
        with m.Switch(self.hash.shift):
            for shift in range(3):
                with m.Case(shift):
                    m.d.comb += [high.eq(v[shift:]), low.eq(v[:shift])]
        with m.Switch(self.hash.bits):
            for bits in range(4):
                with m.Case(bits):
                    m.d.comb += kept.eq(high[bits:])
                    if bits:
                        top = high[bits - 1] ^ (self.hash.skew & high[bits])
                        m.d.comb += self.colour.eq(Cat(high[: bits - 1], top))
        m.d.comb += self.address.eq((kept << self.hash.shift) | low)
        return m
