"""Frames of an artifact's texture decoder on the compiled hardware."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from esca.accelerator.axes import Ints
from esca.accelerator.compiler import compile_program
from esca.accelerator.config import AcceleratorConfig
from esca.accelerator.program import MachineProgram
from esca.accelerator.rtl.verify import Machine, Verification, verify
from esca.errors import EscaError
from esca.quantization.quantize import QuantizedGraph
from esca.runtime import IntegerDecoder

PART = "texture"


@dataclass(frozen=True, eq=False)
class FrameCheck:
    """One frame: ``verification`` against the simulator; ``values``: integers of the texture, of
    which ``different`` are not the integer runtime's.
    """

    verification: Verification
    values: int
    different: int

    @property
    def passed(self) -> bool:
        """Whether runtime, simulator and hardware agree."""
        return self.verification.passed and not self.different


def check_frames(
    quantized: QuantizedGraph,
    feeds: Mapping[str, Tensor],
    machine: Machine,
    stall_seed: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[FrameCheck, ...]:
    """Run the texture decoder on frames (reals of the whole decoder's inputs, batch first).

    The maps that it reads are the integer runtime's. With ``stall_seed`` memory stalls now and then
    and cycles are not compared. EscaError for what hardware is not built for.
    """
    program = texture_program(quantized, machine.config)
    made, count = [], len(next(iter(feeds.values())))
    for maps, wanted in wanted_textures(quantized, program, feeds):
        verification = verify(machine, program, maps, stall_seed)
        different = count_different(verification.run.outputs, wanted)
        made.append(FrameCheck(verification, wanted.numel(), different))
        if progress:
            progress(len(made), count)
    return tuple(made)


def texture_program(quantized: QuantizedGraph, config: AcceleratorConfig) -> MachineProgram:
    """The texture decoder's; EscaError for what hardware is not built for."""
    return compile_program(quantized, config, "artifact", PART)


def wanted_textures(
    quantized: QuantizedGraph, program: MachineProgram, feeds: Mapping[str, Tensor]
) -> Iterator[tuple[dict[str, Tensor], Tensor]]:
    """Of every frame (reals of the whole decoder's inputs, batch first) the maps that ``program``
    reads and the texture, as the integer runtime makes them.
    """
    runtime = IntegerDecoder(quantized)
    integers = runtime.quantize(feeds)
    names = {tensor.name for tensor in program.workload.inputs}
    for frame in range(len(next(iter(integers.values())))):
        one = {name: value[frame : frame + 1] for name, value in integers.items()}
        seen = {name: value for name, value in one.items() if name in names}

        def observe(name: str, value: Tensor, seen: dict[str, Tensor] = seen) -> None:
            if name in names:
                seen[name] = value.clone()

        wanted = runtime.run(one, observe=observe)[PART][0]
        missing = names - seen.keys()
        if missing:
            raise EscaError(f"rtl: the integer runtime has no map {min(missing)!r}")
        yield seen, wanted


def count_different(outputs: Mapping[str, Ints], wanted: Tensor) -> int:
    """Integers of the only output that are not the ``wanted`` ones."""
    (value,) = outputs.values()
    found = torch.from_numpy(np.ascontiguousarray(value))
    return int((found.reshape(-1) != wanted.reshape(-1)).sum())


def frame_data(check: FrameCheck) -> dict[str, Any]:
    """Plain data: ``passed values different jobs late starved alarms cycles seconds``."""
    verification, run = check.verification, check.verification.run
    return {
        "passed": check.passed,
        "values": check.values,
        "different": check.different,
        "jobs": verification.jobs,
        "late": verification.late,
        "starved": run.starved,
        "alarms": run.alarms,
        "cycles": run.cycles,
        "seconds": round(run.seconds, 1),
    }
