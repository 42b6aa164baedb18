"""From outputs, one a column, to writes of the banks of activations."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from esca.accelerator.layout import SUB_BANKS
from esca.accelerator.reads import power_above
from esca.accelerator.rtl.activations import WORD_BITS, accesses_shape
from esca.accelerator.rtl.params import Parameters
from esca.accelerator.rtl.place_outputs import target_shape
from esca.accelerator.rtl.requantize import VALUE_BITS

ATOM_VALUES = {(0, 0): 1, (0, 1): 2, (1, 0): 2, (1, 1): 4}
"""Values of an atom by ``nibbles`` and ``two_bytes``."""


ASSEMBLE_LATENCY = 1
"""Cycles from values to what the banks are to do."""


def taken_shape() -> data.ArrayLayout:
    """By half of the banks, the lower first, and sub-bank: whether it is written."""
    return data.ArrayLayout(data.ArrayLayout(1, SUB_BANKS), 2)


class Assemble(wiring.Component):
    """``values`` of all columns, neighbouring channels of one pixel, and their ``target``; a cycle
    later what the banks are to do, ``writes``, and in which of them, ``taken``.

    Atoms of a pixel lie in neighbouring banks from a multiple of their number on, so that a bank
    never takes more than one, and in each mode always the same.
    """

    def __init__(self, p: Parameters, words: int) -> None:
        self.p, self.words = p, words
        super().__init__(
            {
                "values": In(data.ArrayLayout(unsigned(VALUE_BITS), p.columns)),
                "target": In(target_shape(p, words)),
                "writes": Out(accesses_shape(p, words)),
                "taken": Out(taken_shape()),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """A word a bank, written to one of its sub-banks."""
        m, target = Module(), self.target
        later = Signal(target.shape())
        words = Signal(data.ArrayLayout(WORD_BITS, self.p.rows))
        here, written = Signal(self.p.rows), Signal(data.ArrayLayout(SUB_BANKS, self.p.rows))
        subs, half = Cat(target.sub == sub for sub in range(SUB_BANKS)), self.p.rows // 2
        m.d.sync += [
            later.eq(target),
            *(one.eq(Mux(here[bank], subs, 0)) for bank, one in enumerate(written)),
            *(
                taken.as_value().eq(Mux(banks.any(), subs, 0))
                for taken, banks in zip(self.taken, (here[:half], here[half:]), strict=True)
            ),
        ]
        for (nibbles, two_bytes), count in ATOM_VALUES.items():
            atoms = self._atoms(count, 4 if nibbles else 8)
            group = power_above(len(atoms))
            with m.If((target.nibbles == nibbles) & (target.two_bytes == two_bytes)):
                for bank in range(self.p.rows):
                    atom = atoms[bank % len(atoms)]
                    m.d.comb += here[bank].eq(target.on & (target.bank >> group == bank >> group))
                    m.d.sync += words[bank].eq(atom.replicate(2))
        mask = Mux(later.two_bytes, 3, Mux(later.odd, 2, 1))
        for bank in range(self.p.rows):
            for sub in range(SUB_BANKS):
                access = self.writes[bank][sub]
                m.d.comb += [
                    access.address.eq(later.word),
                    access.data.eq(words[bank]),
                    access.write.eq(Mux(written[bank][sub], mask, 0)),
                ]
        return m

    def _atoms(self, count: int, bits: int) -> list[Value]:
        values = [self.values[i][:bits] for i in range(self.p.columns)]
        return [Cat(values[i : i + count]) for i in range(0, len(values), count)]
