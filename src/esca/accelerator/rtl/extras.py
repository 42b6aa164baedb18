"""Texel biases, which the epilogue adds to sums, in two halves and in drain order."""

from math import ceil

from amaranth.hdl import Module, Mux, signed
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from esca.accelerator.hardware.formats import STORED_BITS
from esca.accelerator.reads import power_above
from esca.accelerator.rtl.array import delayed
from esca.accelerator.rtl.collisions import uncollided
from esca.accelerator.rtl.params import Parameters
from esca.accelerator.rtl.requantize import VALUE_BITS

EXTRAS_LATENCY = 3
"""Cycles from a row's address to its values."""

WRITE_LATENCY = 1
"""Cycles in which a word is on its way to the memory."""


def word_bytes(p: Parameters, bus_bytes: int) -> int:
    """Bytes of a word of the memory: it holds a row of the longest values, and a bus word."""
    return max(bus_bytes, p.columns * VALUE_BITS // 8)


class Extras(wiring.Component):
    """A value for every column and raster place of a unit, rows one behind the other.

    ``write``: bus word ``address`` of a half. ``row`` of ``half`` is in ``values``
    ``EXTRAS_LATENCY`` cycles later, of values of as many bits as code ``bits`` says; zeros for code
    0.
    """

    def __init__(self, p: Parameters, bus_bytes: int, half_bytes: int) -> None:
        self.p, self.bus_bytes = p, bus_bytes
        self.width = word_bytes(p, bus_bytes)
        self.depth = 1 << power_above(ceil(half_bytes / self.width))
        words = self.depth * self.width // bus_bytes
        write = {"en": 1, "half": 1, "address": range(max(2, words)), "data": 8 * bus_bytes}
        super().__init__(
            {
                "write": In(data.StructLayout(write)),
                "half": In(1),
                "row": In(range(max(2, p.half_rows))),
                "bits": In(range(len(STORED_BITS))),
                "values": Out(data.ArrayLayout(signed(VALUE_BITS), p.columns)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """A word holds several rows of short values: the row is chosen behind the memory."""
        m, columns = Module(), self.p.columns
        m.submodules.memory = memory = Memory(shape=8 * self.width, depth=2 * self.depth, init=[])
        source, target = memory.read_port(), memory.write_port(granularity=8 * self.bus_bytes)
        parts = self.width // self.bus_bytes
        inner = power_above(parts)
        place = power_above(self.depth)
        # Its memories lie far from where words come from.
        write = delayed(m, self.write, self.write.shape(), WRITE_LATENCY)
        m.d.comb += [
            target.addr.eq(write.address[inner:] | (write.half << place)),
            target.data.eq(write.data.replicate(parts)),
            target.en.eq(Mux(write.en, 1 << write.address[:inner], 0)),
        ]
        bits = delayed(m, self.bits, self.bits.shape(), 2)
        low = delayed(m, self.row, range(max(2, self.width)), 2)
        found = delayed(m, uncollided(m, platform, source, target), 8 * self.width, 1)
        for code, size in enumerate(STORED_BITS):
            if not size:
                continue
            rows = 8 * self.width // (columns * size)
            above, length = power_above(rows), columns * size
            with m.If(self.bits == code):
                m.d.comb += source.addr.eq((self.row >> above) | (self.half << place))
            with m.If(bits == code):
                row = found.word_select(low[:above], length)
                for column in range(columns):
                    value = row.word_select(column, size).as_signed()
                    m.d.sync += self.values[column].eq(value)
        with m.If(bits == 0):
            m.d.sync += self.values.eq(0)
        return m
