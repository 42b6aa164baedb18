"""DMA takes the simulator's cycles with an ideal port, and moves the same bytes with any."""

from math import ceil

import numpy as np
import pytest
from amaranth.hdl import Cat, Module, Mux, ResetInserter, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.accelerator.rtl.record_feed import feed_records, filling, record_writes, started

from esca.accelerator.events import Job, simulate
from esca.accelerator.hardware.latencies import CONTROL_CYCLES, SETUP, SLACK
from esca.accelerator.rtl.array import delayed
from esca.accelerator.rtl.axi import Axi
from esca.accelerator.rtl.commands import CommandQueue, Source, command_queues
from esca.accelerator.rtl.compiled import compiled
from esca.accelerator.rtl.control import START_LATENCY, Control
from esca.accelerator.rtl.dma import STORE_LAG, Dma
from esca.accelerator.rtl.memory_model import Memory
from esca.accelerator.rtl.records import pack, unpack
from esca.accelerator.schedule import SERVERS

BUS = 16
NAMES = ("weights", "loads", "biases", "stores")
HALF = 1 << 17  # bytes that are read; as many behind them are written
LATENCY = 24
PLACE = ("queue", "row", "word", "last")


def bench_queues():
    sources = [Source(kind, name) for name in NAMES for kind in ("end", "result")]
    return [
        CommandQueue(
            queue.name,
            "dram",
            tuple(source for source in sources if source != Source("end", queue.name)),
            queue.payload,
        )
        for queue in command_queues(NAMES, 4)
    ]


class DmaBench(wiring.Component):
    """Stores send 0, 1, 2 .. in 32 bits of their words. ``hold``: nobody takes a loaded word."""

    def __init__(self, depth: int) -> None:
        self.queues, self.depth = bench_queues(), depth
        self.dma = Dma(self.queues, BUS)
        word = self.dma.signature.members["loaded"].signature.members["payload"].shape
        super().__init__(
            {
                **filling(self.queues, depth),
                "reset": In(1),
                "go": In(1),
                "hold": In(1),
                "axi": Out(Axi(BUS)),
                "start": Out(len(self.queues)),
                "resulting": Out(len(self.queues)),
                "valid": Out(1),
                "place": Out(data.StructLayout({k: word.members[k] for k in PLACE})),
                "detail": Out(data.ArrayLayout(32, ceil(self.dma.detail / 32))),
                "found": Out(data.ArrayLayout(32, BUS // 4)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m, inner = Module(), Module()
        inner.submodules.control = control = Control(self.queues)
        feed_records(m, self, control)
        inner.submodules.dma = dma = self.dma
        for queue in self.queues:
            head = getattr(control, f"head_{queue.name}")
            inner.d.comb += getattr(dma, f"head_{queue.name}").eq(head.payload)
        wiring.connect(inner, wiring.flipped(self.axi), dma.axi)
        word = dma.loaded.payload
        inner.d.comb += [
            control.go.eq(self.go),
            dma.start.eq(control.start),
            control.ending.eq(dma.ending),
            control.resulting.eq(dma.resulting),
            self.start.eq(control.start),
            self.resulting.eq(dma.resulting),
            self.valid.eq(dma.loaded.valid & dma.loaded.ready),
            dma.loaded.ready.eq(~self.hold),
            *(self.place[key].eq(word[key]) for key in PLACE),
            self.detail.eq(word.detail),
            self.found.eq(word.data),
        ]
        self._results(inner, control)
        m.submodules.inner = ResetInserter(self.reset)(inner)
        return m

    def _results(self, m: Module, control: Control) -> None:
        """Words of stores, from the cycle on in which they are due."""
        head, there, sent = control.head_stores.payload, Signal(20), Signal(32)
        words = Mux(control.start[-1], head.rows * (head.row_bytes >> 4), 0)
        out = self.dma.sent_stores
        taken = out.valid & out.ready
        m.d.sync += [
            there.eq(there + delayed(m, words, 20, STORE_LAG) - taken),
            sent.eq(sent + taken),
        ]
        m.d.comb += [out.valid.eq(there != 0), out.payload.eq(Cat(*[sent] * (BUS // 4)))]


@pytest.fixture(scope="module")
def bench():
    component = DmaBench(32)
    simulation = compiled(component)
    return component, simulation, Memory(simulation, component, ("axi",), 2 * HALF)


@st.composite
def transfers(draw):
    """Jobs with payloads: rows anywhere among what is read; stores one behind the other."""
    jobs, payloads = [], []
    free = HALF
    for number in range(draw(st.integers(1, 25))):
        name = draw(st.sampled_from(NAMES))
        words, rows = draw(st.one_of(st.integers(1, 4), st.integers(1, 300))), 1
        pitch = words * BUS
        if name in ("loads", "stores"):
            words = draw(st.integers(1, 40))
            rows, pitch = draw(st.integers(1, 12)), (words + draw(st.integers(0, 9))) * BUS
        begin = draw(st.integers(0, (HALF - rows * pitch) // BUS)) * BUS
        if name == "stores":
            begin, free = free, free + rows * pitch
            if free > 2 * HALF:
                break
        values = {"dram": begin, "bytes": words * BUS, "row_bytes": words * BUS}
        values |= {"rows": rows, "pitch": pitch % 65536, "ring": number}
        layout = next(queue.payload for queue in bench_queues() if queue.name == name)
        payload = unpack(layout, 0)
        payloads.append(payload | {key: values[key] for key in values if key in payload})
        earlier = st.lists(st.integers(0, number - 1), max_size=2) if number else st.just([])
        after, reuses, late = draw(earlier), draw(earlier), draw(st.booleans())
        jobs.append(Job(name, SETUP + rows * words, LATENCY, after, reuses, late))
    return jobs, payloads


GO = 2 + START_LATENCY
"""The cycle in which the first jobs may start."""


def ran(bench, jobs, payloads, cycles, stall=0, seed=0):
    """What the bench shows in each cycle from the first of the frame on."""
    component, simulation, memory = bench
    memory.behave(LATENCY - SLACK, stall, seed)
    memory.image[:] = np.random.default_rng(5).integers(0, 256, 2 * HALF)
    memory.image[HALF:] = 0
    writes = record_writes(component.queues, jobs, payloads)
    simulation.run(len(jobs), reset=np.ones(len(jobs), np.int64), **writes)
    memory.forget()  # what a run that was cut off had asked for
    go = (np.arange(cycles) == 2).astype(np.int64)
    counts = np.repeat(writes["counts"][:1], cycles, 0)
    hold = np.zeros(cycles, np.int64)
    if stall:
        hold = (np.random.default_rng(seed).random(cycles) < stall / 256).astype(np.int64)
    seen = simulation.run(cycles, counts=counts, go=go, hold=hold)
    assert memory.errors == 0
    return seen


def words_of(bench, seen):
    """Loaded words by queue: place, payload, content."""
    rows = np.flatnonzero(seen["valid"])
    keys = [f"place__{key}" for key in PLACE]
    table = np.concatenate(
        [seen[key][rows, None] for key in keys] + [seen["detail"][rows], seen["found"][rows]], 1
    )
    return {name: table[table[:, 0] == 1 << i] for i, name in enumerate(bench[0].dma.loads)}


def wanted(bench, jobs, payloads):
    """The same from the payloads, and what is written."""
    memory = bench[2].image.copy()
    tables = {name: [] for name in bench[0].dma.loads}
    sent = 0
    for job, payload in zip(jobs, payloads, strict=True):
        layout = next(q.payload for q in bench[0].queues if q.name == job.queue)
        rows, pitch = payload.get("rows", 1), payload.get("pitch", 0)
        words = payload.get("row_bytes", payload.get("bytes")) // BUS
        bits = pack(layout, payload)
        detail = [bits >> 32 * i & 0xFFFFFFFF for i in range(ceil(bench[0].dma.detail / 32))]
        for row in range(rows):
            for word in range(words):
                at = payload["dram"] + row * pitch + word * BUS
                if job.queue == "stores":
                    memory[at : at + BUS].view("<u4")[:] = sent
                    sent += 1
                    continue
                content = memory[at : at + BUS].view("<u4")
                queue = 1 << bench[0].dma.loads.index(job.queue)
                last = row == rows - 1 and word == words - 1
                tables[job.queue].append([queue, row, word, last, *detail, *content])
    return {name: np.array(table, np.int64) for name, table in tables.items()}, memory


@settings(max_examples=12)
@given(transfers())
def test_cycles_and_bytes_of_an_ideal_port(bench, drawn) -> None:
    jobs, payloads = drawn
    if not jobs:
        return
    starts = simulate(jobs, SERVERS, control=CONTROL_CYCLES)
    cycles = max(starts) + max(job.cycles for job in jobs) + LATENCY + 8
    seen = ran(bench, jobs, payloads, cycles)
    tables, image = wanted(bench, jobs, payloads)
    assert started(bench[0].queues, jobs, seen["start"], GO) == starts
    for index, queue in enumerate(bench[0].queues):
        results = np.flatnonzero(seen["resulting"] >> index & 1) - GO
        due = [
            s + j.cycles + LATENCY
            for s, j in zip(starts, jobs, strict=True)
            if j.queue == queue.name
        ]
        assert results.tolist() == due
    _moved_all(bench, seen, tables, image)


@settings(max_examples=12)
@given(transfers(), st.integers(0, 2**31))
def test_bytes_under_stalls(bench, drawn, seed) -> None:
    jobs, payloads = drawn
    if not jobs:
        return
    starts = simulate(jobs, SERVERS, control=CONTROL_CYCLES)
    cycles = 4 * (max(starts) + max(job.cycles for job in jobs) + LATENCY + 8) + len(jobs) * 200
    seen = ran(bench, jobs, payloads, cycles, 96, seed)
    _moved_all(bench, seen, *wanted(bench, jobs, payloads))


def test_words_of_a_store_wait_until_its_request_is_taken(bench) -> None:
    """AXI lets words overtake their request; a memory that has to know where they go does not."""
    layout = next(queue.payload for queue in bench_queues() if queue.name == "stores")
    row, rows = 3, 12
    shape = {"row_bytes": row * BUS, "pitch": row * BUS, "rows": rows}
    payloads = [unpack(layout, 0) | shape | {"dram": HALF}]
    jobs = [Job("stores", SETUP + rows * row, LATENCY, [], [], False)]
    # The second port is so slow that a request waits longer than words are on their way to it.
    for stall, cycles, seeds in ((96, 1200, 60), (224, 3000, 40)):
        for seed in range(seeds):
            seen = ran(bench, jobs, payloads, cycles, stall, seed)
            _moved_all(bench, seen, *wanted(bench, jobs, payloads))


def _moved_all(bench, seen, tables, image):
    found = words_of(bench, seen)
    for name, table in tables.items():
        np.testing.assert_array_equal(
            found[name], table.reshape(found[name].shape if not len(table) else table.shape)
        )
    np.testing.assert_array_equal(bench[2].image, image)
