"""Jobs as hardware takes them: a cycle at least, one tensor a load, whole bus words."""

from dataclasses import replace

import pytest

from esca.accelerator import TensorShape, Workload, load_config
from esca.accelerator.events import simulate
from esca.accelerator.hardware.jobs import adapted_jobs, bus_bytes
from esca.accelerator.hardware.latencies import SETUP
from esca.accelerator.isa import Instruction
from esca.accelerator.schedule import SERVERS
from esca.errors import EscaError

CONFIG = load_config("esca-16x16")


def test_jobs_start_as_before_where_nothing_has_to_change(outline) -> None:
    workload, instructions = outline.workload, outline.instructions
    jobs = [one.job for one in instructions]
    adapted = adapted_jobs(instructions, workload, CONFIG)
    starts = simulate([one.job for one in adapted], SERVERS)
    first: dict[int, int] = {}
    for one, start in zip(adapted, starts, strict=True):
        first.setdefault(one.instruction, start)
    for job in jobs:
        job.cycles += SETUP if job.queue in SERVERS else 0
    before = simulate(jobs, SERVERS)
    assert [first[number] for number in range(len(jobs))] == before


def test_a_load_of_two_tensors_becomes_two() -> None:
    shapes = [TensorShape(name, (3, 8, 5), bits) for name, bits in (("a", 8), ("b", 4))]
    workload = Workload("w", (), tuple(shapes), ("a",))
    given = [
        Instruction("load_rows", "loads", cycles=3, rows=(("a", 0, 2), ("b", 1, 5))),
        Instruction("array", "array", after=(0,)),
        Instruction("epilogue", "epilogue", cycles=4, after=(1,), reuses=(0,)),
    ]
    jobs = adapted_jobs(given, workload, CONFIG)
    assert [one.instruction for one in jobs] == [0, 0, 1, 2]
    assert [one.job.cycles for one in jobs] == [SETUP + 2, SETUP + 4, 1, 4]
    assert [one.job.after for one in jobs] == [[], [], [1], [2]]
    assert jobs[3].job.reuses == [1]
    assert [one.rows for one in jobs[:2]] == [("a", 0, 2), ("b", 1, 5)]


def test_a_bus_of_broken_words_is_named() -> None:
    memory = replace(CONFIG.memory, dram_bytes_per_second=1e9)
    with pytest.raises(EscaError, match="DMA moves 2 bytes a cycle, expected 4 to 32"):
        bus_bytes(replace(CONFIG, memory=memory))
