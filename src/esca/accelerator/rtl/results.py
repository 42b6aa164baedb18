"""Results in two halves, laid out as they will be stored, and the words of stores."""

from collections.abc import Sequence

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, fifo, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from esca.accelerator.reads import power_above
from esca.accelerator.rtl.array import delayed
from esca.accelerator.rtl.collisions import uncollided
from esca.accelerator.rtl.drain_records import FORMATS, STORE
from esca.accelerator.rtl.modules import place
from esca.accelerator.rtl.params import Parameters
from esca.accelerator.rtl.place_results import runs_shape, slots
from esca.accelerator.rtl.requantize import VALUE_BITS

RESULT_BITS = 10
"""Most bits of a stored value."""

AHEAD = 16
"""Words that are read before memory takes them."""

READ_CYCLES = 5
"""Cycles from asking for a word to its place among those."""

RUNS_LEAD = 2
"""Cycles from runs to their values."""


class Slot(wiring.Component):
    """One value of every word: ``data`` is written if ``en``; ``found`` of ``address`` comes two
    cycles later.
    """

    def __init__(self, words: int) -> None:
        self.words = words
        address = range(words)
        write = data.StructLayout({"en": 1, "address": address, "data": RESULT_BITS})
        super().__init__({"write": In(write), "address": In(address), "found": Out(RESULT_BITS)})

    def elaborate(self, platform: object) -> Module:
        """A memory."""
        m = Module()
        m.submodules.memory = memory = Memory(shape=RESULT_BITS, depth=self.words, init=[])
        source, target = memory.read_port(), memory.write_port()
        m.d.comb += [
            source.addr.eq(self.address),
            target.addr.eq(self.write.address),
            target.data.eq(self.write.data),
            target.en.eq(self.write.en),
        ]
        m.d.sync += self.found.eq(uncollided(m, platform, source, target))
        return m


class Results(wiring.Component):
    """``runs`` come ``RUNS_LEAD`` cycles ahead of their ``values``, which are in their places from
    three cycles later on. ``start``: ``store`` is the next; its first word is ``sent``
    ``READ_CYCLES`` + 2 cycles later, where no earlier store's is in the way.

    Even and odd rows of results have memories of their own, one for each slot of a word of
    ``word_bytes``, which is one bus word or more; ``words`` for both halves.
    """

    def __init__(self, p: Parameters, bus_bytes: int, word_bytes: int, words: int) -> None:
        self.p, self.bus_bytes, self.word_bytes, self.words = p, bus_bytes, word_bytes, words
        super().__init__(
            {
                "values": In(data.ArrayLayout(unsigned(VALUE_BITS), p.columns)),
                "runs": In(runs_shape(words)),
                "start": In(1),
                "store": In(STORE),
                "sent": Out(stream.Signature(8 * bus_bytes)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Memories; the way in; the way out."""
        m = Module()
        banks = [
            [
                place(m, platform, f"slot_{odd}_{slot}", "slot", lambda: Slot(self.words))
                for slot in range(self.word_bytes)
            ]
            for odd in range(2)
        ]
        self._write(m, banks)
        self._read(m, banks)
        return m

    def _write(self, m: Module, banks: Sequence[Sequence[Slot]]) -> None:
        """Which value each slot takes is chosen two cycles ahead."""
        runs, columns = self.runs, self.p.columns
        tens = runs.format == FORMATS.index("tens")
        nibbles = delayed(m, runs.format == FORMATS.index("nibbles"), 1, RUNS_LEAD)
        wide = delayed(m, runs.format == FORMATS.index("words"), 1, RUNS_LEAD)
        plain = [value[:RESULT_BITS] for value in self.values]
        pairs = [Cat(a[:4], b[:4]) for a, b in zip(plain[::2], plain[1::2], strict=False)]
        taken = [Mux(nibbles, pair, one) for pair, one in zip(pairs, plain, strict=False)]
        taken += plain[len(pairs) :]
        halves = [value.word_select(part, 8) for value in self.values for part in range(2)]
        narrow = [Mux(wide, half, one) for half, one in zip(halves, taken, strict=False)]
        values = Array([*narrow, *halves[len(taken) :]])
        count = Mux(tens, slots("tens", self.word_bytes), slots("bytes", self.word_bytes))
        for odd, bank in enumerate(banks):
            first = runs.odd == odd
            run = Signal.like(runs.a, name=f"run_{odd}")
            skip = Signal(7, name=f"skip_{odd}")
            m.d.comb += [run.eq(Mux(first, runs.a, runs.b)), skip.eq(Mux(first, 0, runs.skip))]
            address = delayed(m, run.address, range(self.words), RUNS_LEAD)
            slots_there = delayed(m, count, count.shape(), 1)
            most = delayed(m, run.count, 7, 1)
            skipped = delayed(m, skip, 7, 1)
            for slot, one in enumerate(bank):
                before = slot < run.slot
                index = Signal(7, name=f"index_{odd}_{slot}")
                m.d.sync += index.eq(Mux(before, slot + run.rest, slot - run.slot))
                within = (index < most) & (slot < slots_there)
                value = delayed(m, skipped + index, range(2 * columns), 1)
                m.d.sync += [
                    one.write.en.eq(delayed(m, within, 1, 1)),
                    one.write.address.eq(address + delayed(m, before, 1, RUNS_LEAD)),
                    one.write.data.eq(values[value]),
                ]

    def _read(self, m: Module, banks: Sequence[Sequence[Slot]]) -> None:
        """Rows of words, from even and odd memories in turn."""
        line = m.submodules.stores = fifo.SyncFIFO(width=STORE.size, depth=4)
        out = m.submodules.sending = fifo.SyncFIFO(width=8 * self.bus_bytes, depth=AHEAD)
        m.d.comb += [line.w_data.eq(self.store.as_value()), line.w_en.eq(self.start)]
        busy, held = Signal(), Signal(STORE)
        row, beat, first = Signal(12), Signal(16), Signal(range(self.words))
        inner = power_above(self.word_bytes // self.bus_bytes)
        row_words, last_beat, last_row = Signal(16), Signal(16), Signal(12)
        asking, row_ends, ends = Signal(), Signal(), Signal()
        m.d.comb += [
            asking.eq(busy & (out.w_level < AHEAD - READ_CYCLES)),
            row_ends.eq(beat == last_beat),
            ends.eq(asking & row_ends & (row == last_row)),
            line.r_en.eq(~busy | ends),
        ]
        with m.If(asking):
            m.d.sync += beat.eq(Mux(row_ends, 0, beat + 1))
            with m.If(row_ends):
                m.d.sync += row.eq(row + 1)
                with m.If(row[0]):
                    m.d.sync += first.eq(first + row_words)
        with m.If(line.r_en):
            next_store = data.View(STORE, line.r_data)
            m.d.sync += [
                busy.eq(line.r_rdy),
                held.eq(next_store),
                last_beat.eq((next_store.row_bytes - 1) >> power_above(self.bus_bytes)),
                row_words.eq(
                    (next_store.row_bytes + self.word_bytes - 1) >> power_above(self.word_bytes)
                ),
                last_row.eq(next_store.rows - 1),
                row.eq(0),
                beat.eq(0),
                first.eq(Mux(next_store.half, self.words // 2, 0)),
            ]
        odd = delayed(m, row[0], 1, READ_CYCLES - 2)
        tens = delayed(m, held.tens, 1, READ_CYCLES - 2)
        address = delayed(m, first + (beat >> inner), range(self.words), 1)
        for bank in banks:
            m.d.comb += [slot.address.eq(address) for slot in bank]
        found = [Mux(odd, b.found, a.found) for a, b in zip(*banks, strict=True)]
        word = Mux(tens, _tens(found), Cat(one[:8] for one in found))
        part = delayed(m, beat[:inner], inner, READ_CYCLES - 2)
        m.d.sync += out.w_data.eq(word.word_select(part, 8 * self.bus_bytes))
        m.d.comb += [
            out.w_en.eq(delayed(m, asking, 1, READ_CYCLES - 1)),
            self.sent.valid.eq(out.r_rdy),
            self.sent.payload.eq(out.r_data),
            out.r_en.eq(self.sent.ready),
        ]


def _tens(found: Sequence[Value]) -> Value:
    """Three values of ten bits in each 32."""
    count = len(found) * 3 // 4
    return Cat(Cat(found[i : i + 3], Const(0, 2)) for i in range(0, count, 3))
