"""Values of a map that the epilogue adds to sums, in two halves and in drain order."""

from amaranth.hdl import Cat, Const, Module, Mux, signed
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from esca.accelerator.reads import power_above
from esca.accelerator.rtl.accumulators import DRAINED_LATENCY
from esca.accelerator.rtl.array import delayed
from esca.accelerator.rtl.collisions import uncollided
from esca.accelerator.rtl.params import Parameters
from esca.accelerator.rtl.requantize import VALUE_BITS

BYTE = 8


def residual_write(p: Parameters, bus_bytes: int) -> data.StructLayout:
    """The bus word that a ``place`` lies in, from value ``part`` times the columns on, values as
    ``nibbles`` or bytes.
    """
    return data.StructLayout(
        {
            "en": 1,
            "half": 1,
            "place": range(max(2, p.half_rows)),
            "part": 3,
            "nibbles": 1,
            "data": BYTE * bus_bytes,
        }
    )


class Residuals(wiring.Component):
    """A byte for every column and raster place of a unit.

    ``write``: of one place. ``row`` of ``half`` is in ``values``, less ``zero``,
    ``DRAINED_LATENCY`` cycles later; zeros where not ``on``.
    """

    def __init__(self, p: Parameters, bus_bytes: int) -> None:
        self.p, self.bus_bytes = p, bus_bytes
        super().__init__(
            {
                "write": In(residual_write(p, bus_bytes)),
                "on": In(1),
                "half": In(1),
                "row": In(range(max(2, p.half_rows))),
                "zero": In(BYTE),
                "values": Out(data.ArrayLayout(signed(VALUE_BITS + 1), p.columns)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """A memory of a byte for each column."""
        m, columns, write = Module(), self.p.columns, self.write
        depth = power_above(self.p.half_rows)
        memory = Memory(shape=BYTE * columns, depth=2 << depth, init=[])
        m.submodules.memory = memory
        source, target = memory.read_port(), memory.write_port()
        pairs = write.data.word_select(write.part, BYTE // 2 * columns)
        plain = write.data.word_select(write.part, BYTE * columns)
        wide = Cat(Cat(pairs.word_select(column, 4), Const(0, 4)) for column in range(columns))
        m.d.comb += [
            target.addr.eq(write.place | (write.half << depth)),
            target.data.eq(Mux(write.nibbles, wide, plain)),
            target.en.eq(write.en),
            source.addr.eq(self.row | (self.half << depth)),
        ]
        on, zero = (
            delayed(m, one, one.shape(), DRAINED_LATENCY - 1) for one in (self.on, self.zero)
        )
        found = delayed(
            m, uncollided(m, platform, source, target), BYTE * columns, DRAINED_LATENCY - 2
        )
        for column in range(columns):
            value = found.word_select(column, BYTE) - zero
            m.d.sync += self.values[column].eq(Mux(on, value, 0))
        return m
