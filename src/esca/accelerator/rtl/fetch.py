"""Fetch: records of every queue from memory, some ahead, each queue on its own."""

from collections.abc import Sequence
from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Const, Module, Mux, Signal, ValueLike
from amaranth.lib import data, fifo, stream, wiring
from amaranth.lib.wiring import In, Out

from esca.accelerator.rtl.array import delayed
from esca.accelerator.rtl.axi import ADDRESS_BITS, PAGE_BYTES, Axi
from esca.accelerator.rtl.commands import CommandQueue
from esca.accelerator.rtl.near_fifo import NearFifo
from esca.accelerator.rtl.records import WORD_BITS, record_words

BEAT_WORDS = 4
"""Words that come at once; records and the directory fill whole beats. A unit of the array takes
three records of some 46 words together, and the shortest ones last little longer than a row.
"""

BEAT_BYTES = BEAT_WORDS * WORD_BITS // 8
AHEAD = 8
"""Records of a queue that are fetched ahead at least."""

ENTRY_WORDS = 2
"""Words of a queue in the directory: address of its first record, number of records."""

PACE = 4
"""Cycles from one request to the next. A record takes about as many beats."""

_BEAT_BITS = BEAT_WORDS * WORD_BITS
_BEAT_SHIFT = (BEAT_BYTES - 1).bit_length()
_BEAT_ADDRESS = ADDRESS_BITS - _BEAT_SHIFT
_BEATS = 6
"""Bits of the number of beats of a request."""


def beats(words: int) -> int:
    """Beats that so many words take."""
    return -(-words // BEAT_WORDS)


class RecordStream(wiring.Component):
    """A queue's beats on their way: a buffer of ``depth`` and the record that they become.

    ``room``: so many beats as a record has are free beyond those that have been asked for
    (``asked``). ``empty``: nothing is here and nothing was asked for.
    """

    def __init__(self, layout: data.StructLayout) -> None:
        self.layout, self.beats = layout, beats(record_words(layout))
        self.depth = 1 << (AHEAD * self.beats - 1).bit_length()
        super().__init__(
            {
                "asked": In(1),
                "put": In(1),
                "beat": In(_BEAT_BITS),
                "record": Out(stream.Signature(layout)),
                "room": Out(1),
                "empty": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Beats wait in a queue with room for what was asked for; the lowest shifts in first."""
        m = Module()
        line = m.submodules.line = NearFifo(_BEAT_BITS, self.depth)
        free = Signal(range(self.depth + 1), init=self.depth)
        held, count = Signal(self.beats * _BEAT_BITS), Signal(range(self.beats + 1))
        full, take = Signal(), Signal()
        asked = Mux(self.asked, self.beats, 0)
        m.d.comb += [
            take.eq(line.there & ~full),
            line.take.eq(~full),
            line.put.eq(self.put),
            line.word.eq(self.beat),
            self.record.valid.eq(full),
            self.record.payload.eq(held[: self.layout.size]),
            self.room.eq(free >= self.beats),
            self.empty.eq((free == self.depth) & (count == 0)),
        ]
        # A cycle old, which nobody sees: who asks looks two cycles later.
        m.d.sync += free.eq(free + delayed(m, take, 1, 1) - delayed(m, asked, asked.shape(), 1))
        with m.If(take):
            m.d.sync += [
                held.eq(Cat(held[_BEAT_BITS:], line.first)),
                count.eq(count + 1),
                full.eq(count == self.beats - 1),
            ]
        with m.If(full & self.record.ready):
            m.d.sync += [count.eq(0), full.eq(0)]
        return m


class Fetch(wiring.Component):
    """Reads the directory at ``program`` after ``begin``, then records as there is room for them,
    queue after queue in turn, one in ``PACE`` cycles. ``primed``: all that fits has come, the frame
    may go. ``more``: bits of queues some of whose records have not been delivered.
    """

    def __init__(self, queues: Sequence[CommandQueue], depth: int = 16) -> None:
        self.queues, self.depth = tuple(queues), depth
        outs = {f"record_{q.name}": Out(stream.Signature(q.record)) for q in self.queues}
        super().__init__(
            {
                **outs,
                "program": In(ADDRESS_BITS),
                "begin": In(1),
                "primed": Out(1),
                "more": Out(len(self.queues)),
                "axi": Out(Axi(BEAT_BYTES, read_only=True)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Requests in turn; beats go to the queue that asked first."""
        m = Module()
        count = len(self.queues)
        m.submodules.order = order = fifo.SyncFIFOBuffered(width=count + 1, depth=self.depth)
        lines = []
        for queue in self.queues:
            line = m.submodules[f"line_{queue.name}"] = RecordStream(queue.record)
            wiring.connect(m, line.record, wiring.flipped(getattr(self, f"record_{queue.name}")))
            lines.append(line)
        address = [Signal(_BEAT_ADDRESS, name=f"address_{q.name}") for q in self.queues]
        left = [Signal(20, name=f"left_{q.name}") for q in self.queues]
        listing = Signal()  # directory on its way
        sends, room = self._request(m)
        # Wanted, chosen, asked, sent: a cycle each. The next queue behind the one that asked last,
        # if one there wants to, or else the first.
        steps = Signal(PACE, init=1)
        free = room & order.w_rdy & ~listing & ~self.begin
        m.d.sync += steps.eq(Mux(steps[0] & ~free, 1, steps.rotate_left(1)))
        wants, behind, chosen = Signal(count), Signal(count), Signal(count)
        rests = Signal(count)  # a cycle old, as late as it may be
        m.d.sync += rests.eq(Cat(rest != 0 for rest in left))
        wanted = rests & Cat(line.room for line in lines)
        later = wants & behind
        ask = Signal()
        m.d.comb += ask.eq(steps[2] & chosen.any())
        m.d.sync += [wants.eq(wanted), chosen.eq(Mux(later.any(), later & -later, wants & -wants))]
        with m.If(ask):
            m.d.sync += behind.eq(~(chosen | (chosen - 1)))
        m.d.comb += [
            order.w_en.eq(ask | self.begin),
            order.w_data.eq(Mux(self.begin, 1 << count, chosen)),
        ]
        with m.If(self.begin):
            m.d.sync += [listing.eq(1), steps.eq(1)]
        for index, line in enumerate(lines):
            m.d.comb += line.asked.eq(ask & chosen[index])
            with m.If(line.asked):
                m.d.sync += [
                    address[index].eq(address[index] + line.beats),
                    left[index].eq(left[index] - 1),
                ]
        asked = [
            Mux(chosen[index], Cat(address[index], Const(line.beats, _BEATS)), 0)
            for index, line in enumerate(lines)
        ]
        directory = Cat(self.program[_BEAT_SHIFT:], Const(beats(ENTRY_WORDS * count), _BEATS))
        m.d.sync += [
            sends.valid.eq(ask | self.begin),
            Cat(sends.address, sends.beats).eq(Mux(self.begin, directory, reduce(or_, asked))),
        ]
        arrived = self._deliver(m, order, lines, address, left, listing)
        busy = [(rest != 0) | ~line.empty for rest, line in zip(left, lines, strict=True)]
        heads = [line.record.valid | line.empty for line in lines]
        quiet = delayed(m, ~wanted.any() & ~wants.any() & ~chosen.any(), 1, 1)
        still = ~self.begin & ~listing & room & (order.level == 0) & ~arrived & quiet
        # A cycle later, when who takes records has the last of them.
        m.d.sync += self.primed.eq(still & Cat(heads).all())
        m.d.comb += self.more.eq(Cat(busy))
        return m

    def _request(self, m: Module) -> tuple[data.View, Signal]:
        """A request to be sent, which leaves in two bursts where it crosses a page; whether there
        is room for one.
        """
        request = data.StructLayout({"valid": 1, "address": _BEAT_ADDRESS, "beats": _BEATS})
        sends, held, rest = Signal(request), Signal(request), Signal(_BEATS)
        room = Signal()
        inside = PAGE_BYTES // BEAT_BYTES
        low = inside.bit_length() - 1
        end, here = Signal(range(2 * inside)), Signal(range(inside + 1))
        next_page = Signal(_BEAT_ADDRESS - low)
        payload = self.axi.ar.payload
        ready, crosses = Signal(), Signal()
        m.d.comb += [
            room.eq(~held.valid | (ready & self.axi.ar.ready & ~crosses)),
            self.axi.ar.valid.eq(ready),
            payload.address.eq(held.address << _BEAT_SHIFT),
            payload.beats_less_1.eq(here - 1),
        ]
        with m.If(sends.valid):
            m.d.sync += [held.eq(sends), ready.eq(0), end.eq(sends.address[:low] + sends.beats)]
        with m.Elif(held.valid & ~ready):
            # What is left of a request behind a page's end is shorter than a page.
            m.d.sync += [
                ready.eq(1),
                crosses.eq(end > inside),
                here.eq(Mux(end > inside, inside - held.address[:low], held.beats)),
                rest.eq(end - inside),
                next_page.eq(held.address[low:] + 1),
            ]
        with m.Elif(ready & self.axi.ar.ready):
            m.d.sync += [
                ready.eq(0),
                held.valid.eq(crosses),
                held.address.eq(next_page << low),
                held.beats.eq(rest),
                end.eq(rest),
            ]
        return sends, room

    def _deliver(
        self,
        m: Module,
        order: fifo.SyncFIFOBuffered,
        lines: list[RecordStream],
        address: list[Signal],
        left: list[Signal],
        listing: Signal,
    ) -> Signal:
        """Each beat stands in a register for a cycle, as lines lie far apart; whether one does."""
        count = len(lines)
        sizes = [line.beats for line in lines] + [beats(ENTRY_WORDS * count)]
        place, valid, arrived = Signal(range(max(sizes) + 1)), Signal(), Signal()
        beat = delayed(m, self.axi.r.payload.data, _BEAT_BITS, 1)
        last: ValueLike = 0
        for index, size in enumerate(sizes):
            last = last | (order.r_data[index] & (place == size - 1))
        m.d.comb += [self.axi.r.ready.eq(order.r_rdy), valid.eq(self.axi.r.valid & order.r_rdy)]
        m.d.sync += arrived.eq(valid)
        for index, line in enumerate(lines):
            m.d.comb += line.beat.eq(beat)
            m.d.sync += line.put.eq(valid & order.r_data[index])
        with m.If(valid):
            m.d.comb += order.r_en.eq(last)
            m.d.sync += place.eq(Mux(last, 0, place + 1))
        listed = valid & order.r_data[-1]
        words = [beat.word_select(i, WORD_BITS) for i in range(BEAT_WORDS)]
        for index in range(count):
            at, word = divmod(ENTRY_WORDS * index, BEAT_WORDS)
            with m.If(delayed(m, listed & (place == at), 1, 1)):
                m.d.sync += [
                    address[index].eq(words[word] >> _BEAT_SHIFT),
                    left[index].eq(words[word + 1]),
                ]
        # Until what is left is known and has been asked for.
        with m.If(delayed(m, listed & last, 1, 3)):
            m.d.sync += listing.eq(0)
        return arrived
