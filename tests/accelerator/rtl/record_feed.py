"""Records in memories that a test fills, as the streams that control takes."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from esca.accelerator.events import Job
from esca.accelerator.rtl.commands import CommandQueue
from esca.accelerator.rtl.control import Control
from esca.accelerator.rtl.headers import job_headers
from esca.accelerator.rtl.records import pack, record_words, to_words


def filling(queues: Sequence[CommandQueue], depth: int) -> dict[str, Any]:
    """Inputs with which a test fills memories of ``depth`` records a queue: ``put`` writes
    ``content`` (words) to ``slot`` of ``queue``; ``counts`` records are there.
    """
    words = max(record_words(queue.record) for queue in queues)
    return {
        "put": In(1),
        "queue": In(range(len(queues))),
        "slot": In(range(depth)),
        "content": In(data.ArrayLayout(32, words)),
        "counts": In(data.ArrayLayout(range(depth + 1), len(queues))),
    }


class RecordFeed(wiring.Component):
    """One stream ``record_<name>`` a queue, from its beginning after ``rewind``."""

    def __init__(self, queues: Sequence[CommandQueue], depth: int) -> None:
        self.queues, self.depth = tuple(queues), depth
        outs = {f"record_{q.name}": Out(stream.Signature(q.record)) for q in queues}
        super().__init__({**filling(queues, depth), "rewind": In(1), **outs})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        for index, line in enumerate(self.queues):
            memory = Memory(shape=line.record.size, depth=self.depth, init=[])
            m.submodules[f"memory_{line.name}"] = memory
            target, source = memory.write_port(), memory.read_port(domain="comb")
            out = getattr(self, f"record_{line.name}")
            place = Signal(range(self.depth + 1), name=f"place_{line.name}")
            m.d.comb += [
                target.addr.eq(self.slot),
                target.data.eq(self.content.as_value()),
                target.en.eq(self.put & (self.queue == index)),
                source.addr.eq(place),
                out.valid.eq((place < self.counts[index]) & ~self.rewind),
                out.payload.eq(source.data),
            ]
            with m.If(self.rewind):
                m.d.sync += place.eq(0)
            with m.Elif(out.valid & out.ready):
                m.d.sync += place.eq(place + 1)
        return m


def feed_records(m: Module, bench: Any, control: Control) -> None:
    """Put a feed between the inputs :func:`filling` of a test bench and its control."""
    m.submodules.feed = feed = RecordFeed(bench.queues, bench.depth)
    for name in filling(bench.queues, bench.depth):
        m.d.comb += getattr(feed, name).eq(getattr(bench, name))
    m.d.comb += feed.rewind.eq(bench.reset)
    for queue in bench.queues:
        name = f"record_{queue.name}"
        wiring.connect(m, getattr(feed, name), getattr(control, name))


def record_writes(
    queues: Sequence[CommandQueue], jobs: Sequence[Job], payloads: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Inputs that write the jobs' records, one a cycle, and ``counts``."""
    places = {queue.name: index for index, queue in enumerate(queues)}
    width = max(record_words(queue.record) for queue in queues)
    slots = [0] * len(places)
    rows: dict[str, list] = {"put": [], "queue": [], "slot": [], "content": []}
    for job, header, payload in zip(jobs, job_headers(jobs, queues), payloads, strict=True):
        index = places[job.queue]
        layout = queues[index].record
        words = to_words(layout, pack(layout, {"header": header, "payload": payload}))
        rows["put"].append(1)
        rows["queue"].append(index)
        rows["slot"].append(slots[index])
        rows["content"].append(words + [0] * (width - len(words)))
        slots[index] += 1
    made = {name: np.array(row, np.int64) for name, row in rows.items()}
    return made | {"counts": np.repeat(np.array([slots]), len(jobs), 0)}


def started(
    queues: Sequence[CommandQueue], jobs: Sequence[Job], bits: Sequence[int], go: int
) -> list[int]:
    """Start cycle of every job from the ``start`` bits of each cycle, -1 where there is none. The
    cycle after ``go`` is cycle 0, and the one after a start is the job's first.
    """
    numbers = [
        iter([number for number, job in enumerate(jobs) if job.queue == queue.name])
        for queue in queues
    ]
    found = [-1] * len(jobs)
    for cycle in np.flatnonzero(bits):
        for index, waiting in enumerate(numbers):
            if bits[cycle] >> index & 1:
                found[next(waiting)] = int(cycle) - go
    return found
