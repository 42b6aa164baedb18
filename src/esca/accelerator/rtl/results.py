"""Results in two halves, laid out as they will be stored, and the words of stores."""

from collections.abc import Sequence

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import data, fifo, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from esca.accelerator.hardware.formats import FORMATS
from esca.accelerator.reads import power_above
from esca.accelerator.rtl.array import delayed
from esca.accelerator.rtl.collisions import uncollided
from esca.accelerator.rtl.counters import Count
from esca.accelerator.rtl.drain_records import STORE
from esca.accelerator.rtl.modules import place
from esca.accelerator.rtl.near_fifo import NEAR_LATENCY, NearFifo
from esca.accelerator.rtl.params import Parameters
from esca.accelerator.rtl.place_results import runs_shape, slots
from esca.accelerator.rtl.requantize import VALUE_BITS

RESULT_BITS = 10
"""Most bits of a stored value."""

AHEAD = 16
"""Words that are read before memory takes them."""

READ_CYCLES = 5
"""Cycles from asking for a word to its place among those."""

SENT_LATENCY = READ_CYCLES + 1 + NEAR_LATENCY
"""Cycles from the start of a store to its first word."""

LEAST_LEAD, MOST_LEAD = 2, 4
"""Cycles from runs to their values: more than two are registers on the way of what is chosen."""


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
    """``runs`` come ``lead`` cycles ahead of their ``values``, which are in their places from four
    cycles later on. ``start``: ``store`` is the next; its first word is ``sent``
    ``SENT_LATENCY`` cycles later, where no earlier store's is in the way.

    A memory for each slot of a word of ``word_bytes``, which is one bus word or more; ``words`` for
    both halves, of even rows or of odd ones. These have memories of their own, since a place's
    outputs may go to both at once; where places come every other cycle only, one behind the other,
    they share one.
    """

    def __init__(
        self, p: Parameters, bus_bytes: int, word_bytes: int, words: int, lead: int = LEAST_LEAD
    ) -> None:
        self.p, self.bus_bytes, self.word_bytes, self.words = p, bus_bytes, word_bytes, words
        self.early = min(lead - LEAST_LEAD, 1)
        self.lead = lead - self.early
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
        m, shared = Module(), self.p.drain_turns > 1
        words = 2 * self.words if shared else self.words
        banks = [
            [
                place(m, platform, f"slot_{odd}_{slot}", "slot", Slot, words)
                for slot in range(self.word_bytes)
            ]
            for odd in range(1 if shared else 2)
        ]
        self._write(m, banks)
        self._read(m, banks)
        return m

    def _write(self, m: Module, banks: Sequence[Sequence[Slot]]) -> None:
        """Which value each slot takes is known when the values come."""
        runs, given, again = self._taken(m)
        tens = runs.format == FORMATS.index("tens")
        chosen = [
            delayed(m, runs.format == FORMATS.index(name), 1, 1) for name in ("nibbles", "words")
        ]
        plain = [value[:RESULT_BITS] for value in given]
        pairs = [Cat(a[:4], b[:4]) for a, b in zip(plain[::2], plain[1::2], strict=False)]
        halves = [value.word_select(part, 8) for value in given for part in range(2)]
        count = Mux(tens, slots("tens", self.word_bytes), slots("bytes", self.word_bytes))
        for odd, bank in enumerate(banks):
            first = ~again if len(banks) == 1 else runs.odd == odd
            run = Signal.like(runs.a, name=f"run_{odd}")
            skip = Signal(7, name=f"skip_{odd}")
            slot_before, end, over = (
                Signal(8, name=f"{name}_{odd}") for name in ("slot", "end", "over")
            )
            m.d.comb += [
                run.eq(Mux(first, runs.a, runs.b)),
                skip.eq(Mux(first, 0, runs.skip)),
            ]
            m.d.sync += [
                slot_before.eq(run.slot),
                end.eq(run.slot + run.count),
                over.eq(Mux(run.count > run.rest, run.count - run.rest, 0)),
            ]
            behind = self.lead + 1  # values stand in a register before they turn
            address = delayed(m, run.address, range(self.words), behind)
            parity = None if len(banks) == 2 else delayed(m, runs.odd ^ again, 1, behind)
            there = delayed(m, count, count.shape(), 1)
            turned = self._turned(m, (plain, pairs, halves), chosen, run.slot - skip, tens)
            for slot, (one, value) in enumerate(zip(bank, turned, strict=True)):
                before = slot < slot_before
                within = Mux(before, slot < over, slot < end) & (slot < there)
                place = Signal(range(self.words), name=f"place_{odd}_{slot}")
                m.d.comb += place.eq(address + delayed(m, before, 1, behind - 1))
                m.d.sync += [
                    one.write.en.eq(delayed(m, within, 1, behind - 1)),
                    one.write.address.eq(_address(place, parity)),
                    one.write.data.eq(value),
                ]

    def _taken(self, m: Module) -> tuple[data.View, Sequence[Value], Value]:
        """Runs and, ``self.lead`` cycles behind, their values; both come ``again`` where they are
        meant for a place's second run, which shares the memories of the first.
        """
        again, last = Signal(), Signal(self.runs.shape())
        came: data.View = delayed(m, self.runs, self.runs.shape(), self.early)
        if self.p.drain_turns == 1:
            return came, list(self.values), again
        runs = Signal(self.runs.shape())
        m.d.comb += runs.eq(Mux(again, last.as_value(), came.as_value()))
        m.d.sync += [
            last.eq(came),
            again.eq(~again & ((came.a.count | came.b.count) != 0)),
        ]
        repeats = delayed(m, again, 1, self.lead)
        held = delayed(m, self.values, self.values.shape(), 1)
        return (
            runs,
            [Mux(repeats, old, new) for old, new in zip(held, self.values, strict=True)],
            again,
        )

    def _turned(
        self,
        m: Module,
        sources: tuple[Sequence[Value], Sequence[Value], Sequence[Value]],
        chosen: Sequence[Value],
        turn: Value,
        tens: Value,
    ) -> Sequence[Value]:
        """A value for every slot of a word: those behind the last begin again at the first.

        ``sources``: values plain, pairs of nibbles, halves of words; ``chosen``, one cycle behind
        ``turn`` and ``tens``, says whether they are pairs or halves. All slots turn as one ring;
        values of ten bits leave the last quarter of a word free, so that what begins again skips as
        many.
        """
        size = self.word_bytes
        turns, (plain, pairs, halves) = delayed(m, turn, signed(9), 1), sources
        by = delayed(m, turns, power_above(size), self.lead)
        skipped, wraps = size - slots("tens", size), delayed(m, tens, 1, 1)
        nibbles, words = chosen
        ring = []
        for slot in range(size):
            skips = wraps & (turns >= size - skipped - slot)
            # One choice among four.
            choice = delayed(m, Cat(nibbles | skips, words | skips), 2, self.lead - 1)
            beside = plain[slot - skipped : slot - skipped + 1] if slot >= skipped else ()
            one, pair, half, other = (
                next(iter(values), Const(0, 1))
                for values in (plain[slot:], pairs[slot:], halves[slot:], beside)
            )
            value = Mux(choice[1], Mux(choice[0], other, half), Mux(choice[0], pair, one))
            ring.append(delayed(m, value, RESULT_BITS, 1))
        for level in range(len(by)):
            made = [Signal(RESULT_BITS, name=f"turned_{level}") for _ in ring]
            for slot, one in enumerate(made):
                m.d.comb += one.eq(Mux(by[level], ring[slot - (1 << level)], ring[slot]))
            ring = made
        return ring

    def _read(self, m: Module, banks: Sequence[Sequence[Slot]]) -> None:
        """Rows of words, from even and odd memories in turn."""
        line = m.submodules.stores = fifo.SyncFIFO(width=STORE.size, depth=4)
        out = m.submodules.sending = NearFifo(8 * self.bus_bytes, AHEAD)
        m.d.comb += [line.w_data.eq(self.store.as_value()), line.w_en.eq(self.start)]
        busy, held = Signal(), Signal(STORE)
        row, beat = Count(m, 12, "row"), Count(m, 16, "beat")
        first = Signal(range(self.words))
        inner = power_above(self.word_bytes // self.bus_bytes)
        row_words = Signal(16)
        asking, ends = Signal(), Signal()
        m.d.comb += [
            # A cycle old, which is why there is one word more on its way.
            asking.eq(busy & delayed(m, out.level < AHEAD - READ_CYCLES - 1, 1, 1)),
            ends.eq(asking & beat.is_last & row.is_last),
            line.r_en.eq(~busy | ends),
        ]
        with m.If(asking):
            beat.step()
            with m.If(beat.is_last):
                row.step()
                with m.If(row.value[0]):
                    m.d.sync += first.eq(first + row_words)
        with m.If(line.r_en):
            next_store = data.View(STORE, line.r_data)
            count_rows(beat, row, next_store, self.bus_bytes)
            m.d.sync += [
                busy.eq(line.r_rdy),
                held.eq(next_store),
                row_words.eq(
                    (next_store.row_bytes + (self.word_bytes - 1)) >> power_above(self.word_bytes)
                ),
                first.eq(Mux(next_store.half, self.words // 2, 0)),
            ]
        odd = delayed(m, row.value[0], 1, READ_CYCLES - 2)
        tens = delayed(m, held.tens, 1, READ_CYCLES - 2)
        address = delayed(m, first + (beat.value >> inner), range(self.words), 1)
        if len(banks) == 1:
            parity = delayed(m, row.value[0], 1, 1)
            m.d.comb += [slot.address.eq(_address(address, parity)) for slot in banks[0]]
            found = [slot.found for slot in banks[0]]
        else:
            m.d.comb += [slot.address.eq(address) for bank in banks for slot in bank]
            found = [Mux(odd, b.found, a.found) for a, b in zip(*banks, strict=True)]
        word = Mux(tens, _tens(found), Cat(one[:8] for one in found))
        part = delayed(m, beat.value[:inner], inner, READ_CYCLES - 2)
        m.d.sync += out.word.eq(word.word_select(part, 8 * self.bus_bytes))
        m.d.comb += [
            out.put.eq(delayed(m, asking, 1, READ_CYCLES - 1)),
            self.sent.valid.eq(out.there),
            self.sent.payload.eq(out.first),
            out.take.eq(self.sent.ready),
        ]


def count_rows(words: Count, rows: Count, store: data.View, bus_bytes: int) -> None:
    """Begin to count bus words of the rows of a ``store``, and its rows."""
    shift = power_above(bus_bytes)
    words.begin((store.row_bytes - (bus_bytes + 1)) >> shift, store.row_bytes <= bus_bytes)
    rows.begin(store.rows - 2, store.rows == 1)


def _address(word: Value, parity: Value | None) -> Value:
    """Of a word: the ``parity`` of its row below it, where both share a memory."""
    return word if parity is None else Cat(parity, word)


def _tens(found: Sequence[Value]) -> Value:
    """Three values of ten bits in each 32."""
    count = len(found) * 3 // 4
    return Cat(Cat(found[i : i + 3], Const(0, 2)) for i in range(0, count, 3))
