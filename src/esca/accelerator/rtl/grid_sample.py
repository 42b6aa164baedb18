"""The engine that samples a texture at given places: a place a cycle, all channels of it."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory, WritePort
from amaranth.lib.wiring import In, Out

from esca.accelerator.rtl.array import delayed
from esca.accelerator.rtl.collisions import uncollided
from esca.accelerator.rtl.engine_ports import engine_ports
from esca.accelerator.rtl.engine_records import GRID_SAMPLE, WINDOW_BITS
from esca.accelerator.rtl.engine_sizes import EngineSizes, check_depth
from esca.accelerator.rtl.requantize import FACTOR_BITS
from esca.accelerator.rtl.streams import COORDINATE_BITS
from esca.accelerator.rtl.window_banks import (
    CORNER_LATENCY,
    PLACE_BITS,
    WindowBanks,
    WindowLines,
    loaded_shape,
)
from esca.accelerator.rtl.word_fill import FILL_LATENCY, WordFill
from esca.runtime.integer import COORDINATE_BITS as SHARE_BITS

AXIS_DEPTH = 5
"""Cycles from the address of a place to its texels' coordinates."""

GRID_DEPTH = AXIS_DEPTH + CORNER_LATENCY + 5 + FILL_LATENCY
"""And to its values."""

STORED_BITS = 16
"""Of a coordinate of a place."""

FIXED_BITS = PLACE_BITS + SHARE_BITS
"""Of a texel's coordinate with its fraction, signed."""

CHANNELS, VALUE_BITS = 3, 10
"""Of a texel: a word of 32 bits."""


class GridSample(wiring.Component):
    """Ports as :func:`engine_ports` has them; ``places``: words of places, two
    in each. ``alarm``: a sample meets a row of the texture that is not there.
    """

    def __init__(self, sizes: EngineSizes, words: int) -> None:
        check_depth(sizes, GRID_DEPTH, "grid_sample")
        self.sizes, self.words = sizes, words
        more = {"alarm": Out(1), "places": In(loaded_shape(sizes.bus_bytes))}
        super().__init__(engine_ports(GRID_SAMPLE, sizes, words) | more)

    def elaborate(self, platform: object) -> Module:
        """Places in order; texels; weighted sums."""
        m, sizes = Module(), self.sizes
        width, latency = 8 * sizes.bus_bytes, sizes.latency
        banks = m.submodules.banks = WindowBanks(width // 2, sizes.texels)
        memory = Memory(shape=width, depth=sizes.place_words, init=[])
        m.submodules.places = memory
        target = self._load(m, banks, memory)
        held, busy = Signal(GRID_SAMPLE), Signal()
        x, y, at = Signal(COORDINATE_BITS), Signal(COORDINATE_BITS), Signal(WINDOW_BITS)
        row_ends = Signal()
        m.d.comb += [
            row_ends.eq(x == held.width - 1),
            self.ending.eq(busy & row_ends & (y == held.rows - 1)),
            self.resulting.eq(delayed(m, self.ending, 1, latency)),
        ]
        m.d.sync += x.eq(Mux(row_ends, 0, x + 1))
        with m.If(row_ends | x[0]):
            m.d.sync += at.eq(Mux(at == held.place_last, 0, at + 1))
        with m.If(row_ends):
            m.d.sync += y.eq(y + 1)
        with m.If(self.ending):
            m.d.sync += busy.eq(0)
        with m.If(self.start):
            record = self.record
            m.d.sync += [busy.eq(1), held.eq(record), x.eq(0), y.eq(0), at.eq(record.place)]
        source = memory.read_port()
        m.d.comb += source.addr.eq(at)
        word = uncollided(m, platform, source, target)
        place = Mux(delayed(m, x[0], 1, 1), word[width // 2 :], word[: width // 2])
        job = delayed(m, held, GRID_SAMPLE, 1)  # of each stage, as jobs follow without a gap
        fixed = []
        for axis, size in (("x", held.source.width), ("y", held.source.height)):
            stored = place[:STORED_BITS] if axis == "x" else place[STORED_BITS:]
            fixed.append(self._texel(m, job, stored, axis, delayed(m, size, COORDINATE_BITS, 4)))
        job = delayed(m, job, GRID_SAMPLE, AXIS_DEPTH - 1)
        valid = delayed(m, busy, 1, AXIS_DEPTH)
        shares = []
        for axis, size in zip(fixed, (job.source.width, job.source.height), strict=True):
            shares.append(self._shares(m, axis, size))
        self._check(m, job, fixed[1][SHARE_BITS:].as_signed(), valid)
        m.d.comb += [
            banks.source.eq(job.source),
            banks.x.eq(fixed[0][SHARE_BITS:].as_signed()),
            banks.y.eq(fixed[1][SHARE_BITS:].as_signed()),
        ]
        weights = [
            delayed(m, a * b, 2 * SHARE_BITS + 1, CORNER_LATENCY - 1)
            for a in shares[1]
            for b in shares[0]
        ]
        job = delayed(m, job, GRID_SAMPLE, CORNER_LATENCY)
        value = self._values(m, banks, weights, job)
        begins = x == 0
        filling = latency - FILL_LATENCY
        fill = m.submodules.fill = WordFill(sizes.bus_bytes, self.words)
        m.d.comb += [
            fill.valid.eq(delayed(m, busy, 1, filling)),
            fill.first.eq(delayed(m, begins & (y == 0), 1, filling)),
            fill.row.eq(delayed(m, begins, 1, filling)),
            fill.half.eq(delayed(m, held.results, 1, filling)),
            fill.bits.eq(width // 2),
            fill.value.eq(delayed(m, value, width // 2, latency - GRID_DEPTH)),
            self.write.eq(fill.write),
        ]
        return m

    def _load(self, m: Module, banks: WindowBanks, memory: Memory) -> WritePort:
        """Two texels a bus word, the even one first; places one behind the other. Returns what
        writes places.
        """
        lines = m.submodules.lines = WindowLines(self.sizes.bus_bytes)
        loaded, write = self.loaded, banks.write
        half = 4 * self.sizes.bus_bytes
        m.d.comb += lines.loaded.eq(loaded)
        m.d.sync += [
            write.en.eq(Mux(loaded.en, 3, 0)),
            write.odd.eq(lines.odd),
            write.address.eq(lines.line + loaded.word),
            write.data[0].eq(loaded.data[:half]),
            write.data[1].eq(loaded.data[half:]),
        ]
        places, window = self.places, self.places.window
        at, last = Signal(WINDOW_BITS), Signal(WINDOW_BITS)
        begins = (places.row == 0) & (places.word == 0)
        target = memory.write_port()
        m.d.comb += [
            at.eq(Mux(begins, window.first, Mux(last == window.last, 0, last + 1))),
            target.en.eq(places.en),
            target.addr.eq(at),
            target.data.eq(places.data),
        ]
        with m.If(places.en):
            m.d.sync += last.eq(at)
        return target

    def _texel(self, m: Module, job: data.View, stored: Value, axis: str, size: Value) -> Signal:
        """A coordinate in texels; ``size`` of the stage that adds it."""
        off = Signal(signed(STORED_BITS + 1), name=f"off_{axis}")
        m.d.sync += off.eq(stored - job.place_zero)
        factor = delayed(m, job[axis], job[axis].shape(), 1)
        product = Signal(signed(STORED_BITS + 1 + FACTOR_BITS), name=f"product_{axis}")
        m.d.sync += product.eq(off * factor.mantissa)
        shift = delayed(m, factor.shift, 6, 1)
        fine = Signal(signed(FIXED_BITS + 2), name=f"fine_{axis}")
        m.d.sync += fine.eq(product >> shift)
        fixed = Signal(signed(FIXED_BITS), name=f"fixed_{axis}")
        m.d.sync += fixed.eq(((fine + 1) >> 1) + ((size - 1) << (SHARE_BITS - 1)))
        return fixed

    def _shares(self, m: Module, fixed: Signal, size: Value) -> tuple[Signal, Signal]:
        """Of a texel and the next; 0 outside."""
        first, share = fixed[SHARE_BITS:].as_signed(), fixed[:SHARE_BITS]
        here = (first >= 0) & (first < size)
        behind = (first >= -1) & (first + 1 < size)
        shares = Signal(SHARE_BITS + 1), Signal(SHARE_BITS + 1)
        m.d.sync += [
            shares[0].eq(Mux(here, (1 << SHARE_BITS) - share, 0)),
            shares[1].eq(Mux(behind, share, 0)),
        ]
        return shares

    def _check(self, m: Module, job: data.View, row: Value, valid: Value) -> None:
        """Rows of the map that are met are among those in the window."""
        source, wrong = job.source, []
        for number in range(2):
            met = row + number
            inside = (met >= 0) & (met < source.height)
            there = (met >= source.first) & (met < source.first + source.count)
            wrong.append(inside & ~there)
        m.d.sync += self.alarm.eq(valid & Cat(wrong).any())

    def _values(self, m: Module, banks: WindowBanks, weights: list, job: data.View) -> Value:
        """A texel from four; ``job`` of the stage of the corners."""
        made, shift = [], 2 * SHARE_BITS
        later = delayed(m, job, GRID_SAMPLE, 4)
        for channel in range(CHANNELS):
            products = []
            for number, (corner, weight) in enumerate(zip(banks.corners, weights, strict=True)):
                name = f"{channel}_{number}"
                value = Signal(signed(VALUE_BITS + 1), name=f"value_{name}")
                m.d.sync += value.eq(corner.word_select(channel, VALUE_BITS) - job.zero)
                product = Signal(signed(VALUE_BITS + 2 * SHARE_BITS + 2), name=f"product_{name}")
                m.d.sync += product.eq(value * delayed(m, weight, 2 * SHARE_BITS + 1, 1))
                products.append(product)
            pairs = [Signal(signed(len(products[0]) + 1), name=f"pair_{channel}_{n}") for n in "ab"]
            m.d.sync += [
                pairs[0].eq(products[0] + products[1]),
                pairs[1].eq(products[2] + products[3]),
            ]
            whole = Signal(signed(VALUE_BITS + 2), name=f"whole_{channel}")
            m.d.sync += whole.eq((pairs[0] + pairs[1] + (1 << (shift - 1))) >> shift)
            y = whole + later.zero
            value = Signal(VALUE_BITS, name=f"made_{channel}")
            m.d.sync += value.eq(Mux(y < 0, 0, Mux(y > later.top, later.top, y)))
            made.append(value)
        return Cat(*made, Const(0, 2))
