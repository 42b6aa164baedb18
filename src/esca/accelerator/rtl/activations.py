"""The banks of activations: one for each row of the array, each of four sub-banks of 16 bits."""

from amaranth.hdl import Module
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from esca.accelerator.config import AcceleratorConfig
from esca.accelerator.layout import SUB_BANKS
from esca.accelerator.rtl.collisions import uncollided
from esca.accelerator.rtl.modules import place
from esca.accelerator.rtl.params import Parameters
from esca.accelerator.rtl.window import QUARTERS, address_shape

WORD_BITS = 16

READ_LATENCY = 2
"""Cycles from an address to its word."""


def bank_words(config: AcceleratorConfig) -> int:
    """Words of a sub-bank."""
    return config.buffers.activation_bytes // (config.array.rows * SUB_BANKS * WORD_BITS // 8)


def words_shape(p: Parameters) -> data.ArrayLayout:
    """A word of every sub-bank."""
    return data.ArrayLayout(data.ArrayLayout(WORD_BITS, SUB_BANKS), p.rows)


def access_shape(words: int) -> data.StructLayout:
    """What a sub-bank is to do: ``write`` the low byte, the high byte or both of ``data``, or else
    read.
    """
    return data.StructLayout({"write": 2, "address": range(words), "data": WORD_BITS})


def accesses_shape(p: Parameters, words: int) -> data.ArrayLayout:
    """What every sub-bank is to do."""
    return data.ArrayLayout(data.ArrayLayout(access_shape(words), SUB_BANKS), p.rows)


class SubBank(wiring.Component):
    """Two ports: ``word`` at ``address``; ``other`` reads ``other_word`` or writes. Words come
    ``READ_LATENCY`` cycles later. A word that is written must not be read in that cycle.
    """

    def __init__(self, words: int) -> None:
        self.words = words
        super().__init__(
            {
                "address": In(range(words)),
                "word": Out(WORD_BITS),
                "other": In(access_shape(words)),
                "other_word": Out(WORD_BITS),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """A memory, and a register behind each port that reads."""
        m, other = Module(), self.other
        m.submodules.memory = memory = Memory(shape=WORD_BITS, depth=self.words, init=[])
        mine, theirs = memory.read_port(), memory.read_port()
        target = memory.write_port(granularity=8)
        m.d.comb += [
            mine.addr.eq(self.address),
            theirs.addr.eq(other.address),
            theirs.en.eq(~other.write.any()),
            target.addr.eq(other.address),
            target.data.eq(other.data),
            target.en.eq(other.write),
        ]
        m.d.sync += [
            self.word.eq(uncollided(m, platform, mine, target)),
            self.other_word.eq(theirs.data),
        ]
        return m


class Activations(wiring.Component):
    """All sub-banks: ``words`` at the array's ``addresses``, those of a quarter's banks alike; and
    what all others read (``other_words``) and write (``other``).
    """

    def __init__(self, p: Parameters, words: int) -> None:
        self.p, self.depth = p, words
        super().__init__(
            {
                "addresses": In(address_shape((words - 1).bit_length())),
                "words": Out(words_shape(p)),
                "other": In(accesses_shape(p, words)),
                "other_words": Out(words_shape(p)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Sub-banks alone."""
        m = Module()
        for bank in range(self.p.rows):
            quarter = bank * QUARTERS // self.p.rows
            for sub in range(SUB_BANKS):
                name = f"bank_{bank}_{sub}"
                made = place(m, platform, name, "sub_bank", SubBank, self.depth)
                m.d.comb += [
                    made.address.eq(self.addresses[quarter][sub]),
                    made.other.eq(self.other[bank][sub]),
                    self.words[bank][sub].eq(made.word),
                    self.other_words[bank][sub].eq(made.other_word),
                ]
        return m
