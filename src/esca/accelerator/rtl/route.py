"""From the banks to the rows of the array: every row's inputs out of sixteen words each."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from esca.accelerator.layout import SUB_BANKS
from esca.accelerator.rtl.activations import WORD_BITS, words_shape
from esca.accelerator.rtl.array import delayed
from esca.accelerator.rtl.modules import place
from esca.accelerator.rtl.params import Parameters
from esca.accelerator.rtl.window import QUARTERS, picks_shape

ROUTE_LATENCY = 2
"""Cycles from words to atoms."""


class Lane(wiring.Component):
    """One input of one row: out of the ``words`` of four banks, ``sub`` says which of each and, one
    cycle later, ``quarter`` which bank's.
    """

    def __init__(self) -> None:
        of_bank = data.ArrayLayout(WORD_BITS, SUB_BANKS)
        super().__init__(
            {
                "words": In(data.ArrayLayout(of_bank, QUARTERS)),
                "sub": In(2),
                "quarter": In(2),
                "atom": Out(WORD_BITS),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """A sub-bank of each bank, then one of the banks."""
        m = Module()
        of_banks = Signal(data.ArrayLayout(WORD_BITS, QUARTERS))
        m.d.sync += [of_banks[i].eq(words[self.sub]) for i, words in enumerate(self.words)]
        m.d.sync += self.atom.eq(of_banks[self.quarter])
        return m


class Route(wiring.Component):
    """``words`` and the ``picks`` for them in one cycle; ``atoms``, a word for each row and input,
    and ``picked``, what was picked, ``ROUTE_LATENCY`` cycles later.

    A row finds its inputs in the bank of its own number in each quarter of the banks.
    """

    def __init__(self, p: Parameters) -> None:
        self.p = p
        super().__init__(
            {
                "words": In(words_shape(p)),
                "picks": In(picks_shape(p)),
                "atoms": Out(data.ArrayLayout(data.ArrayLayout(WORD_BITS, p.mux), p.rows)),
                "picked": Out(picks_shape(p)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Lanes alone, and what was picked beside them."""
        p, m = self.p, Module()
        size = p.rows // QUARTERS
        second = delayed(m, self.picks, picks_shape(p), 1)
        m.d.sync += self.picked.eq(second)
        for row in range(p.rows):
            quarter, number = divmod(row, size)
            for choice in range(p.mux):
                lane = place(m, platform, f"lane_{row}_{choice}", "route_lane", Lane)
                m.d.comb += [
                    lane.sub.eq(self.picks[quarter][choice].sub),
                    lane.quarter.eq(second[quarter][choice].quarter),
                    self.atoms[row][choice].eq(lane.atom),
                ]
                for i in range(QUARTERS):
                    m.d.comb += lane.words[i].eq(self.words[i * size + number])
        return m
