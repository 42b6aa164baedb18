"""Values that fill bus words from below, one run a cycle: what a half of a word store is given."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from esca.accelerator.rtl.word_store import write_shape


class WordFill(wiring.Component):
    """``value``, the lowest ``bits`` of it, follows what came before, if ``valid``; no value lies
    in two words. ``first``: it is the first of its job, at word 0 of ``half``; ``row``: it begins
    a new word. The word as far as it is full is in ``write`` in the same cycle.
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
        """A word, and where in it the next value goes; 0 also behind a full one."""
        m, write = Module(), self.write
        place, before = Signal(range(self.width)), Signal(self.width)
        word, now = Signal(write.address.shape()), Signal(write.address.shape())
        here, filled = Signal.like(place), Signal(self.width)
        begins = self.first | self.row
        end = Signal(range(2 * self.width))
        mask = Cat(self.bits > place for place in range(self.width))
        kept = Value.cast(self.value) & mask
        m.d.comb += [
            here.eq(Mux(begins, 0, place)),
            now.eq(Mux(self.first, 0, word + (self.row & (place != 0)))),
            filled.eq(Mux(here == 0, 0, before) | (kept << here)),
            end.eq(here + self.bits),
            write.en.eq(self.valid),
            write.half.eq(self.half),
            write.address.eq(now),
            write.data.eq(filled),
        ]
        with m.If(self.valid):
            m.d.sync += [
                before.eq(filled),
                place.eq(Mux(end == self.width, 0, end)),
                word.eq(now + (end == self.width)),
            ]
        return m
