"""The machine: command queues, memory port, and the path from the banks of activations through the
array and the epilogue back into them, or out to memory.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Cat, Module, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from esca.accelerator.config import AcceleratorConfig
from esca.accelerator.hardware.jobs import ENGINES, FEED, bus_bytes
from esca.accelerator.hardware.latencies import WORD_LATENCY
from esca.accelerator.rtl.activations import bank_words
from esca.accelerator.rtl.array import delayed
from esca.accelerator.rtl.axi import ADDRESS_BITS, Axi
from esca.accelerator.rtl.bank_writes import BankWrites
from esca.accelerator.rtl.commands import CommandQueue, built_queues
from esca.accelerator.rtl.constants_ram import constants_write
from esca.accelerator.rtl.control import server_names
from esca.accelerator.rtl.dma import STORES, Dma
from esca.accelerator.rtl.drain import Drain, drain_sizes
from esca.accelerator.rtl.engine_records import WINDOW
from esca.accelerator.rtl.engine_sizes import EngineSizes, engine_sizes
from esca.accelerator.rtl.engines import Engines
from esca.accelerator.rtl.fetch import BEAT_BYTES
from esca.accelerator.rtl.linear import Linear, LinearSizes, linear_sizes
from esca.accelerator.rtl.load_rows import LoadRows
from esca.accelerator.rtl.modules import place
from esca.accelerator.rtl.params import parameters
from esca.accelerator.rtl.path import Path
from esca.accelerator.rtl.ring import ring_rows
from esca.accelerator.rtl.store_order import StoreOrder
from esca.accelerator.rtl.supply import supplied
from esca.accelerator.schedule import SERVERS


class Top(wiring.Component):
    """With some ``parts`` of :data:`esca.accelerator.rtl.engine_records.PARTS`.

    ``constants``: of output columns, written before a frame. ``begin``: the frame whose record
    streams lie at ``program``; ``go`` one cycle before its cycle 0. ``axi``: the memory port;
    ``supply``: the port that brings records.

    What tests look at: bits by queue, ``start`` (a job is busy from the next cycle on) and
    ``resulting``; bits by server, ``ending``; ``starved``, a queue had no record; ``alarm``, a part
    was used in a way in which its data are wrong.
    """

    def __init__(self, config: AcceleratorConfig, parts: Collection[str] = ()) -> None:
        self.p = parameters(config)
        self.sizes = drain_sizes(config, residuals="residual" in parts)
        self.engines = tuple(name for name in ENGINES if name in parts)
        self.queues = built_queues(config, parts)
        self.engine_sizes = engine_sizes(config) if self.engines else None
        self.words, self.rows = bank_words(config), ring_rows(config)
        self.bus_bytes = bus_bytes(config)
        self.linear_sizes = linear_sizes(config) if config.engines.linear_lanes else None
        self.servers = server_names(self.queues)
        super().__init__(
            {
                "constants": In(constants_write(self.sizes.constants)),
                "program": In(ADDRESS_BITS),
                "begin": In(1),
                "axi": Out(Axi(self.bus_bytes)),
                "supply": Out(Axi(BEAT_BYTES, read_only=True)),
                "go": Out(1),
                "start": Out(len(self.queues)),
                "resulting": Out(len(self.queues)),
                "ending": Out(len(self.servers)),
                "starved": Out(len(self.queues)),
                "alarm": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Control and supply; engines; what the memory port brings and takes."""
        p, m = self.p, Module()
        control, go = supplied(m, platform, self.queues, self.supply, self.program, self.begin)
        m.d.comb += self.go.eq(go)
        path = place(m, platform, "path", "path", Path, p, self.words, self.rows, self.bus_bytes)
        drain = place(m, platform, "drain", "drain_side", Drain, p, self.sizes)
        moved = [queue for queue in self.queues if queue.name in SERVERS]
        dma = place(m, platform, "dma", "dma", Dma, moved, self.bus_bytes)
        jobs = _Jobs(
            {queue.name: self.start[i] for i, queue in enumerate(self.queues)},
            {q.name: getattr(control, f"head_{q.name}").payload for q in self.queues},
            {queue.name: control.resulting[i] for i, queue in enumerate(self.queues)},
            {name: control.ending[i] for i, name in enumerate(self.servers)},
        )
        start, payload, result, ending = jobs.start, jobs.payload, jobs.result, jobs.ending
        for name in ("array", FEED):
            m.d.comb += [
                getattr(path, f"{name}_start").eq(start[name]),
                getattr(path, f"{name}_record").eq(payload[name]),
                ending[name].eq(getattr(path, f"{name}_ending")),
                result[name].eq(getattr(path, f"{name}_resulting")),
            ]
        there = {queue.name: control.there[i] for i, queue in enumerate(self.queues)}
        m.d.comb += [
            drain.start.eq(start["epilogue"]),
            drain.head.eq(payload["epilogue"]),
            drain.there.eq(there["epilogue"]),
            drain.next_constants.eq(control.next_epilogue.payload.constants),
            ending["epilogue"].eq(drain.ending),
            control.hold[self.servers.index("epilogue")].eq(~drain.ready),
            result["epilogue"].eq(drain.resulting),
            path.drain.eq(drain.drain),
            path.drain_half.eq(drain.drain_half),
            path.drain_address.eq(drain.drain_address),
            drain.drained.eq(path.drained),
            *([path.clear.eq(drain.clear)] if p.overlaps else []),
            drain.constants.eq(self.constants),
            drain.store.eq(payload["stores"]),
            dma.start.eq(Cat(start[queue.name] for queue in moved)),
            ending["dram"].eq(dma.ending),
            self.start.eq(control.start),
            self.resulting.eq(control.resulting),
            self.ending.eq(control.ending),
            self.starved.eq(control.starved),
        ]
        for number, queue in enumerate(moved):
            m.d.comb += getattr(dma, f"head_{queue.name}").eq(payload[queue.name])
            if queue.name != "loads":
                m.d.comb += result[queue.name].eq(dma.resulting[number])
        wiring.connect(m, wiring.flipped(self.axi), dma.axi)
        due = dma.resulting[[queue.name for queue in moved].index("loads")]
        words = _words(m, dma, moved)
        self._loaded(m, platform, words, (dma, path, drain), (due, result["loads"]))
        alarm = path.alarm | drain.alarm
        if self.linear_sizes is not None:
            alarm |= self._linear(m, platform, self.linear_sizes, jobs, words, dma)
        if self.engine_sizes is None:
            m.d.comb += drain.store_start.eq(start["stores"])
            _connect(m, drain.sent, dma.sent_stores)
        else:
            alarm |= self._engines(m, platform, self.engine_sizes, jobs, words, (dma, drain))
        m.d.sync += self.alarm.eq(alarm)
        return m

    def _engines(
        self,
        m: Module,
        platform: object,
        sizes: EngineSizes,
        jobs: "_Jobs",
        words: "_Words",
        parts: tuple[Any, ...],
    ) -> Value:
        """Other engines, what they load, and their stores, which come in turn with the array's;
        returns their alarm.
        """
        dma, drain = parts
        engines = place(
            m, platform, "engines", "engines", Engines, sizes, self.engines
        )  # fmt: skip
        order = place(m, platform, "order", "store_order", StoreOrder, self.bus_bytes)
        store, start, word = jobs.payload["stores"], jobs.start["stores"], words.word
        m.d.comb += [
            drain.store_start.eq(start & ~store.engine),
            engines.store_start.eq(start & store.engine),
            engines.store.eq(store),
            order.start.eq(start),
            order.store.eq(store),
        ]
        _connect(m, drain.sent, order.array)
        _connect(m, engines.sent, order.engine)
        _connect(m, order.sent, dma.sent_stores)
        brought: dict[str, tuple[Value, data.View]] = {}
        rows = words.detail["loads"]
        window = data.View(WINDOW, rows.layout.as_value()[: WINDOW.size])
        for number, name in enumerate(("move", "upsample"), 1):
            brought[name] = words.taken["loads"] & (rows.engine == number), window
        if "grid_sample" in self.engines:
            taken, grid = words.taken["grid_loads"], words.detail["grid_loads"]
            brought["grid_sample"] = taken & ~grid.places, grid.window
            brought["places"] = taken & grid.places, grid.window
        for name, (taken, where) in brought.items():
            if name not in (*self.engines, "places"):
                continue
            loaded = getattr(engines, f"{name}_loaded")
            m.d.comb += [
                loaded.en.eq(taken),
                loaded.window.eq(where),
                loaded.row.eq(word.row),
                loaded.word.eq(word.word),
                loaded.data.eq(word.data),
            ]
        for name in self.engines:
            m.d.comb += [
                getattr(engines, f"{name}_start").eq(jobs.start[name]),
                getattr(engines, f"{name}_record").eq(jobs.payload[name]),
                jobs.ending[name].eq(getattr(engines, f"{name}_ending")),
                jobs.result[name].eq(getattr(engines, f"{name}_resulting")),
            ]
        alarm: Value = engines.alarm
        return alarm

    def _linear(
        self,
        m: Module,
        platform: object,
        sizes: LinearSizes,
        jobs: "_Jobs",
        words: "_Words",
        dma: Any,
    ) -> Value:
        """The linear engine, its loads and its stores; returns its alarm."""
        linear = place(m, platform, "linear", "linear", Linear, sizes)
        word, detail = words.word, words.detail["linear_loads"]
        m.d.comb += [
            linear.start.eq(jobs.start["linear"]),
            linear.record.eq(jobs.payload["linear"]),
            jobs.ending["linear"].eq(linear.ending),
            jobs.result["linear"].eq(linear.resulting),
            linear.store_start.eq(jobs.start["linear_stores"]),
            linear.store.eq(jobs.payload["linear_stores"]),
            linear.write.en.eq(words.taken["linear_loads"]),
            linear.write.weights.eq(detail.weights),
            linear.write.half.eq(detail.half),
            linear.write.words.eq(detail.words),
            linear.write.operand.eq(detail.operand),
            linear.write.row.eq(word.row),
            linear.write.word.eq(word.word),
            linear.write.data.eq(word.data),
        ]
        _connect(m, linear.sent, dma.sent_linear_stores)
        alarm: Value = linear.alarm
        return alarm

    def _loaded(
        self,
        m: Module,
        platform: object,
        words: "_Words",
        parts: tuple[Any, ...],
        results: tuple[Value, Value],
    ) -> None:
        """Words of loads go where their queue's jobs say; the epilogue's writes of the banks come
        first. ``results``: when those of loads of rows are due, and when they are there.
        """
        dma, path, drain = parts
        loader = place(
            m, platform, "loader", "loader",
            LoadRows, self.p, self.words, self.bus_bytes,
        )  # fmt: skip
        writes = place(
            m, platform, "bank_writes", "bank_writes",
            BankWrites, self.p, self.words, self.bus_bytes,
        )  # fmt: skip
        word = words.word
        taken, detail = words.taken, words.detail
        m.d.comb += [
            # Whoever takes the word: a choice among queues would be on the way to the port.
            dma.loaded.ready.eq(delayed(m, writes.room, 1, 1)),
            path.weights.valid.eq(taken["weights"]),
            path.weights.ring.eq(detail["weights"].ring),
            path.weights.word.eq(word.word),
            path.weights.data.eq(word.data),
            drain.extras_write.en.eq(taken["biases"] & ~detail["biases"].residual),
            drain.extras_write.half.eq(detail["biases"].half),
            drain.residual_write.en.eq(taken["biases"] & detail["biases"].residual),
            drain.residual_write.place.eq(detail["biases"].first + word.row),
            drain.residual_write.data.eq(word.data),
            *(
                drain.residual_write[name].eq(detail["biases"][name])
                for name in ("half", "part", "nibbles")
            ),
            drain.extras_write.address.eq(word.word),
            drain.extras_write.data.eq(word.data),
            loader.valid.eq(taken["loads"]),
            loader.payload.eq(detail["loads"]),
            loader.row.eq(word.row),
            loader.word.eq(word.word),
            loader.last.eq(word.last),
            loader.data.eq(word.data),
            writes.placing.eq(loader.placing),
            writes.placed.eq(loader.placed),
            writes.first.eq(drain.writes),
            writes.taken.eq(drain.taken),
            path.other.eq(writes.accesses),
            writes.due.eq(results[0]),
            results[1].eq(writes.resulting),
        ]


@dataclass(frozen=True)
class _Jobs:
    """By queue: a job starts, what its record says, its result is there. By server: it ends."""

    start: Mapping[str, Value]
    payload: Mapping[str, data.View]
    result: Mapping[str, Value]
    ending: Mapping[str, Value]


@dataclass(frozen=True)
class _Words:
    """A ``word`` that came the cycle before; by queue of loads, that one of its jobs took it, and
    what its job's record says.
    """

    word: Any
    taken: Mapping[str, Value]
    detail: Mapping[str, data.View]


def _connect(m: Module, sender: Any, taker: Any) -> None:
    """Words of one part for another."""
    m.d.comb += [
        taker.valid.eq(sender.valid),
        taker.payload.eq(sender.payload),
        sender.ready.eq(taker.ready),
    ]


def _words(m: Module, dma: Any, queues: Sequence[CommandQueue]) -> _Words:
    comes, loads = dma.loaded.payload, [queue for queue in queues if queue.name not in STORES]
    taken = delayed(m, dma.loaded.valid & dma.loaded.ready, 1, WORD_LATENCY)
    word = delayed(m, comes, comes.shape(), WORD_LATENCY)
    return _Words(
        word,
        {queue.name: taken & word.queue[number] for number, queue in enumerate(loads)},
        {q.name: data.View(q.payload, word.detail[: q.payload.size]) for q in loads},
    )
