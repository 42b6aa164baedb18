"""DMA: transfers between the memory port and the buffers, one after the other."""

from collections.abc import Sequence
from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Module, Mux, Signal, Value, ValueLike
from amaranth.lib import data, fifo, stream, wiring
from amaranth.lib.wiring import In, Out

from esca.accelerator.hardware.latencies import SETUP, SLACK
from esca.accelerator.rtl.array import delayed
from esca.accelerator.rtl.axi import Axi
from esca.accelerator.rtl.bursts import ROW_BITS, TRANSFER, Bursts
from esca.accelerator.rtl.commands import CommandQueue
from esca.accelerator.rtl.counters import Count
from esca.accelerator.rtl.near_fifo import NEAR_LATENCY, NearFifo

STORE_LAG = 7
"""Cycles from the first busy one of a store to its first word in ``sent``."""

COMING = LEAVING = 1 + NEAR_LATENCY
"""Cycles from a word that was ``sent`` to its turn, and from there to the port: senders, the words
of both and the port lie far from each other, so that a queue stands at either end.
"""

ROOM = 3
"""Entries of a list that are free where there is said to be room for one."""

_REQUESTS = 8
"""Requests that wait at the port."""

_WORDS, _UNDER_WAY = 8, 3
"""Words of stores that wait in a queue, and those that come after it has no room."""

STORES = ("stores", "linear_stores")


def loaded_word(bus_bytes: int, loads: int, detail: int) -> data.StructLayout:
    """A word that was loaded: ``queue`` (one bit of ``loads``) whose job it belongs to, the bits of
    that job's payload (``detail``), its ``row`` and place in it (``word``); ``last`` of the job.
    """
    return data.StructLayout(
        {
            "queue": loads,
            "detail": detail,
            "row": 12,
            "word": ROW_BITS,
            "last": 1,
            "data": 8 * bus_bytes,
        }
    )


class Dma(wiring.Component):
    """Serves the DMA ``queues``, loads and stores. In the cycle before a job's first busy one
    ``start`` has its queue's bit, and ``head_<name>`` its payload.

    A job of n words is busy for ``SETUP`` + n cycles; ``ending`` in the last. ``resulting``, a bit
    a queue: its words are in their buffer, or memory has acknowledged them. With a port that takes
    a request a cycle, answers the words of a burst from latency - ``SLACK`` cycles on and
    acknowledges a burst as late, its result comes ``latency`` later.

    ``loaded``: who takes a word has it in its buffer ``SLACK - 1`` cycles later. ``sent_<name>``:
    words of stores; who sends them has ``STORE_LAG`` + 1 at hand that memory does not take yet.
    ``depth``: jobs under way on either side.
    """

    def __init__(self, queues: Sequence[CommandQueue], bus_bytes: int, depth: int = 32) -> None:
        self.queues, self.bus_bytes, self.depth = tuple(queues), bus_bytes, depth
        self.loads = [q.name for q in self.queues if q.name not in STORES]
        self.stores = [q.name for q in self.queues if q.name in STORES]
        self.detail = max(q.payload.size for q in self.queues if q.name not in STORES)
        word = loaded_word(bus_bytes, len(self.loads), self.detail)
        members = {f"head_{queue.name}": In(queue.payload) for queue in self.queues}
        members |= {f"sent_{q}": In(stream.Signature(8 * bus_bytes)) for q in self.stores}
        super().__init__(
            {
                **members,
                "start": In(len(self.queues)),
                "ending": Out(1),
                "resulting": Out(len(self.queues)),
                "loaded": Out(stream.Signature(word)),
                "axi": Out(Axi(bus_bytes)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Bursts leave on one side; who is under way waits in lists on the other."""
        m = Module()
        m.submodules.bursts = bursts = Bursts(self.bus_bytes)
        names = [queue.name for queue in self.queues]
        starts = dict(zip(names, self.start, strict=True))
        m.d.comb += [bursts.start.eq(self.start.any()), self.ending.eq(bursts.ending)]
        current = Signal(len(names))
        head = Signal(self.detail)
        transfer = Signal(TRANSFER)
        stores = Signal()  # the one under way does
        with m.If(bursts.start):
            m.d.sync += [current.eq(self.start), head.eq(self._chosen_detail(starts))]
            m.d.sync += transfer.eq(bursts.transfer)
            m.d.sync += stores.eq(Cat(starts[name] for name in self.stores).any())
        asked = [Mux(starts[name], self._asked(m, name).as_value(), 0) for name in names]
        m.d.comb += bursts.transfer.eq(reduce(or_, asked))
        of = dict(zip(names, current, strict=True))
        loading = Cat(of[name] for name in self.loads)
        storing = Cat(of[name] for name in self.stores)
        taken = bursts.bursts.valid & bursts.bursts.ready
        fresh = Signal()  # no burst of the job has left
        with m.If(bursts.start):
            m.d.sync += fresh.eq(1)
        with m.Elif(taken):
            m.d.sync += fresh.eq(0)
        reads, to_read = self._reads(m, taken & fresh, loading, head, transfer)
        writes, to_write, sent = self._writes(m, bursts, taken, storing)
        self._hold(m, bursts, stores, sent)
        requests = []
        for channel, wanted in ((self.axi.ar, loading.any()), (self.axi.aw, stores)):
            line = fifo.SyncFIFO(width=channel.payload.shape().size, depth=_REQUESTS)
            m.submodules += line
            m.d.comb += [
                line.w_data.eq(bursts.bursts.payload.request.as_value()),
                line.w_en.eq(taken & wanted),
                channel.valid.eq(line.r_rdy),
                channel.payload.eq(line.r_data),
                line.r_en.eq(channel.ready),
            ]
            requests.append(line.level < _REQUESTS - ROOM)
        # A cycle old, which is why there is room for more than one.
        rooms = [wanted & room for wanted, room in zip(requests, (to_read, to_write), strict=True)]
        m.d.sync += bursts.bursts.ready.eq(Mux(stores, rooms[1], rooms[0]))
        results = dict(zip(self.loads, reads, strict=True)) | dict(
            zip(self.stores, writes, strict=True)
        )
        m.d.comb += self.resulting.eq(Cat(results[name] for name in names))
        return m

    def _hold(self, m: Module, bursts: Bursts, stores: ValueLike, sent: ValueLike) -> None:
        """Who sends may reuse its buffer when a store ends: turns keep so close to the words that
        are taken that those behind are with the sender already.
        """
        lag = Signal(range(STORE_LAG + COMING + 2))
        m.d.comb += bursts.hold.eq(stores & (lag > STORE_LAG + COMING))
        m.d.sync += lag.eq(lag + (bursts.turn & stores) - sent)

    def _asked(self, m: Module, name: str) -> data.View:
        """What of a payload memory is asked for."""
        head, transfer = getattr(self, f"head_{name}"), Signal(TRANSFER)
        asked = {key: head[key] for key in TRANSFER.members if key in head.shape().members}
        if "bytes" in head.shape().members:
            asked |= {"row_bytes": head.bytes, "rows": 1, "pitch": 0}
        m.d.comb += [transfer[key].eq(value) for key, value in asked.items()]
        return transfer

    def _chosen_detail(self, starts: dict[str, ValueLike]) -> ValueLike:
        heads = {name: getattr(self, f"head_{name}").as_value() for name in self.loads}
        return reduce(or_, (Mux(starts[name], head, 0) for name, head in heads.items()))

    def _reads(
        self, m: Module, begins: ValueLike, queue: ValueLike, head: Signal, transfer: data.View
    ) -> tuple[ValueLike, ValueLike]:
        """Words as they come; the job they belong to is the oldest under way."""
        entry = data.StructLayout(
            {
                "queue": len(self.loads),
                "before_row": 12,
                "before_word": ROW_BITS,
                "single_row": 1,
                "single_word": 1,
                "detail": self.detail,
            }
        )
        line = m.submodules.reading = NearFifo(entry.size, self.depth)
        new, following, old = Signal(entry), Signal(entry), Signal(entry)
        waits, there = Signal(), Signal()  # a job follows, one is under way
        shift = (self.bus_bytes - 1).bit_length()
        m.d.comb += [
            new.queue.eq(queue),
            new.before_row.eq(transfer.rows - 2),
            new.before_word.eq((transfer.row_bytes - (self.bus_bytes + 1)) >> shift),
            new.single_row.eq(transfer.rows == 1),
            new.single_word.eq(transfer.row_bytes <= self.bus_bytes),
            new.detail.eq(head),
            line.word.eq(delayed(m, new.as_value(), entry.size, 1)),
            line.put.eq(delayed(m, begins & queue.any(), 1, 1)),
        ]
        out, word, row = self.loaded.payload, Count(m, ROW_BITS, "word"), Count(m, 12, "row")
        m.d.comb += [
            self.loaded.valid.eq(self.axi.r.valid & there),
            self.axi.r.ready.eq(self.loaded.ready & there),
            out.queue.eq(old.queue),
            out.detail.eq(old.detail),
            out.row.eq(row.value),
            out.word.eq(word.value),
            out.last.eq(word.is_last & row.is_last),
            out.data.eq(self.axi.r.payload.data),
        ]
        done, ends = Signal(len(self.loads)), Signal()
        goes_on = ~there | ends
        # What follows has been read before, which keeps the end of a job from the list.
        m.d.comb += line.take.eq(~waits)
        m.d.sync += waits.eq(Mux(waits, ~goes_on, line.there))
        with m.If(~waits):
            m.d.sync += following.eq(line.first)
        with m.If(self.loaded.valid & self.loaded.ready):
            word.step()
            with m.If(word.is_last):
                row.step()
            with m.If(out.last):
                m.d.comb += [ends.eq(1), done.eq(old.queue)]
        with m.If(goes_on):
            word.begin(following.before_word, following.single_word)
            row.begin(following.before_row, following.single_row)
            m.d.sync += [old.eq(following), there.eq(waits)]
        # Jobs are written here a cycle later than in other lists.
        return delayed(m, done, len(self.loads), SLACK - 1), line.level < self.depth - ROOM - 1

    def _queue(
        self, m: Module, name: str, word: ValueLike, put: ValueLike
    ) -> tuple[NearFifo, Signal]:
        """A queue behind a register, and whether it has room, a cycle old: ``_UNDER_WAY`` words may
        come when it says that there is none.
        """
        size, room = len(Value.cast(word)), Signal()
        queue = m.submodules[name] = NearFifo(size, _WORDS)
        m.d.comb += [
            queue.word.eq(delayed(m, word, size, 1)),
            queue.put.eq(delayed(m, put, 1, 1)),
        ]
        m.d.sync += room.eq(queue.level < _WORDS - _UNDER_WAY)
        return queue, room

    def _writes(
        self, m: Module, bursts: Bursts, taken: ValueLike, queue: ValueLike
    ) -> tuple[ValueLike, ValueLike, ValueLike]:
        """Words follow their burst's request; acknowledgements come in the same order."""
        count = len(self.stores)
        sizes = data.StructLayout({"queue": count, "beats_less_1": 8})
        ends = data.StructLayout({"queue": count, "last": 1})
        sending = m.submodules.sending = fifo.SyncFIFO(width=sizes.size, depth=self.depth)
        acked = m.submodules.acked = fifo.SyncFIFO(width=ends.size, depth=self.depth)
        end, following = data.View(ends, acked.r_data), data.View(sizes, sending.r_data)
        there, sender, left, is_last = Signal(), Signal(count), Signal(8), Signal()
        word, burst_ends = Signal(), Signal()
        m.d.comb += [sending.r_en.eq(~there | burst_ends), burst_ends.eq(word & is_last)]
        with m.If(word):
            m.d.sync += [left.eq(left - 1), is_last.eq(left == 1)]
        with m.If(sending.r_en):
            m.d.sync += [
                there.eq(sending.r_rdy),
                sender.eq(Mux(sending.r_rdy, following.queue, 0)),
                left.eq(following.beats_less_1),
                is_last.eq(following.beats_less_1 == 0),
            ]
        burst = bursts.bursts.payload
        put = taken & queue.any()
        room = (sending.level < self.depth - ROOM) & (acked.level < self.depth - ROOM)
        m.d.comb += [
            sending.w_data.eq(Cat(queue, burst.request.beats_less_1)),
            acked.w_data.eq(Cat(queue, burst.last)),
            sending.w_en.eq(put),
            acked.w_en.eq(put),
        ]
        w, aw = self.axi.w, self.axi.aw
        # Bursts that memory has been asked for and that still have words to come.
        asked, any_asked = Signal(range(self.depth + 2)), Signal()
        more = aw.valid & aw.ready
        one_left = (asked == 1) & burst_ends
        m.d.sync += [
            asked.eq(asked + more - burst_ends),
            any_asked.eq(more | ((asked != 0) & ~one_left)),
        ]
        payload = Signal(w.payload.shape())
        leaving, takes = self._queue(m, "leaving", payload.as_value(), word)
        m.d.comb += [
            payload.last.eq(is_last),
            w.valid.eq(leaving.there),
            w.payload.eq(leaving.first),
            leaving.take.eq(w.ready),
        ]
        for index, name in enumerate(self.stores):
            sent = getattr(self, f"sent_{name}")
            coming, sent_room = self._queue(m, name, sent.payload, sent.valid & sent.ready)
            m.d.comb += sent.ready.eq(sent_room)
            with m.If(any_asked & sender[index]):
                m.d.comb += [
                    coming.take.eq(takes),
                    word.eq(coming.there & takes),
                    payload.data.eq(coming.first),
                ]
        done = Signal(count)
        m.d.comb += [self.axi.b.ready.eq(1), acked.r_en.eq(self.axi.b.valid)]
        with m.If(self.axi.b.valid & end.last):
            m.d.comb += done.eq(end.queue)
        return delayed(m, done, count, SLACK + SETUP - STORE_LAG - COMING - LEAVING), room, word
