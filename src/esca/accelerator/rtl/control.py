"""Control: command queues, semaphores and the order of DMA, which start the jobs of all engines."""

from collections.abc import Sequence

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from esca.accelerator.rtl.commands import CommandQueue
from esca.accelerator.rtl.dma_order import DmaOrder
from esca.accelerator.rtl.queue import Queue
from esca.accelerator.rtl.semaphores import Semaphores

START_LATENCY = 1
"""Cycles from ``go`` to the first starts."""


def server_names(queues: Sequence[CommandQueue]) -> tuple[str, ...]:
    """Servers of queues, in order."""
    return tuple(dict.fromkeys(queue.server for queue in queues))


class Control(wiring.Component):
    """Starts jobs as :func:`esca.accelerator.events.simulate` does.

    For each queue: its stream ``record_<name>``, ``head_<name>`` with the record that starts,
    ``next_<name>`` with the one behind, where ``there`` has the queue's bit. Bits by queue:
    ``start`` (the job is busy from the next cycle on), ``resulting`` (its result is there in the
    next cycle), ``starved``. Bits by server: ``ending`` (this is the last busy cycle of its job),
    ``hold`` (no job may be chosen). ``clear``, before the first record of a frame comes: counters
    begin at 0, nothing starts. ``go``: the first jobs may be chosen, and have their ``start``
    ``START_LATENCY`` cycles later. What ends or has its result lets others start
    ``CONTROL_CYCLES`` later than at once. Every job takes at least one cycle.
    """

    def __init__(self, queues: Sequence[CommandQueue]) -> None:
        self.queues, self.servers = tuple(queues), server_names(queues)
        members: dict[str, object] = {}
        for queue in self.queues:
            members[f"record_{queue.name}"] = In(stream.Signature(queue.record))
            members[f"head_{queue.name}"] = Out(queue.record)
            members[f"next_{queue.name}"] = Out(queue.record)
        count = len(self.queues)
        super().__init__(
            {
                **members,
                "clear": In(1),
                "go": In(1),
                "ending": In(len(self.servers)),
                "hold": In(len(self.servers)),
                "resulting": In(count),
                "start": Out(count),
                "there": Out(count),
                "starved": Out(count),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Queues meet counters, a cycle after what has happened; servers choose among their queues
        a cycle later, and their choice is a register's.
        """
        m = Module()
        m.submodules.semaphores = semaphores = Semaphores(len(self.queues))
        place = {queue.name: index for index, queue in enumerate(self.queues)}
        running, ending = Signal(), Signal(len(self.queues))
        lasts, resulting = Signal(len(self.servers)), Signal(len(self.queues))
        grants = Signal(len(self.queues))
        m.d.sync += [lasts.eq(self.ending), resulting.eq(self.resulting), self.start.eq(grants)]
        with m.If(self.clear | self.go):
            m.d.sync += running.eq(self.go)
        m.d.comb += [
            semaphores.clear.eq(self.clear),
            semaphores.ending.eq(ending),
            semaphores.resulting.eq(resulting),
        ]
        made = {}
        for index, line in enumerate(self.queues):
            made[line.name] = queue = Queue(line.record)
            m.submodules[f"queue_{line.name}"] = queue
            for number, source in enumerate(line.sources):
                other, ends = place[source.queue], source.kind == "end"
                pulses = ending if ends else resulting
                counts = semaphores.ended if ends else semaphores.resulted
                m.d.comb += [
                    queue.counts[number].eq(counts[other]),
                    queue.pulses[number].eq(pulses[other]),
                ]
            wiring.connect(m, wiring.flipped(getattr(self, f"record_{line.name}")), queue.record)
            m.d.comb += [
                getattr(self, f"next_{line.name}").eq(queue.head),
                queue.start.eq(grants[index]),
                self.there[index].eq(queue.there),
                self.starved[index].eq(queue.starved),
            ]
            m.d.sync += getattr(self, f"head_{line.name}").eq(queue.head)
        for number, server in enumerate(self.servers):
            mine = [line.name for line in self.queues if line.server == server]
            m.submodules[f"order_{server}"] = order = DmaOrder(len(mine))
            current = Signal(len(mine), name=f"current_{server}")
            last = Signal(name=f"last_{server}")
            m.d.sync += last.eq(lasts[number])
            ready = Cat(made[name].ready & (made[name].settled | (len(mine) == 1)) for name in mine)
            m.d.comb += [
                order.ready.eq(ready),
                order.free.eq((running | self.go) & (~current.any() | last) & ~self.hold[number]),
            ]
            for slot, name in enumerate(mine):
                header = made[name].head.header
                m.d.comb += [
                    order.places[slot].number.eq(header.number),
                    order.places[slot].background.eq(header.background),
                    grants[place[name]].eq(order.grant[slot]),
                ]
                # Nobody is chosen while a job is busy, so it is the same one a cycle later.
                m.d.sync += ending[place[name]].eq(current[slot] & self.ending[number])
            # One is chosen only where none is busy any more.
            m.d.sync += current.eq(order.grant | Mux(last, 0, current))
        return m
