"""A frame's energy in the hardware, beside what the energy model says of the same frame."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from esca.accelerator.activity import Component
from esca.accelerator.config import AcceleratorConfig, Node
from esca.accelerator.energy import FrameEnergy, frame_energy
from esca.accelerator.rtl.calibration import (
    BLOCKS,
    Compared,
    compared_data,
    compared_energy,
    compared_text,
    with_constants,
)
from esca.accelerator.rtl.compiled import Watched
from esca.accelerator.rtl.emit import rtlil_text
from esca.accelerator.rtl.frames import PART, check_frames
from esca.accelerator.rtl.gates import TOP, count_gates
from esca.accelerator.rtl.switching import ModuleEnergy, kinds_of, module_energies, total_energy
from esca.accelerator.rtl.top import Top
from esca.accelerator.rtl.verify import Machine
from esca.accelerator.technology import NODES, Estimate, load_technology, sum_of
from esca.accelerator.timing import time_workload
from esca.accelerator.workload import quantized_workload
from esca.errors import EscaError
from esca.quantization.quantize import QuantizedGraph

DRAM: tuple[Component, ...] = ("dram",)
_PJ_IN_UJ = 1e-6


@dataclass(frozen=True)
class FramePower:
    """A frame of ``cycles``. ``modules``: energy of a cycle, watched over the whole frame and what
    comes before it. ``compared``: logic beside the energy model of the same frame, ``model``: all
    of that by component, with the configuration's constants.
    """

    config: AcceleratorConfig
    node: Node
    cycles: int
    modules: tuple[ModuleEnergy, ...]
    compared: tuple[Compared, ...]
    model: Mapping[Component, Estimate]

    @property
    def logic(self) -> Estimate:
        """Microjoules of a frame in gates and flip-flops."""
        return total_energy(self.modules) * (self.cycles * _PJ_IN_UJ)


def frame_power(
    quantized: QuantizedGraph,
    config: AcceleratorConfig,
    feeds: Mapping[str, Tensor],
    node: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> FramePower:
    """Of the texture decoder on one frame; EscaError where hardware, simulator and runtime differ,
    or for what hardware is not built for.
    """
    at = _known_node(node) or config.technology.node_nanometres
    steps = iter(range(1, 4))

    def step() -> None:
        if progress:
            progress(next(steps), 3)

    table = load_technology(config.technology.constants)
    kinds, counts = kinds_of(rtlil_text(Top(config), TOP), TOP), count_gates(Top(config))
    step()
    watched: list[Watched] = []

    def build(component: Any) -> Watched:
        watched.append(Watched(component))
        return watched[-1]

    machine = Machine(config, build=build)
    step()
    (check,) = check_frames(quantized, feeds, machine)
    step()
    if not check.passed:
        raise EscaError("rtl: the frame differs from the simulator's, no energy is told")
    energies = module_energies(counts, kinds, watched[0].changes(), watched[0].cycles, table, at)
    timing = time_workload(quantized_workload(quantized, "artifact", PART), config)
    cycles = check.verification.run.cycles

    def modelled(one: AcceleratorConfig) -> FrameEnergy:
        return frame_energy(replace(timing, setup=one), at)

    compared = compared_energy(
        counts, energies, cycles, lambda name: modelled(with_constants(config, name)).logic
    )
    model = modelled(config).components
    return FramePower(config, at, cycles, tuple(energies), tuple(compared), model)


def power_data(found: FramePower) -> dict[str, Any]:
    """Plain data, as the command says."""
    logic = {block for blocks in BLOCKS.values() for block in blocks}
    memory = [name for name in found.model if name not in (*logic, *DRAM)]
    return {
        "config": found.config.name,
        "node": found.node,
        "cycles": found.cycles,
        "modules": [
            {
                "kind": one.kind,
                "number": one.number,
                "transistors": one.transistors,
                "activity": round(one.activity, 4),
                "pj_a_cycle": _three(one.energy),
            }
            for one in found.modules
        ],
        "logic_uj": _three(found.logic),
        "parts": compared_data(found.compared),
        "model_memory_uj": _three(sum_of(found.model[name] for name in memory)),
        "model_dram_uj": _three(sum_of(found.model[name] for name in DRAM)),
    }


def power_text(found: FramePower, least: float = 0.01) -> str:
    """Modules that take ``least`` of all and more; the frame beside the model."""
    data = power_data(found)
    whole = total_energy(found.modules).value
    shown = [one for one in found.modules if one.energy.value >= least * whole]
    names = [one.kind.partition("$")[0] for one in shown]
    wide = max(map(len, [*names, "module"]))
    heads = ("number", "transistors", "activity", "pJ a cycle", "share")
    lines = [f"{found.config.name}, {found.node} nm, {found.cycles:,} cycles"]
    lines.append(f"{'module':<{wide}}" + "".join(f"{head:>13}" for head in heads))
    for name, one in zip(names, shown, strict=True):
        energy = one.energy.value
        lines.append(
            f"{name:<{wide}}{one.number:>13,}{one.transistors:>13,}{one.activity:>13.3f}"
            f"{energy:>13.3f}{energy / whole:>13.1%}"
        )
    rest = whole - sum(one.energy.value for one in shown)
    lines.append(f"{'others':<{wide}}{'':>39}{rest:>13.3f}{rest / whole:>13.1%}")
    for name, key in (
        ("logic, from what registers switch", "logic_uj"),
        ("memories, energy model", "model_memory_uj"),
        ("DRAM, energy model", "model_dram_uj"),
    ):
        value, low, high = data[key].values()
        lines.append(f"{name:<36}{value:>9.1f} uJ a frame ({low:.1f} to {high:.1f})")
    return "\n".join([*lines, compared_text(found.compared, "uJ")])


def _three(energy: Estimate) -> dict[str, float]:
    return {
        "value": round(energy.value, 3),
        "low": round(energy.low, 3),
        "high": round(energy.high, 3),
    }


def _known_node(node: int | None) -> Node | None:
    if node is None:
        return None
    for one in NODES:
        if one == node:
            return one
    raise EscaError(f"rtl: node {node}, expected one of {', '.join(map(str, NODES))}")
