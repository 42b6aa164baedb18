"""What the hardware has beside what the models of area and energy count, part by part.

The models count an array, an epilogue and a linear engine, and nothing for what steers them. The
table :data:`CALIBRATED` holds the ratios found here.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from esca.accelerator.area import ARRAY_BLOCKS, Block, area
from esca.accelerator.config import AcceleratorConfig
from esca.accelerator.rtl.gates import TOP, TRANSISTORS, GateCount, total
from esca.accelerator.rtl.switching import ModuleEnergy, below
from esca.accelerator.technology import Estimate, figure, load_technology

Part = Literal["array", "epilogue", "linear", "control"]

COUNTED, CALIBRATED = "default", "calibrated"
"""Tables of constants: before hardware was known, and with its ratios."""

BLOCKS: Mapping[Part, tuple[Block, ...]] = {
    "array": ARRAY_BLOCKS,
    "epilogue": ("epilogue",),
    "linear": ("linear",),
    "control": ("control",),
}
"""What the models call a part; both have these."""

_KINDS: Mapping[Part, str] = {"array": "array", "epilogue": "lane", "linear": "linear"}
"""Modules that are a part, with all in them; control is what is in none."""


@dataclass(frozen=True)
class Compared:
    """A part's logic in ``hardware``, as ``counted`` by a model, and as ``calibrated``: square
    millimetres, or microjoules of a frame.
    """

    part: Part
    hardware: float
    counted: float
    calibrated: float


def with_constants(config: AcceleratorConfig, name: str) -> AcceleratorConfig:
    """The configuration with another table of constants."""
    return replace(config, technology=replace(config.technology, constants=name))


def compared_area(config: AcceleratorConfig, counts: Mapping[str, GateCount]) -> list[Compared]:
    """Square millimetres of the whole machine's logic, at its node: gates as NAND2 of as many
    transistors, and flip-flops.
    """
    node = config.technology.node_nanometres
    table = load_technology(config.technology.constants).area
    nand2, flip_flop = (figure(table, name, node).value for name in ("nand2", "flip_flop"))

    def mm2(one: GateCount) -> float:
        gates = one.gate_transistors / TRANSISTORS["NAND"]
        return 1e-6 * (gates * nand2 + one.flip_flops * flip_flop)

    numbers = below(TOP, counts)
    found = {
        part: mm2(total(counts, kind)) * numbers[kind]
        for part, kind in _KINDS.items()
        if kind in numbers
    }
    models = [area(with_constants(config, name)).logic for name in (COUNTED, CALIBRATED)]
    return _compared(found, mm2(total(counts)), models)


def compared_energy(
    counts: Mapping[str, GateCount],
    modules: Iterable[ModuleEnergy],
    cycles: int,
    models: Callable[[str], Mapping[Any, Estimate]],
) -> list[Compared]:
    """Microjoules of a frame of ``cycles`` in logic, from the energies of its modules. ``models``:
    logic by component of the energy model with a table of constants.
    """
    inside = {
        kind: part
        for part, root in _KINDS.items()
        if root in counts
        for kind in below(root, counts)
    }
    found: dict[Part, float] = {}
    whole = 0.0
    for one in modules:
        spent = 1e-6 * one.energy.value * cycles
        whole += spent
        if one.kind in inside:
            part = inside[one.kind]
            found[part] = found.get(part, 0.0) + spent
    return _compared(found, whole, [models(name) for name in (COUNTED, CALIBRATED)])


def _compared(
    found: Mapping[Part, float], whole: float, models: Sequence[Mapping[Any, Estimate]]
) -> list[Compared]:
    hardware = {**found, "control": whole - sum(found.values())}
    return [
        Compared(
            part,
            hardware.get(part, 0.0),
            *(sum(model[block].value for block in blocks) for model in models),
        )
        for part, blocks in BLOCKS.items()
    ]


def compared_data(rows: Sequence[Compared]) -> list[dict[str, Any]]:
    """Plain data: ``part hardware counted calibrated``."""
    return [
        {
            "part": row.part,
            **{
                name: float(f"{getattr(row, name):.4g}")
                for name in ("hardware", "counted", "calibrated")
            },
        }
        for row in rows
    ]


def compared_text(rows: Sequence[Compared], unit: str) -> str:
    """A line a part, and all of them; how far the model is off, before and after."""
    heads = ("hardware", "counted", "off", "calibrated", "off")
    lines = [f"{f'logic, {unit}':<14}" + "".join(f"{head:>12}" for head in heads)]
    sums = [
        sum(getattr(row, name) for row in rows) for name in ("hardware", "counted", "calibrated")
    ]
    whole = [(row.part, row.hardware, row.counted, row.calibrated) for row in rows]
    for name, hardware, *models in [*whole, ("all", *sums)]:
        line = f"{name:<14}{hardware:>12.4g}"
        for model in models:
            off = f"{model / hardware - 1:+.0%}" if hardware else "-"
            line += f"{model:>12.4g}{off:>12}"
        lines.append(line)
    return "\n".join(lines)
