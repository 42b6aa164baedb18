"""Layers of a quantized graph on the compiled hardware, one by one, held against the simulator."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
import torch
from torch import Tensor

from esca.accelerator.axes import Ints
from esca.accelerator.compiler import compile_layer
from esca.accelerator.config import AcceleratorConfig
from esca.accelerator.program import MachineProgram, Step, program_text
from esca.accelerator.rtl.verify import Machine, Verification, verify
from esca.accelerator.workload import quantized_workload
from esca.errors import EscaError
from esca.files import contents_sha256
from esca.quantization.quantize import QuantizedGraph
from esca.runtime.integer import COORDINATE_BITS


@dataclass(frozen=True)
class LayerCheck:
    """A ``layer`` at some ``bits``: ``values`` of its output, and what ``verification`` found, or
    why it is ``refused``.
    """

    bits: str
    layer: str
    values: int
    verification: Verification | None
    refused: str = ""

    @property
    def passed(self) -> bool:
        """Whether it ran, and all is as it must be."""
        return self.verification is not None and self.verification.passed


class LayerChecks:
    """Layers of a ``part`` by themselves on a ``machine``, from random integers that come from DRAM
    to an output that goes there. What is the same program with the same integers runs once.
    """

    def __init__(self, machine: Machine, part: str = "decoder", seed: int = 0) -> None:
        self.machine, self.part, self.seed = machine, part, seed
        self._known: dict[str, Verification] = {}

    def run(self, quantized: QuantizedGraph, bits: str, pattern: str = "*") -> Iterator[LayerCheck]:
        """Layers whose names match a ``pattern``; ``bits`` is what the checks are called by."""
        for layer in quantized_workload(quantized, "layers", self.part).layers:
            if not fnmatchcase(layer.name, pattern):
                continue
            values = layer.output.values
            try:
                program = compile_layer(quantized, self.machine.config, layer.name)
                found = self._verified(program)
            except EscaError as error:
                yield LayerCheck(bits, layer.name, values, None, str(error))
            else:
                yield LayerCheck(bits, layer.name, values, found)

    def _verified(self, program: MachineProgram) -> Verification:
        feeds = random_feeds(program, self.seed)
        tables = {
            f"{number}.{name}": table
            for number, step in enumerate(program.steps)
            for name, table in step.constants.tables.items()
        }
        fed = {f"feed.{name}": values.numpy() for name, values in feeds.items()}
        scalars = [dict(step.constants.scalars) for step in program.steps]
        header = {"program": program_text(program), "scalars": scalars}
        key = contents_sha256(header, {"image": program.image, **tables, **fed})
        if key not in self._known:
            self._known[key] = verify(self.machine, program, feeds)
        return self._known[key]


def random_feeds(program: MachineProgram, seed: int) -> dict[str, Tensor]:
    """Integers of every input, of all its values alike; where a texture is sampled, places that its
    window holds.
    """
    rng = np.random.default_rng(seed)
    made = {
        tensor.name: rng.integers(0, 1 << tensor.bits, tensor.shape)
        for tensor in program.workload.inputs
    }
    for step in program.steps:
        if step.engine == "grid_sample" and step.layer.inputs[1].name in made:
            made[step.layer.inputs[1].name] = _places(step, program.config, rng)
    return {name: torch.from_numpy(values) for name, values in made.items()}


def _places(step: Step, config: AcceleratorConfig, rng: np.random.Generator) -> Ints:
    """(2, H, W) places that lie anywhere in x, over the edges too, and in y as far from their own
    row as the window of a texture reaches.
    """
    texture, places = step.layer.inputs
    reach = config.engines.grid_window_rows / 2 - 1
    rows = np.arange(places.height)[:, None]
    shape = (places.height, places.width)
    wanted = (
        rng.uniform(-2, texture.width + 1, shape),
        rows + rng.uniform(-reach, reach, shape),
    )
    made = []
    sizes = (texture.width, texture.height)
    for texels, size, factor in zip(wanted, sizes, step.constants.tables["places"], strict=True):
        mantissa, shift = factor.tolist()
        off = (texels - (size - 1) / 2) * (1 << COORDINATE_BITS) * 2.0**shift / mantissa
        made.append(np.rint(off) + step.constants.scalars["place_zero"])
    return np.stack(made).clip(0, (1 << places.bits) - 1).astype(np.int64)


def layer_data(check: LayerCheck) -> dict[str, Any]:
    """Plain data: ``bits layer values passed refused`` and, where it ran, ``equal late jobs alarms
    cycles seconds``.
    """
    made = {
        "bits": check.bits,
        "layer": check.layer,
        "values": check.values,
        "passed": check.passed,
        "refused": check.refused,
    }
    found = check.verification
    if found is None:
        return made
    return made | {
        "equal": not found.different,
        "late": sum(found.late.values()),
        "jobs": sum(found.jobs.values()),
        "alarms": found.run.alarms,
        "cycles": found.run.cycles,
        "seconds": round(found.run.seconds, 1),
    }


def layers_table(checks: Sequence[LayerCheck]) -> str:
    """A line a layer, a column for each bits: its cycles where all is equal, else what is not; then
    why layers are refused.
    """
    columns = [*dict.fromkeys(check.bits for check in checks)]
    cells = {(check.layer, check.bits): layer_line(check) for check in checks}
    layers = [*dict.fromkeys(check.layer for check in checks)]
    wide = max(map(len, layers), default=0)
    lines = [" " * wide + "".join(f"  {name:>22}" for name in columns)]
    for layer in layers:
        made = (cells.get((layer, name), "") for name in columns)
        lines.append(f"{layer:{wide}}" + "".join(f"  {cell:>22}" for cell in made))
    reasons = dict.fromkeys(check.refused for check in checks if check.refused)
    passed = sum(check.passed for check in checks)
    lines.append(f"{passed} of {len(checks)} equal in all integers and start cycles")
    return "\n".join([*lines, *reasons]) + "\n"


def layer_line(check: LayerCheck) -> str:
    """In a few words: its cycles where all is equal, else what is not."""
    found = check.verification
    if found is None:
        return "refused"
    wrong = [
        *(["integers differ"] if found.different else []),
        *([f"{sum(found.late.values())} late"] if found.late else []),
        *(["alarm"] if found.run.alarms or found.run.memory_errors else []),
    ]
    return ", ".join(wrong) or f"equal, {found.run.cycles:,}"
