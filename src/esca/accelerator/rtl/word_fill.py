"""Values that fill bus words from below, one run a cycle: what a half of a word store is given."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from esca.accelerator.rtl.array import delayed
from esca.accelerator.rtl.word_store import write_shape

FILL_LATENCY = 2
"""Cycles from a value to its word."""


class WordFill(wiring.Component):
    """``value``, the lowest ``bits`` of it, follows what came before, if ``valid``; no value lies
    in two words. ``first``: it is the first of its job, at word 0 of ``half``; ``row``: it begins
    a new word. The word as far as it is full is in ``write`` ``FILL_LATENCY`` cycles
    later.
    """

    def __init__(self, bus_bytes: int, words: int) -> None:
        self.width, bus = 8 * bus_bytes, 8 * bus_bytes
        super().__init__(
            {
                "valid": In(1),
                "first": In(1),
                "row": In(1),
                "half": In(1),
                "bits": In(range(bus + 1)),
                "value": In(bus),
                "write": Out(write_shape(bus_bytes, words)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Where in its word a value goes; 0 also behind a full one. The word is a cycle later."""
        m, write = Module(), self.write
        place, before = Signal(range(self.width)), Signal(self.width)
        word, now = Signal(write.address.shape()), Signal(write.address.shape())
        here, filled = Signal.like(place), Signal(self.width)
        shift, fresh, late = Signal.like(place), Signal(), Signal(self.width)
        fills = Signal()
        begins = self.first | self.row
        end = Signal(range(2 * self.width))
        mask = Cat(self.bits > bit for bit in range(self.width))
        m.d.comb += [
            here.eq(Mux(begins, 0, place)),
            now.eq(Mux(self.first, 0, word + (self.row & (place != 0)))),
            end.eq(here + self.bits),
            filled.eq(Mux(fresh, 0, before) | (late << shift)),
        ]
        m.d.sync += [
            shift.eq(here),
            fresh.eq(here == 0),
            late.eq(self.value & mask),
            fills.eq(self.valid),
            write.en.eq(fills),
            write.half.eq(delayed(m, self.half, 1, 1)),
            write.address.eq(delayed(m, now, write.address.shape(), 1)),
            write.data.eq(filled),
        ]
        with m.If(fills):
            m.d.sync += before.eq(filled)
        with m.If(self.valid):
            m.d.sync += [
                place.eq(Mux(end == self.width, 0, end)),
                word.eq(now + (end == self.width)),
            ]
        return m
