"""Fetch: records of every queue from memory, some ahead, each queue on its own."""

from collections.abc import Sequence

from amaranth.hdl import Cat, Module, Mux, Signal, ValueLike
from amaranth.lib import data, fifo, stream, wiring
from amaranth.lib.wiring import In, Out

from esca.accelerator.rtl.axi import ADDRESS_BITS, Axi
from esca.accelerator.rtl.bursts import Bursts
from esca.accelerator.rtl.commands import CommandQueue
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

_BEAT_BITS = BEAT_WORDS * WORD_BITS


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
        """Beats shift in from above, the lowest first."""
        m = Module()
        line = m.submodules.line = fifo.SyncFIFOBuffered(width=_BEAT_BITS, depth=self.depth)
        free = Signal(range(self.depth + 1), init=self.depth)
        held, count = Signal(self.beats * _BEAT_BITS), Signal(range(self.beats + 1))
        full, take = Signal(), Signal()
        m.d.comb += [
            full.eq(count == self.beats),
            take.eq(line.r_rdy & ~full),
            line.r_en.eq(take),
            line.w_en.eq(self.put),
            line.w_data.eq(self.beat),
            self.record.valid.eq(full),
            self.record.payload.eq(held[: self.layout.size]),
            self.room.eq(free >= self.beats),
            self.empty.eq((free == self.depth) & (count == 0)),
        ]
        m.d.sync += free.eq(free + take - Mux(self.asked, self.beats, 0))
        with m.If(take):
            m.d.sync += [
                held.eq(Cat(held[_BEAT_BITS:], line.r_data)),
                count.eq(count + 1),
            ]
        with m.If(full & self.record.ready):
            m.d.sync += count.eq(0)
        return m


class Fetch(wiring.Component):
    """Reads the directory at ``program`` after ``begin``, then records as there is room for them,
    queue after queue in turn. ``primed``: all that fits has come, the frame may go. ``more``: bits
    of queues some of whose records have not been delivered.
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
        m.submodules.bursts = bursts = Bursts(BEAT_BYTES)
        m.submodules.order = order = fifo.SyncFIFO(width=count + 1, depth=self.depth)
        lines = []
        for queue in self.queues:
            line = m.submodules[f"line_{queue.name}"] = RecordStream(queue.record)
            wiring.connect(m, line.record, wiring.flipped(getattr(self, f"record_{queue.name}")))
            lines.append(line)
        address = [Signal(ADDRESS_BITS, name=f"address_{q.name}") for q in self.queues]
        left = [Signal(20, name=f"left_{q.name}") for q in self.queues]
        listing, idle = Signal(), Signal(init=1)  # directory on its way; no request on its way
        # The next queue behind the one that asked last, if one there wants to, or else the first.
        behind, chosen = Signal(count), Signal(count)
        wants = Signal(count)
        m.d.comb += wants.eq(
            Cat((rest != 0) & line.room for rest, line in zip(left, lines, strict=True))
        )
        later = Signal(count)
        m.d.comb += later.eq(wants & behind)
        first = Mux(later.any(), later, wants)
        m.d.comb += chosen.eq(first & -first)
        ask = Signal()
        free = idle | bursts.ending
        m.d.comb += ask.eq(chosen.any() & free & ~listing & order.w_rdy & ~self.begin)
        with m.If(ask):
            m.d.sync += behind.eq(~(chosen | (chosen - 1)))
        transfer = bursts.transfer
        m.d.comb += [transfer.rows.eq(1), bursts.start.eq(ask | self.begin)]
        with m.If(self.begin):
            m.d.comb += [
                transfer.dram.eq(self.program),
                transfer.row_bytes.eq(beats(ENTRY_WORDS * count) * BEAT_BYTES),
            ]
            m.d.sync += listing.eq(1)
        m.d.comb += [order.w_en.eq(bursts.start), order.w_data.eq(Cat(chosen, self.begin))]
        for index, line in enumerate(lines):
            size = line.beats * BEAT_BYTES
            m.d.comb += line.asked.eq(ask & chosen[index])
            with m.If(line.asked):
                m.d.comb += [transfer.dram.eq(address[index]), transfer.row_bytes.eq(size)]
                m.d.sync += [
                    address[index].eq(address[index] + size),
                    left[index].eq(left[index] - 1),
                ]
        with m.If(bursts.start):
            m.d.sync += idle.eq(0)
        with m.Elif(bursts.ending):
            m.d.sync += idle.eq(1)
        m.d.comb += [
            self.axi.ar.valid.eq(bursts.bursts.valid),
            self.axi.ar.payload.eq(bursts.bursts.payload.request),
            bursts.bursts.ready.eq(self.axi.ar.ready),
        ]
        self._deliver(m, order, lines, address, left, listing)
        rests = [rest != 0 for rest in left]
        busy = [r | ~line.empty for r, line in zip(rests, lines, strict=True)]
        heads = [line.record.valid | line.empty for line in lines]
        still = ~self.begin & ~listing & idle & ~order.r_rdy & ~wants.any()
        # A cycle later, when who takes records has the last of them.
        m.d.sync += self.primed.eq(still & Cat(heads).all())
        m.d.comb += self.more.eq(Cat(busy))
        return m

    def _deliver(
        self,
        m: Module,
        order: fifo.SyncFIFO,
        lines: list[RecordStream],
        address: list[Signal],
        left: list[Signal],
        listing: Signal,
    ) -> None:
        count = len(lines)
        sizes = [line.beats for line in lines] + [beats(ENTRY_WORDS * count)]
        place, beat, valid = Signal(range(max(sizes) + 1)), self.axi.r.payload.data, Signal()
        last: ValueLike = 0
        for index, size in enumerate(sizes):
            last = last | (order.r_data[index] & (place == size - 1))
        m.d.comb += [self.axi.r.ready.eq(order.r_rdy), valid.eq(self.axi.r.valid & order.r_rdy)]
        for index, line in enumerate(lines):
            m.d.comb += [line.put.eq(valid & order.r_data[index]), line.beat.eq(beat)]
        words = [beat.word_select(i, WORD_BITS) for i in range(BEAT_WORDS)]
        with m.If(valid):
            m.d.comb += order.r_en.eq(last)
            m.d.sync += place.eq(Mux(last, 0, place + 1))
            with m.If(order.r_data[-1]):
                for index in range(count):
                    at, word = divmod(ENTRY_WORDS * index, BEAT_WORDS)
                    with m.If(place == at):
                        m.d.sync += [
                            address[index].eq(words[word]),
                            left[index].eq(words[word + 1]),
                        ]
                with m.If(last):
                    m.d.sync += listing.eq(0)
