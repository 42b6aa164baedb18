"""The machine: command queues, memory port, and the path from the banks of activations through the
array and the epilogue back into them, or out to memory.
"""

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Cat, Module, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from esca.accelerator.config import AcceleratorConfig
from esca.accelerator.rtl.activations import bank_words
from esca.accelerator.rtl.adapt import bus_bytes
from esca.accelerator.rtl.axi import ADDRESS_BITS, Axi
from esca.accelerator.rtl.bank_writes import BankWrites
from esca.accelerator.rtl.commands import FEED, CommandQueue, command_queues, queue_names
from esca.accelerator.rtl.constants_ram import constants_write
from esca.accelerator.rtl.control import server_names
from esca.accelerator.rtl.dma import STORES, Dma
from esca.accelerator.rtl.drain import Drain, drain_sizes
from esca.accelerator.rtl.fetch import BEAT_BYTES
from esca.accelerator.rtl.load_rows import LoadRows
from esca.accelerator.rtl.modules import place
from esca.accelerator.rtl.params import parameters
from esca.accelerator.rtl.path import Path
from esca.accelerator.rtl.ring import ring_rows
from esca.accelerator.rtl.supply import supplied
from esca.accelerator.schedule import SERVERS


def top_queues(config: AcceleratorConfig) -> tuple[CommandQueue, ...]:
    """Command queues of the machine."""
    return command_queues(queue_names(config, others=False), config.array.columns)


class Top(wiring.Component):
    """``constants``: of output columns, written before a frame. ``begin``: the frame whose record
    streams lie at ``program``; ``go`` one cycle before its cycle 0. ``axi``: the memory port;
    ``supply``: the port that brings records.

    What tests look at: bits by queue, ``start`` (a job is busy from the next cycle on) and
    ``resulting``; bits by server, ``ending``; ``starved``, a queue had no record; ``alarm``, a part
    was used in a way in which its data are wrong.
    """

    def __init__(self, config: AcceleratorConfig) -> None:
        self.p, self.sizes = parameters(config), drain_sizes(config)
        self.queues = top_queues(config)
        self.words, self.rows = bank_words(config), ring_rows(config)
        self.bus_bytes = bus_bytes(config)
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
        path = place(
            m, platform, "path", "path", lambda: Path(p, self.words, self.rows, self.bus_bytes)
        )
        drain = place(m, platform, "drain", "drain_side", lambda: Drain(p, self.sizes))
        moved = [queue for queue in self.queues if queue.name in SERVERS]
        dma = place(m, platform, "dma", "dma", lambda: Dma(moved, self.bus_bytes))
        start = {queue.name: self.start[i] for i, queue in enumerate(self.queues)}
        result = {queue.name: control.resulting[i] for i, queue in enumerate(self.queues)}
        ending = {name: control.ending[i] for i, name in enumerate(self.servers)}
        payload = {q.name: getattr(control, f"head_{q.name}").payload for q in self.queues}
        for name in ("array", FEED):
            m.d.comb += [
                getattr(path, f"{name}_start").eq(start[name]),
                getattr(path, f"{name}_record").eq(payload[name]),
                ending[name].eq(getattr(path, f"{name}_ending")),
                result[name].eq(getattr(path, f"{name}_resulting")),
            ]
        there = {queue.name: ~self.starved[i] for i, queue in enumerate(self.queues)}
        m.d.comb += [
            drain.start.eq(start["epilogue"]),
            drain.head.eq(payload["epilogue"]),
            drain.there.eq(there["epilogue"]),
            ending["epilogue"].eq(drain.ending),
            control.hold[self.servers.index("epilogue")].eq(~drain.ready),
            result["epilogue"].eq(drain.resulting),
            path.drain.eq(drain.drain),
            path.drain_half.eq(drain.drain_half),
            path.drain_address.eq(drain.drain_address),
            drain.drained.eq(path.drained),
            drain.constants.eq(self.constants),
            drain.store_start.eq(start["stores"]),
            drain.store.eq(payload["stores"]),
            dma.start.eq(Cat(start[queue.name] for queue in moved)),
            ending["dram"].eq(dma.ending),
            self.start.eq(control.start),
            self.resulting.eq(control.resulting),
            self.ending.eq(control.ending),
            self.starved.eq(control.starved),
            self.alarm.eq(path.alarm | drain.alarm),
        ]
        for number, queue in enumerate(moved):
            m.d.comb += getattr(dma, f"head_{queue.name}").eq(payload[queue.name])
            if queue.name != "loads":
                m.d.comb += result[queue.name].eq(dma.resulting[number])
        wiring.connect(m, wiring.flipped(self.axi), dma.axi)
        m.d.comb += [
            dma.sent_stores.valid.eq(drain.sent.valid),
            dma.sent_stores.payload.eq(drain.sent.payload),
            drain.sent.ready.eq(dma.sent_stores.ready),
        ]
        due = dma.resulting[[queue.name for queue in moved].index("loads")]
        self._loaded(m, platform, moved, (dma, path, drain), (due, result["loads"]))
        return m

    def _loaded(
        self,
        m: Module,
        platform: object,
        queues: Sequence[CommandQueue],
        parts: tuple[Any, ...],
        results: tuple[Value, Value],
    ) -> None:
        """Words of loads go where their queue's jobs say; the epilogue's writes of the banks come
        first. ``results``: when those of loads of rows are due, and when they are there.
        """
        dma, path, drain = parts
        loader = place(
            m, platform, "loader", "loader",
            lambda: LoadRows(self.p, self.words, self.bus_bytes),
        )  # fmt: skip
        writes = place(
            m, platform, "bank_writes", "bank_writes",
            lambda: BankWrites(self.p, self.words, self.bus_bytes),
        )  # fmt: skip
        word = dma.loaded.payload
        mine, taken, detail = {}, {}, {}
        for number, queue in enumerate(q for q in queues if q.name not in STORES):
            mine[queue.name] = word.queue[number]
            taken[queue.name] = dma.loaded.valid & dma.loaded.ready & word.queue[number]
            detail[queue.name] = data.View(queue.payload, word.detail[: queue.payload.size])
        m.d.comb += [
            dma.loaded.ready.eq(~mine["loads"] | writes.room),
            path.weights.valid.eq(taken["weights"]),
            path.weights.ring.eq(detail["weights"].ring),
            path.weights.word.eq(word.word),
            path.weights.data.eq(word.data),
            drain.extras_write.en.eq(taken["biases"]),
            drain.extras_write.half.eq(detail["biases"].half),
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
            path.other.eq(writes.accesses),
            writes.due.eq(results[0]),
            results[1].eq(writes.resulting),
        ]
