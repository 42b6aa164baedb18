"""Who writes the banks of activations: the epilogue at once, loaded words as soon as they can."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from esca.accelerator.hardware.latencies import WAITING_LATENCY
from esca.accelerator.layout import SUB_BANKS
from esca.accelerator.rtl.activations import accesses_shape
from esca.accelerator.rtl.array import delayed
from esca.accelerator.rtl.assemble import taken_shape
from esca.accelerator.rtl.deep_fifo import DEEP_LATENCY, DeepFifo
from esca.accelerator.rtl.load_rows import placed_shape
from esca.accelerator.rtl.params import Parameters

WAITING_WORDS = 256
"""Loaded words that may wait for their sub-banks without holding up memory."""

FIRST_LATENCY = 2
"""Cycles from what the epilogue does to the banks to when it is done."""

assert WAITING_LATENCY == DEEP_LATENCY + 2

UNDER_WAY = 16
"""More words than come after there is no room: they are on their way to the line already."""

JOBS = 64
"""More jobs than may be under way."""


class BankWrites(wiring.Component):
    """``first``: what the epilogue does to the banks, ``taken``: in which of them. ``placed``
    words, if ``placing``, wait in line; the one in front is written where ``first`` writes to none
    of its sub-banks in the same cycle. ``accesses``: both, ``first`` ``FIRST_LATENCY`` cycles
    later. ``room``: a few more words can wait.

    ``due``: by memory's cycles a job's result is there in the next cycle; ``resulting``: it is.
    That is the same cycle, or the one behind the write of its last word where that is later.
    """

    def __init__(self, p: Parameters, words: int, bus_bytes: int) -> None:
        self.p, self.words, self.bus_bytes = p, words, bus_bytes
        super().__init__(
            {
                "first": In(accesses_shape(p, words)),
                "taken": In(taken_shape()),
                "placing": In(1),
                "placed": In(placed_shape(words, bus_bytes)),
                "room": Out(1, init=1),
                "accesses": Out(accesses_shape(p, words)),
                "due": In(1),
                "resulting": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """A line of words, and what the one in front means for each bank."""
        m = Module()
        shape = placed_shape(self.words, self.bus_bytes)
        line = m.submodules.line = DeepFifo(shape.size, WAITING_WORDS)
        front, valid = Signal(shape), Signal()
        goes_to = Signal(2 * SUB_BANKS)  # what the word in front writes: sub-banks by half
        writing = Signal()
        m.d.comb += [
            line.word.eq(self.placed.as_value()),
            line.put.eq(self.placing),
            line.take.eq(~valid | writing),
        ]
        m.d.sync += self.room.eq(line.level < WAITING_WORDS - UNDER_WAY)
        first_of_line = data.View(shape, line.first)
        next_goes_to = self._goes_to(first_of_line)
        with m.If(line.take):
            m.d.sync += [
                front.eq(first_of_line),
                valid.eq(line.there),
                goes_to.eq(next_goes_to),
            ]
        # Whether the word in front meets what comes first is known a cycle ahead, for the one that
        # is there and for the one behind it.
        met = Signal()
        behind = Mux(line.take, next_goes_to, goes_to)
        m.d.sync += met.eq((behind & self.taken.as_value()).any())
        m.d.comb += writing.eq(valid & ~met)
        for bank in range(self.p.rows):
            value, mask = self._of_bank(bank, front)
            mine = goes_to.word_select(bank // (self.p.rows // 2), SUB_BANKS)
            for index in range(SUB_BANKS):
                access = self.accesses[bank][index]
                first = delayed(m, self.first[bank][index], access.shape(), 1)
                busy = first.write.any()
                m.d.sync += [
                    access.address.eq(Mux(busy, first.address, front.address)),
                    access.data.eq(Mux(busy, first.data, value)),
                    access.write.eq(first.write | Mux(writing & mine[index], mask, 0)),
                ]
        self._results(m, delayed(m, writing & front.last, 1, 1))
        return m

    def _goes_to(self, word: data.View) -> Value:
        """Sub-banks that a word writes, of the lower half of the banks, then of the upper."""
        both = ~word.two if self.bus_bytes == self.p.rows else Const(1, 1)
        return Cat(
            ~word.none & (word.sub == sub) & (both | (word.low == upper))
            for upper in range(2)
            for sub in range(SUB_BANKS)
        )

    def _of_bank(self, bank: int, word: data.View) -> tuple[Value, Value]:
        """What a bank takes of a bus word, and which bytes of its own these are."""
        rows, content = self.p.rows, word.data
        if self.bus_bytes == 2 * rows:
            pair = Cat(content[2 * bank], content[2 * bank + 1])
            return Mux(word.two, pair, Cat(content[bank], content[rows + bank])), Cat(1, 1)
        upper, place = divmod(bank, rows // 2)
        pair = Cat(content[2 * place], content[2 * place + 1])
        mine = Mux(word.two, Mux(word.low == upper, 3, 0), Mux(word.low, 2, 1))
        return Mux(word.two, pair, content[bank].replicate(2)), mine

    def _results(self, m: Module, written: Value) -> None:
        """Jobs whose last word is written, and those whose result is due, are counted."""
        done, due = Signal(range(JOBS)), Signal(range(JOBS))
        m.d.comb += self.resulting.eq((done != 0) & (self.due | (due != 0)))
        m.d.sync += [
            done.eq(done + written - self.resulting),
            due.eq(due + self.due - self.resulting),
        ]
