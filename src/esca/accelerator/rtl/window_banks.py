"""Rows of a map in four memories, of which four neighbours are read in every cycle."""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from esca.accelerator.rtl.array import delayed
from esca.accelerator.rtl.bursts import ROW_BITS
from esca.accelerator.rtl.collisions import uncollided
from esca.accelerator.rtl.engine_records import PLACES, WINDOW, WINDOW_BITS
from esca.accelerator.rtl.streams import COORDINATE_BITS

CORNER_LATENCY = 4
"""Cycles from a place to its four neighbours."""

PLACE_BITS = COORDINATE_BITS + 2
"""Of a coordinate that may lie outside, signed."""


def loaded_shape(bus_bytes: int) -> data.StructLayout:
    """If ``en``: bus ``word`` of a ``row`` of a load into a ``window``."""
    return data.StructLayout(
        {"en": 1, "window": WINDOW, "row": 12, "word": ROW_BITS, "data": 8 * bus_bytes}
    )


def banks_write(bits: int, words: int) -> data.StructLayout:
    """Word ``address`` in the memories of rows that are ``odd`` or not: bits of ``en`` by the
    parity of the column.
    """
    return data.StructLayout(
        {"en": 2, "odd": 1, "address": range(words), "data": data.ArrayLayout(bits, 2)}
    )


class WindowLines(wiring.Component):
    """Where the row of a ``loaded`` word begins: ``line`` of the memories of ``odd`` rows or of the
    others. Words come in order.
    """

    def __init__(self, bus_bytes: int) -> None:
        super().__init__(
            {"loaded": In(loaded_shape(bus_bytes)), "line": Out(WINDOW_BITS), "odd": Out(1)}
        )

    def elaborate(self, platform: object) -> Module:
        """Two rows lie at one line, one in each pair of memories."""
        m, loaded, window = Module(), self.loaded, self.loaded.window
        line, odd = Signal(WINDOW_BITS), Signal()
        begins = loaded.word == 0
        with m.If(begins & (loaded.row == 0)):
            m.d.comb += [self.line.eq(window.first), self.odd.eq(window.odd)]
        with m.Elif(begins):
            below = Mux(line == window.last, 0, line + window.pair)
            m.d.comb += [self.line.eq(Mux(odd, below, line)), self.odd.eq(~odd)]
        with m.Else():
            m.d.comb += [self.line.eq(line), self.odd.eq(odd)]
        with m.If(loaded.en):
            m.d.sync += [line.eq(self.line), odd.eq(self.odd)]
        return m


class WindowBanks(wiring.Component):
    """Memories of ``words`` words of so many ``bits``. ``CORNER_LATENCY`` cycles behind ``y`` and
    ``x``: in ``corners`` what is at (y, x), (y, x + 1), (y + 1, x) and (y + 1, x + 1) of
    ``source``, word ``part`` of 2^``deep`` of each; anything where there is nothing.
    """

    def __init__(self, bits: int, words: int) -> None:
        self.bits, self.words = bits, words
        super().__init__(
            {
                "write": In(banks_write(bits, words)),
                "source": In(PLACES),
                "y": In(signed(PLACE_BITS)),
                "x": In(signed(PLACE_BITS)),
                "part": In(10),
                "deep": In(3),
                "corners": Out(data.ArrayLayout(bits, 4)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Of two neighbouring rows one is even, of two columns likewise."""
        m, source = Module(), self.source
        lines, columns = [], []
        pair = delayed(m, source.pair, source.pair.shape(), 1)
        for parity in range(2):
            row = self.y + (self.y[0] ^ parity)
            far = Signal(signed(PLACE_BITS + 1), name=f"far_{parity}")
            m.d.comb += far.eq(row - source.first + source.ring_first)
            ring = Signal(COORDINATE_BITS, name=f"ring_{parity}")
            m.d.sync += ring.eq(Mux(far >= source.ring, far - source.ring, far))
            line = Signal(WINDOW_BITS, name=f"line_{parity}")
            m.d.sync += line.eq((ring >> 1) * pair)
            lines.append(line)
            column = Signal(WINDOW_BITS, name=f"column_{parity}")
            across = (self.x + (self.x[0] ^ parity)) >> 1
            m.d.sync += column.eq(across << self.deep)
            columns.append(delayed(m, column + delayed(m, self.part, 10, 1), WINDOW_BITS, 1))
        found = []
        for odd, line in enumerate(lines):
            for parity, column in enumerate(columns):
                memory = Memory(shape=self.bits, depth=self.words, init=[])
                m.submodules[f"bank_{odd}_{parity}"] = memory
                source_port, target = memory.read_port(), memory.write_port()
                write = self.write
                m.d.comb += [
                    source_port.addr.eq(line + column),
                    target.en.eq(write.en[parity] & (write.odd == odd)),
                    target.addr.eq(write.address),
                    target.data.eq(write.data[parity]),
                ]
                found.append(uncollided(m, platform, source_port, target))
        turned = [delayed(m, one[0], 1, CORNER_LATENCY - 1) for one in (self.y, self.x)]
        for number in range(4):
            down, right = number >> 1, number & 1
            rows = [Mux(turned[1] ^ right, found[2 * odd + 1], found[2 * odd]) for odd in range(2)]
            m.d.sync += self.corners[number].eq(Mux(turned[0] ^ down, rows[1], rows[0]))
        return m
