"""Jobs start in exactly the cycles in which the event-driven simulation starts them."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.accelerator.rtl.control_bench import CYCLES, ControlBench, starts_in_hardware

from esca.accelerator import load_config
from esca.accelerator.events import Job, simulate
from esca.accelerator.hardware.jobs import FEED
from esca.accelerator.hardware.latencies import CONTROL_CYCLES
from esca.accelerator.order import place
from esca.accelerator.plan import plan_layer
from esca.accelerator.rtl.commands import CommandQueue, Source, command_queues, queue_names
from esca.accelerator.rtl.compiled import compiled
from esca.accelerator.schedule import SERVERS, schedule_jobs
from esca.accelerator.shapes import avatar_workload

CONFIG = load_config("esca-16x16")
DEPTH = 256


def without_feed(names):
    """Queues in which the array waits for loads of weights, as it does in the simulator."""
    found = []
    for queue in command_queues(names, CONFIG.array.columns):
        sources = (
            Source(source.kind, "weights" if source.queue == FEED else source.queue)
            for source in queue.sources
        )
        found.append(CommandQueue(queue.name, queue.server, tuple(sources), CYCLES))
    return [queue for queue in found if queue.name != FEED]


QUEUES = without_feed(queue_names(CONFIG, others=False))


@pytest.fixture(scope="module")
def bench():
    component = ControlBench(QUEUES, DEPTH)
    return component, compiled(component)


@st.composite
def job_lists(draw, queues=QUEUES):
    """Jobs on some queues, each waiting for what its queue sees; results of a queue all come
    equally late.
    """
    lines = draw(st.lists(st.sampled_from(queues), min_size=1, unique=True))
    latency = {line.name: draw(st.sampled_from([0, 1, 2, 7, 40])) for line in lines}
    cycles = st.one_of(st.integers(1, 3), st.integers(1, 40))
    jobs: list[Job] = []
    for _ in range(draw(st.integers(1, 40))):
        line = draw(st.sampled_from(lines))

        def seen(kind, line=line):
            found = [
                other
                for other, job in enumerate(jobs)
                if Source(kind, job.queue) in line.sources
                or (kind, job.queue) == ("end", line.name)
            ]
            return draw(st.lists(st.sampled_from(found), max_size=3)) if found else []

        after, reuses, late = seen("result"), seen("end"), draw(st.booleans())
        jobs.append(Job(line.name, draw(cycles), latency[line.name], after, reuses, late))
    return jobs


def agree(bench, jobs) -> None:
    starts = simulate(jobs, SERVERS, control=CONTROL_CYCLES)
    assert starts_in_hardware(bench[1], bench[0], jobs, max(starts) + 1) == starts


@settings(max_examples=100)
@given(job_lists())
@example([Job("array", 1) for _ in range(30)])
@example([Job("loads", 1), Job("weights", 1), Job("loads", 1, background=True), Job("stores", 2)])
def test_random_jobs(bench, jobs) -> None:
    agree(bench, jobs)


def program_jobs(variant, texture, part, bits, preset):
    config = load_config(preset)
    workload = avatar_workload(variant, texture, part, bits)
    plans = [plan_layer(layer, config) for layer in workload.layers]
    jobs = schedule_jobs(workload, place(workload, plans, config), config).jobs
    for job in jobs:  # hardware takes a cycle where there is nothing to do
        job.cycles = max(1, job.cycles)
    return jobs


def test_jobs_of_a_decoder(bench) -> None:
    agree(bench, program_jobs("base", 256, "texture", "w4a4", "esca-16x16"))
