"""Control with timers in the place of engines."""

from collections.abc import Sequence

import numpy as np
from amaranth.hdl import Cat, Module, ResetInserter, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from tests.accelerator.rtl.record_feed import feed_records, filling, record_writes, started

from esca.accelerator.events import Job
from esca.accelerator.rtl.commands import CommandQueue
from esca.accelerator.rtl.compiled import Simulation
from esca.accelerator.rtl.control import START_LATENCY, Control, server_names

CYCLES = data.StructLayout({"cycles": 20})
LATENCY_BITS = 7
BLOCK = 1 << 15


class ControlBench(wiring.Component):
    """``latency`` of a queue's results. ``reset``: of all but the records."""

    def __init__(self, queues: Sequence[CommandQueue], depth: int) -> None:
        self.queues, self.depth = tuple(queues), depth
        count = len(self.queues)
        super().__init__(
            {
                **filling(queues, depth),
                "latency": In(data.ArrayLayout(LATENCY_BITS, count)),
                "reset": In(1),
                "go": In(1),
                "start": Out(count),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m, inner = Module(), Module()
        inner.submodules.control = control = Control(self.queues)
        feed_records(m, self, control)
        inner.d.comb += [control.go.eq(self.go), self.start.eq(control.start)]
        timers(inner, self.queues, control, self.latency)
        m.submodules.inner = ResetInserter(self.reset)(inner)
        return m


def timers(m: Module, queues: Sequence[CommandQueue], control, latency: data.View) -> None:
    """In the place of engines: a job takes the cycles of its payload, its result ``latency``."""
    lasts: dict[str, list] = {server: [] for server in server_names(queues)}
    for index, line in enumerate(queues):
        left = Signal(20, name=f"left_{line.name}")
        with m.If(control.start[index]):
            m.d.sync += left.eq(getattr(control, f"head_{line.name}").payload.cycles)
        with m.Elif(left != 0):
            m.d.sync += left.eq(left - 1)
        last = left == 1
        lasts[line.server].append(last)
        behind = Signal((1 << LATENCY_BITS) - 1, name=f"behind_{line.name}")
        seen = Cat(last, behind)
        m.d.sync += behind.eq(seen)
        m.d.comb += control.resulting[index].eq(seen.bit_select(latency[index], 1))
    for number, mine in enumerate(lasts.values()):
        m.d.comb += control.ending[number].eq(Cat(mine).any())


def latencies(queues: Sequence[CommandQueue], jobs: Sequence[Job]) -> np.ndarray:
    """(1, queues) cycles; all jobs of a queue have the same."""
    found = np.zeros((1, len(queues)), np.int64)
    for index, queue in enumerate(queues):
        mine = {job.latency for job in jobs if job.queue == queue.name}
        assert len(mine) <= 1, queue.name
        found[0, index] = max(mine, default=0)
    return found


def starts_in_hardware(
    simulation: Simulation, bench: ControlBench, jobs: Sequence[Job], cycles: int
) -> list[int]:
    """Start cycle of every job within ``cycles``, -1 where it did not start."""
    writes = record_writes(bench.queues, jobs, [{"cycles": job.cycles} for job in jobs])
    simulation.run(len(jobs), reset=np.ones(len(jobs), np.int64), **writes)
    latency = latencies(bench.queues, jobs)
    bits: list[np.ndarray] = []
    go = 3
    cycles += START_LATENCY
    for done in range(0, cycles + go + 1, BLOCK):
        now = min(BLOCK, cycles + go + 1 - done)
        begin = np.arange(done, done + now) == go
        counts = np.repeat(writes["counts"][:1], now, 0)
        late = np.repeat(latency, now, 0)
        seen = simulation.run(now, counts=counts, latency=late, go=begin.astype(np.int64))
        bits.append(seen["start"])
    return started(bench.queues, jobs, np.concatenate(bits), go + START_LATENCY)
