"""Jobs as hardware takes them: a cycle at least, one tensor a load, whole bus words, a feed."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from esca.accelerator.config import AcceleratorConfig
from esca.accelerator.events import Job
from esca.accelerator.hardware.dram_maps import row_pitch
from esca.accelerator.hardware.latencies import SETUP
from esca.accelerator.isa import Instruction
from esca.accelerator.schedule import SERVERS
from esca.accelerator.workload import TensorShape, Workload
from esca.errors import EscaError

ENGINES = ("move", "upsample", "grid_sample")
"""Engines beside the array that a machine may be built with."""

FEED = "feed"
"""The queue of the weight feed, which has one job for each of the array's: its result is that the
unit's first weights are in the array. The array waits for it and not for ``weights``.
"""


@dataclass(frozen=True)
class HardwareJob:
    """A job and the ``instruction`` that it comes from; of loads the ``rows`` (tensor, from, to)
    that it brings, of residuals lines of the unit's raster.
    """

    job: Job
    instruction: int
    rows: tuple[str, int, int] | None = None


def bus_bytes(config: AcceleratorConfig) -> int:
    """Bytes of a word of the memory port; EscaError where DMA does not move whole ones."""
    found = config.dram_bytes_per_cycle
    if found not in (4, 8, 16, 32):
        raise EscaError(f"rtl: {config.name}: DMA moves {found:g} bytes a cycle, expected 4 to 32")
    return int(found)


def tensor_shapes(workload: Workload) -> dict[str, TensorShape]:
    """Tensors by name."""
    outputs = [layer.output for layer in workload.layers]
    return {tensor.name: tensor for tensor in (*workload.inputs, *outputs)}


def adapted_jobs(
    instructions: Sequence[Instruction], workload: Workload, config: AcceleratorConfig
) -> list[HardwareJob]:
    """Jobs in program order. A load of rows of several tensors becomes one job each, a row takes
    whole bus words; a residual is loaded by lines of its unit's raster, a bus word a place; no job
    takes less than a cycle, and DMA prepares each of its own.
    """
    tensors, bus = tensor_shapes(workload), bus_bytes(config)
    place: list[int] = []  # the last job of each instruction
    made: list[HardwareJob] = []
    for number, instruction in enumerate(instructions):
        job = instruction.job
        job.after = [place[other] for other in job.after]
        job.reuses = [place[other] for other in job.reuses]
        setup = SETUP if job.queue in SERVERS else 0
        job.cycles = max(1, job.cycles) + setup
        if instruction.op == "load_residual":
            y0, y1, x0, x1 = instruction.raster
            residual = workload.layers[instruction.layer].residual
            assert residual is not None
            line = replace(job, cycles=x1 - x0 + setup)
            made += [HardwareJob(line, number, (residual.name, y, y + 1)) for y in range(y1 - y0)]
        elif instruction.op != "load_rows":
            made.append(HardwareJob(job, number))
        for rows in instruction.rows if instruction.op == "load_rows" else ():
            words = (rows[2] - rows[1]) * row_pitch(tensors[rows[0]], bus) // bus
            made.append(HardwareJob(replace(job, cycles=words + setup), number, rows))
        place.append(len(made) - 1)
    return made


def with_feed(jobs: Sequence[HardwareJob], latency: int) -> list[HardwareJob]:
    """Each job of the array gets one of the weight feed before it, which waits for its weights in
    its place. ``latency``: of DRAM, all that a load of weights takes beside its cycles; what the
    simulator adds for the first tile's way into the array is the feed's own.
    """
    place: list[int] = []
    made: list[HardwareJob] = []
    for one in jobs:
        job = one.job
        after = [place[other] for other in job.after]
        reuses = [place[other] for other in job.reuses]
        if job.queue == "array":
            waits = [other for other in after if made[other].job.queue == "weights"]
            feed = Job(FEED, 1, after=waits)
            made.append(HardwareJob(feed, one.instruction))
            after = [other for other in after if other not in waits] + [len(made) - 1]
        late = latency if job.queue == "weights" else job.latency
        made.append(replace(one, job=replace(job, latency=late, after=after, reuses=reuses)))
        place.append(len(made) - 1)
    return made
