"""The engine that enlarges maps: a bus word of a pixel's channels a cycle, of four neighbours."""

from typing import NamedTuple

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring

from esca.accelerator.rtl.array import delayed
from esca.accelerator.rtl.engine_ports import engine_ports
from esca.accelerator.rtl.engine_records import UPSAMPLE
from esca.accelerator.rtl.engine_sizes import EngineSizes, check_depth
from esca.accelerator.rtl.streams import COORDINATE_BITS
from esca.accelerator.rtl.window_banks import CORNER_LATENCY, PLACE_BITS, WindowBanks, WindowLines
from esca.accelerator.rtl.word_fill import FILL_LATENCY, WordFill

UPSAMPLE_DEPTH = CORNER_LATENCY + 3 + FILL_LATENCY
"""Cycles from a pixel's place to its values."""

SHARE_BITS = 5
"""Of a neighbour's share on one axis: at most twice the largest factor, 8."""


class _Axis(NamedTuple):
    """A coordinate of a pixel, and shares of the two neighbours there and behind."""

    place: Signal
    shares: tuple[Signal, Signal]


class Upsample(wiring.Component):
    """Ports as :func:`engine_ports` has them."""

    def __init__(self, sizes: EngineSizes, words: int) -> None:
        check_depth(sizes, UPSAMPLE_DEPTH, "upsample")
        self.sizes, self.words = sizes, words
        super().__init__(engine_ports(UPSAMPLE, sizes, words))

    def elaborate(self, platform: object) -> Module:
        """Pixels in order; their neighbours; weighted sums."""
        m, sizes = Module(), self.sizes
        width, latency = 8 * sizes.bus_bytes, sizes.latency
        banks = m.submodules.banks = WindowBanks(width, sizes.upsample_words)
        self._load(m, banks)
        held, busy = Signal(UPSAMPLE), Signal()
        beat, x, y = Signal(10), Signal(COORDINATE_BITS), Signal(COORDINATE_BITS)
        phases = [Signal(3, name=f"phase_{axis}") for axis in "yx"]
        places = [Signal(COORDINATE_BITS, name=f"place_{axis}") for axis in "yx"]
        beat_ends, row_ends = Signal(), Signal()
        m.d.comb += [
            beat_ends.eq(beat == held.beats - 1),
            row_ends.eq(beat_ends & (x == held.width - 1)),
            self.ending.eq(busy & row_ends & (y == held.rows - 1)),
            self.resulting.eq(delayed(m, self.ending, 1, latency)),
        ]
        m.d.sync += beat.eq(Mux(beat_ends, 0, beat + 1))
        with m.If(beat_ends):
            m.d.sync += x.eq(Mux(row_ends, 0, x + 1))
            self._next(m, held, phases[1], places[1])
        with m.If(row_ends):
            m.d.sync += [y.eq(y + 1), phases[1].eq(0), places[1].eq(0)]
            self._next(m, held, phases[0], places[0])
        with m.If(self.ending):
            m.d.sync += busy.eq(0)
        with m.If(self.start):
            record = self.record
            m.d.sync += [busy.eq(1), held.eq(record), phases[0].eq(record.phase)]
            m.d.sync += places[0].eq(record.row)
            m.d.sync += [one.eq(0) for one in (beat, x, y, phases[1], places[1])]
        limits = (held.source.height, held.source.width)
        down, right = (
            self._axis(m, held, phase, place, limit)
            for phase, place, limit in zip(phases, places, limits, strict=True)
        )
        m.d.comb += [
            banks.source.eq(held.source),
            banks.y.eq(down.place),
            banks.x.eq(right.place),
            banks.part.eq(Mux(held.nibbles, beat >> 1, beat)),
            banks.deep.eq(held.deep),
        ]
        upper = delayed(m, held.nibbles & beat[0], 1, CORNER_LATENCY)
        nibbles = delayed(m, held.nibbles, 1, CORNER_LATENCY)
        shares = [
            delayed(m, a * b, 2 * SHARE_BITS, CORNER_LATENCY - 1)
            for a in down.shares
            for b in right.shares
        ]
        factor = delayed(m, held.factor, 2, CORNER_LATENCY + 2)
        value = self._values(m, banks, shares, (nibbles, upper), factor)
        begins = (x == 0) & (beat == 0)
        filling = latency - FILL_LATENCY
        fill = m.submodules.fill = WordFill(sizes.bus_bytes, self.words)
        m.d.comb += [
            fill.valid.eq(delayed(m, busy, 1, filling)),
            fill.first.eq(delayed(m, begins & (y == 0), 1, filling)),
            fill.row.eq(delayed(m, begins, 1, filling)),
            fill.half.eq(delayed(m, held.results, 1, filling)),
            fill.bits.eq(delayed(m, Mux(held.nibbles, width // 2, width), 7, filling)),
            fill.value.eq(delayed(m, value, width, latency - UPSAMPLE_DEPTH)),
            self.write.eq(fill.write),
        ]
        return m

    def _load(self, m: Module, banks: WindowBanks) -> None:
        """Pixels of whole bus words, even and odd ones apart."""
        lines = m.submodules.lines = WindowLines(self.sizes.bus_bytes)
        loaded, write = self.loaded, banks.write
        deep, word = loaded.window.deep, loaded.word
        part = word & ((1 << deep) - 1)
        m.d.comb += lines.loaded.eq(loaded)
        m.d.sync += [
            write.en.eq(Mux(loaded.en, Mux((word >> deep)[0], 2, 1), 0)),
            write.odd.eq(lines.odd),
            write.address.eq(lines.line + ((word >> deep >> 1) << deep) + part),
            *(one.eq(loaded.data) for one in write.data),
        ]

    def _next(self, m: Module, held: Signal, phase: Signal, place: Signal) -> None:
        """The next pixel of an axis."""
        ends = phase == (1 << held.factor) - 1
        m.d.sync += [phase.eq(Mux(ends, 0, phase + 1)), place.eq(place + ends)]

    def _axis(self, m: Module, held: Signal, phase: Signal, place: Signal, size: Value) -> _Axis:
        """In units of half an output pixel; beyond an edge all is its pixel's."""
        twice, share = Signal(SHARE_BITS), Signal(SHARE_BITS)
        half, before = Signal(SHARE_BITS), Signal()
        m.d.comb += [
            half.eq(1 << held.factor),
            twice.eq(half << 1),
            before.eq(held.bilinear & (2 * phase + 1 < half)),
        ]
        with m.If(held.bilinear):
            m.d.comb += share.eq(2 * phase + 1 - half + Mux(before, twice, 0))
        first = Signal(signed(PLACE_BITS))
        m.d.comb += first.eq(place - before)
        shares = Signal(SHARE_BITS), Signal(SHARE_BITS)
        beyond = first + 1 >= size
        m.d.sync += [
            shares[0].eq(Mux(first < 0, 0, Mux(beyond, twice, twice - share))),
            shares[1].eq(Mux(first < 0, twice, Mux(beyond, 0, share))),
        ]
        return _Axis(first, shares)

    def _values(
        self,
        m: Module,
        banks: WindowBanks,
        shares: list,
        halves: tuple[Value, Value],
        factor: Value,
    ) -> Value:
        """Sums of a word of values, rounded half up once."""
        nibbles, upper = halves
        made, lanes = [], self.sizes.bus_bytes
        for lane in range(lanes):
            products = []
            for corner, share in zip(banks.corners, shares, strict=True):
                both = Mux(upper, corner[4 * lanes :], corner[: 4 * lanes])
                value = Mux(nibbles, both.word_select(lane, 4), corner.word_select(lane, 8))
                product = Signal(8 + 2 * SHARE_BITS)
                m.d.sync += product.eq(value * share)
                products.append(product)
            total = Signal(10 + 2 * SHARE_BITS)
            m.d.sync += total.eq(sum(products[1:], products[0]))
            half = 2 << (factor << 1)
            value = Signal(8)
            m.d.sync += value.eq((total + half) >> ((factor << 1) + 2))
            made.append(value)
        packed = Cat(one[:4] for one in made)
        return Mux(delayed(m, nibbles, 1, 3), packed, Cat(made))
