"""Frames of an artifact's texture decoder on the compiled hardware."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from esca.accelerator.compiler import compile_program
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
    program = compile_program(quantized, machine.config, "artifact", PART)
    runtime = IntegerDecoder(quantized)
    integers = runtime.quantize(feeds)
    count = len(next(iter(integers.values())))
    wanted_names = {tensor.name for tensor in program.workload.inputs}
    made = []
    for frame in range(count):
        one = {name: value[frame : frame + 1] for name, value in integers.items()}
        seen: dict[str, Tensor] = {}

        def observe(name: str, value: Tensor, seen: dict[str, Tensor] = seen) -> None:
            if name in wanted_names:
                seen[name] = value.clone()

        wanted = runtime.run(one, observe=observe)[PART][0]
        missing = wanted_names - seen.keys()
        if missing:
            raise EscaError(f"rtl: the integer runtime has no map {min(missing)!r}")
        verification = verify(machine, program, seen, stall_seed)
        found = torch.from_numpy(np.ascontiguousarray(_only(verification.run.outputs)))
        different = int((found.reshape(-1) != wanted.reshape(-1)).sum())
        made.append(FrameCheck(verification, wanted.numel(), different))
        if progress:
            progress(frame + 1, count)
    return tuple(made)


def _only(outputs: Mapping[str, np.ndarray]) -> np.ndarray:
    (value,) = outputs.values()
    return value


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
