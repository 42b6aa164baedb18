"""A program's jobs as the machine that is built runs them, and the cycle in which each starts."""

from collections.abc import Mapping
from dataclasses import dataclass

from esca.accelerator.allocate import RegionKey
from esca.accelerator.events import simulate
from esca.accelerator.hardware.bank_turns import BankTurns
from esca.accelerator.hardware.carried_lines import carried_places
from esca.accelerator.hardware.cycles import timed_program
from esca.accelerator.hardware.jobs import HardwareJob, adapted_jobs
from esca.accelerator.hardware.latencies import CONTROL_CYCLES
from esca.accelerator.hardware.region_layouts import region_layouts
from esca.accelerator.hardware.sizes import check_sizes
from esca.accelerator.hardware.whole_stores import Chunk, StoredChunk, with_whole_stores
from esca.accelerator.layout import Layout
from esca.accelerator.program import MachineProgram
from esca.accelerator.schedule import SERVERS


@dataclass(frozen=True, eq=False)
class HardwareFrame:
    """``program``: with one store a chunk (``chunks``) and the cycles that hardware takes; ``jobs``
    of its instructions, ``layouts`` of what lies in banks; ``carried``: first row of the sums that
    a layer carries on.
    """

    program: MachineProgram
    chunks: Mapping[Chunk, StoredChunk]
    layouts: Mapping[RegionKey, Layout]
    jobs: tuple[HardwareJob, ...]
    carried: Mapping[int, int]

    def starts(self) -> list[int]:
        """Start cycle of every job, with what the banks of activations hold up."""
        return self.cycles()[0]

    def cycles(self) -> tuple[list[int], list[int]]:
        """Of every job, the cycle in which it starts and that in which its result is there."""
        turns = BankTurns(self.jobs, self.program, self.layouts)
        jobs = [one.job for one in self.jobs]
        starts = simulate(jobs, SERVERS, turns, CONTROL_CYCLES)
        results = [
            turns.result(number, start + job.cycles + job.latency)
            for number, (start, job) in enumerate(zip(starts, jobs, strict=True))
        ]
        return starts, results


def hardware_frame(program: MachineProgram) -> HardwareFrame:
    """EscaError where maps have no layout in the banks or carried sums no room, or sizes are none
    of a machine that is built.
    """
    check_sizes(program.config, (step.engine for step in program.steps))
    whole, chunks = with_whole_stores(program)
    timed = timed_program(whole, chunks)
    jobs = adapted_jobs(timed.instructions, timed.workload, timed.config)
    return HardwareFrame(timed, chunks, region_layouts(whole), tuple(jobs), carried_places(whole))
