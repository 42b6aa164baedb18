"""Texel biases that rise evenly: the epilogue adds them up from place to place."""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from esca.accelerator.rtl.params import Parameters
from esca.accelerator.rtl.requantize import VALUE_BITS
from esca.quantization.ramp import RAMP_BITS

RISE_BITS = 32

_AXIS = data.StructLayout({"start": signed(RISE_BITS), "step": signed(RISE_BITS)})

RAMP = data.StructLayout({"y": _AXIS, "x": _AXIS})
"""Of a column: at a unit's first raster place, and what a line or a place adds, with ``RAMP_BITS``
fractional bits.
"""


class Ramps(wiring.Component):
    """``values`` of all columns, of the unit whose ``ramps`` come with ``swap``: those of its first
    place a cycle later, of the next place behind each cycle in which ``moves`` is set.
    ``line_ends``, with it: the place of this cycle is the last of its line.
    """

    def __init__(self, p: Parameters) -> None:
        self.p = p
        super().__init__(
            {
                "swap": In(1),
                "ramps": In(data.ArrayLayout(RAMP, p.columns)),
                "moves": In(1),
                "line_ends": In(1),
                "values": Out(data.ArrayLayout(signed(VALUE_BITS), p.columns)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Two sums a column; whole parts are added."""
        m = Module()
        held = Signal(data.ArrayLayout(RAMP, self.p.columns))
        with m.If(self.swap):
            m.d.sync += held.eq(self.ramps)
        for column in range(self.p.columns):
            ramp, new = held[column], self.ramps[column]
            y, x = (Signal(signed(RISE_BITS), name=f"{axis}_{column}") for axis in "yx")
            with m.If(self.moves):
                m.d.sync += x.eq(Mux(self.line_ends, ramp.x.start, x + ramp.x.step))
            with m.If(self.line_ends):
                m.d.sync += y.eq(y + ramp.y.step)
            with m.If(self.swap):
                m.d.sync += [y.eq(new.y.start), x.eq(new.x.start)]
            m.d.comb += self.values[column].eq((y >> RAMP_BITS) + (x >> RAMP_BITS))
        return m
