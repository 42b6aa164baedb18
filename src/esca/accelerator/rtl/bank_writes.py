"""Who writes the banks of activations: the epilogue at once, loaded words as soon as they can."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, fifo, wiring
from amaranth.lib.wiring import In, Out

from esca.accelerator.layout import SUB_BANKS
from esca.accelerator.rtl.activations import accesses_shape
from esca.accelerator.rtl.load_rows import placed_shape
from esca.accelerator.rtl.params import Parameters

WAITING_WORDS = 256
"""Loaded words that may wait for their sub-banks without holding up memory."""

WAITING_LATENCY = 2
"""Cycles from a placed word to its write, where nothing is in its way."""

JOBS = 64
"""More jobs than may be under way."""


class BankWrites(wiring.Component):
    """``first``: what the epilogue does to the banks, in this very cycle. ``placed`` words, if
    ``placing``, wait in line; the one in front is written in a cycle in which ``first`` writes to
    none of its sub-banks. ``accesses``: both. ``room``: a few more words can wait.

    ``due``: by memory's cycles a job's result is there in the next cycle; ``resulting``: it is.
    That is the same cycle, or the one behind the write of its last word where that is later.
    """

    def __init__(self, p: Parameters, words: int, bus_bytes: int) -> None:
        self.p, self.words, self.bus_bytes = p, words, bus_bytes
        super().__init__(
            {
                "first": In(accesses_shape(p, words)),
                "placing": In(1),
                "placed": In(placed_shape(words, bus_bytes)),
                "room": Out(1),
                "accesses": Out(accesses_shape(p, words)),
                "due": In(1),
                "resulting": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """A line of words, and what the one in front means for each bank."""
        m = Module()
        shape = placed_shape(self.words, self.bus_bytes)
        line = m.submodules.line = fifo.SyncFIFOBuffered(width=shape.size, depth=WAITING_WORDS)
        word = data.View(shape, line.r_data)
        writing, taken = Signal(), []
        m.d.comb += [
            line.w_data.eq(self.placed.as_value()),
            line.w_en.eq(self.placing),
            self.room.eq(line.level < WAITING_WORDS - 8),
        ]
        for bank in range(self.p.rows):
            value, mask = self._of_bank(bank, word)
            for index in range(SUB_BANKS):
                access, first = self.accesses[bank][index], self.first[bank][index]
                here = Mux((word.sub == index) & ~word.none, mask, 0)
                taken.append(first.write.any() & here.any())
                m.d.comb += access.eq(first)
                with m.If(writing & here.any()):
                    m.d.comb += [
                        access.address.eq(word.address),
                        access.data.eq(value),
                        access.write.eq(here),
                    ]
        m.d.comb += [writing.eq(line.r_rdy & ~Cat(taken).any()), line.r_en.eq(writing)]
        self._results(m, writing & word.last)
        return m

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
