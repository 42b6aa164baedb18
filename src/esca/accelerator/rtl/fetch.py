"""Fetch: records of every queue from memory, some ahead, each queue on its own."""

from collections.abc import Sequence

from amaranth.hdl import Cat, Module, Mux, Signal, ValueLike
from amaranth.lib import data, fifo, stream, wiring
from amaranth.lib.wiring import In, Out

from esca.accelerator.rtl.axi import ADDRESS_BITS, Axi
from esca.accelerator.rtl.bursts import Bursts
from esca.accelerator.rtl.commands import CommandQueue
from esca.accelerator.rtl.records import WORD_BITS, record_words

WORD_BYTES = WORD_BITS // 8
AHEAD = 4
"""Records of a queue that are fetched ahead at least."""

ENTRY_WORDS = 2
"""Words of a queue in the directory: address of its first record, number of records."""


class RecordStream(wiring.Component):
    """A queue's words on their way: a buffer of ``depth`` and the record that they become.

    ``room``: so many words as a record has are free beyond those that have been asked for
    (``asked``). ``empty``: nothing is here and nothing was asked for.
    """

    def __init__(self, layout: data.StructLayout) -> None:
        self.layout, self.words = layout, record_words(layout)
        self.depth = 1 << (AHEAD * self.words - 1).bit_length()
        super().__init__(
            {
                "clear": In(1),
                "asked": In(1),
                "put": In(1),
                "word": In(WORD_BITS),
                "record": Out(stream.Signature(layout)),
                "room": Out(1),
                "empty": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Words shift in from above, the lowest first."""
        m = Module()
        line = m.submodules.line = fifo.SyncFIFOBuffered(width=WORD_BITS, depth=self.depth)
        free = Signal(range(self.depth + 1), init=self.depth)
        held, count = Signal(self.words * WORD_BITS), Signal(range(self.words + 1))
        full, take = Signal(), Signal()
        m.d.comb += [
            full.eq(count == self.words),
            take.eq(line.r_rdy & ~full),
            line.r_en.eq(take),
            line.w_en.eq(self.put),
            line.w_data.eq(self.word),
            self.record.valid.eq(full),
            self.record.payload.eq(held[: self.layout.size]),
            self.room.eq(free >= self.words),
            self.empty.eq((free == self.depth) & (count == 0)),
        ]
        m.d.sync += free.eq(free + take - Mux(self.asked, self.words, 0))
        with m.If(take):
            m.d.sync += [
                held.eq(Cat(held[WORD_BITS:], line.r_data)),
                count.eq(count + 1),
            ]
        with m.If(full & self.record.ready):
            m.d.sync += count.eq(0)
        with m.If(self.clear):
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
                "axi": Out(Axi(WORD_BYTES, read_only=True)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Requests in turn; words go to the queue that asked first."""
        m = Module()
        count = len(self.queues)
        m.submodules.bursts = bursts = Bursts(WORD_BYTES)
        m.submodules.order = order = fifo.SyncFIFO(width=count + 1, depth=self.depth)
        lines = []
        for queue in self.queues:
            line = m.submodules[f"line_{queue.name}"] = RecordStream(queue.record)
            wiring.connect(m, line.record, wiring.flipped(getattr(self, f"record_{queue.name}")))
            lines.append(line)
        address = [Signal(ADDRESS_BITS, name=f"address_{q.name}") for q in self.queues]
        left = [Signal(20, name=f"left_{q.name}") for q in self.queues]
        listing, idle = Signal(), Signal(init=1)  # directory on its way; no request on its way
        turn = Signal(count, init=1)
        wants = Cat((rest != 0) & line.room for rest, line in zip(left, lines, strict=True))
        chosen = Signal(count)
        with m.If((turn & wants).any()):
            m.d.comb += chosen.eq(turn & wants)
        m.d.sync += turn.eq(turn.rotate_left(1))
        ask = Signal()
        m.d.comb += ask.eq(chosen.any() & idle & ~listing & order.w_rdy & ~self.begin)
        transfer = bursts.transfer
        m.d.comb += [transfer.rows.eq(1), bursts.start.eq(ask | self.begin)]
        with m.If(self.begin):
            m.d.comb += [
                transfer.dram.eq(self.program),
                transfer.row_bytes.eq(ENTRY_WORDS * WORD_BYTES * count),
            ]
            m.d.sync += listing.eq(1)
        m.d.comb += [order.w_en.eq(bursts.start), order.w_data.eq(Cat(chosen, self.begin))]
        for index, line in enumerate(lines):
            size = line.words * WORD_BYTES
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
        m.d.comb += [
            self.more.eq(Cat(busy)),
            self.primed.eq(~listing & idle & ~order.r_rdy & ~wants.any() & Cat(heads).all()),
        ]
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
        count, place = len(lines), Signal(range(max(line.words for line in lines) + 2 * len(lines)))
        word, valid = self.axi.r.payload.data, Signal()
        sizes = [line.words for line in lines] + [ENTRY_WORDS * count]
        last: ValueLike = 0
        for index, size in enumerate(sizes):
            last = last | (order.r_data[index] & (place == size - 1))
        m.d.comb += [self.axi.r.ready.eq(order.r_rdy), valid.eq(self.axi.r.valid & order.r_rdy)]
        for index, line in enumerate(lines):
            m.d.comb += [line.put.eq(valid & order.r_data[index]), line.word.eq(word)]
        with m.If(valid):
            m.d.comb += order.r_en.eq(last)
            m.d.sync += place.eq(Mux(last, 0, place + 1))
            with m.If(order.r_data[-1]):
                for index in range(count):
                    with m.If(place == ENTRY_WORDS * index):
                        m.d.sync += address[index].eq(word)
                    with m.If(place == ENTRY_WORDS * index + 1):
                        m.d.sync += left[index].eq(word)
                with m.If(last):
                    m.d.sync += listing.eq(0)
