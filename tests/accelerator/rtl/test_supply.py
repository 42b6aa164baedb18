"""Fetch and control together: a program in memory starts its jobs as the simulator says."""

import numpy as np
import pytest
from amaranth.hdl import Module
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from tests.accelerator.rtl.control_bench import LATENCY_BITS, latencies, timers
from tests.accelerator.rtl.record_feed import started
from tests.accelerator.rtl.test_control import QUEUES, program_jobs

from esca.accelerator.events import simulate
from esca.accelerator.hardware.jobs import HardwareJob
from esca.accelerator.hardware.latencies import CONTROL_CYCLES
from esca.accelerator.rtl.axi import Axi
from esca.accelerator.rtl.compiled import compiled
from esca.accelerator.rtl.encode import DramPlaces, encoded_records, load_image
from esca.accelerator.rtl.fetch import BEAT_BYTES
from esca.accelerator.rtl.memory_model import Memory
from esca.accelerator.rtl.supply import supplied
from esca.accelerator.schedule import SERVERS

SIZE = 1 << 17


class SupplyBench(wiring.Component):
    """``begin``: a frame; it goes when records are there."""

    def __init__(self) -> None:
        count = len(QUEUES)
        super().__init__(
            {
                "program": In(32),
                "begin": In(1),
                "latency": In(data.ArrayLayout(LATENCY_BITS, count)),
                "axi": Out(Axi(BEAT_BYTES, read_only=True)),
                "go": Out(1),
                "start": Out(count),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        control, go = supplied(m, platform, QUEUES, self.axi, self.program, self.begin)
        m.d.comb += [self.go.eq(go), self.start.eq(control.start)]
        timers(m, QUEUES, control, self.latency)
        return m


@pytest.fixture(scope="module")
def bench():
    component = SupplyBench()
    simulation = compiled(component)
    return simulation, Memory(simulation, component, ("axi",), SIZE)


def frame(bench, jobs, cycles, stall):
    """Start cycle of every job."""
    simulation, memory = bench
    made = [HardwareJob(job, number) for number, job in enumerate(jobs)]
    records = encoded_records(QUEUES, made, [{"cycles": job.cycles} for job in jobs])
    address, image = load_image(records, DramPlaces(16, 4096))
    memory.image[address : address + len(image)] = image
    memory.behave(100, stall, 7)
    seen = simulation.run(
        cycles,
        program=np.full(cycles, address),
        begin=(np.arange(cycles) == 0).astype(np.int64),
        latency=np.repeat(latencies(QUEUES, jobs), cycles, 0),
    )
    assert memory.errors == 0
    (go,) = np.flatnonzero(seen["go"])
    return started(QUEUES, jobs, seen["start"], int(go))


def test_frames_from_memory(bench) -> None:
    jobs = program_jobs("base", 256, "texture", "w4a4", "esca-16x16")
    wanted = simulate(jobs, SERVERS, control=CONTROL_CYCLES)
    cycles = max(wanted) + 4000
    assert frame(bench, jobs, cycles, 0) == wanted
    # Behind a memory that stalls jobs start later, never before what they wait for.
    found = frame(bench, jobs, cycles * 2, 200)
    assert min(found) >= 0
    for job, start in zip(jobs, found, strict=True):
        ends = [found[o] + jobs[o].cycles for o in job.reuses]
        results = [found[o] + jobs[o].cycles + jobs[o].latency for o in job.after]
        assert start >= max([*ends, *results], default=0)
