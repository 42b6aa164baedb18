"""4 and 8 bits mixed under a budget: sensitivity, allocation, recipe, check."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import yaml

from esca.avatars import load_avatar
from esca.captures import open_capture
from esca.errors import EscaError
from esca.evaluation import Protocol, prepare_clips
from esca.files import sha256, write_json, written_beside
from esca.graph.graph import Graph
from esca.quantization import CalibrationConfig, Recipe, calibrate
from esca.quantization.budget import (
    CHOICES,
    Allocation,
    LayerCost,
    Option,
    Unit,
    byte_cost,
    fixed_cost,
    mac_cost,
    pareto_front,
    unit_cost,
    within_budget,
)
from esca.quantization.recipe import Bits, recipe_data
from esca.study.document import standalone
from esca.study.plots import Mark, front
from esca.study.sensitivity import (
    Judge,
    Loss,
    Sensitivity,
    sensitivity,
    stored_loss,
    validation_protocol,
    validation_segments,
    with_choice,
)
from esca.study.store import Store, capture_digest

Progress = Callable[[int, int], None]
CostName = Literal["macs", "bytes"]
COSTS: Mapping[CostName, Callable[[Graph], LayerCost]] = {"macs": mac_cost, "bytes": byte_cost}
LOW = CHOICES[0]


@dataclass(frozen=True, eq=False)
class Mixed:
    """What :func:`mix` chose. Costs are parts of the cost with every convolution at w4a4.

    ``front``: all allocations that no other beats, by prediction. ``measured``: uniform 4 bits,
    uniform 8 bits and the choice, really rendered; by name.
    """

    recipe: Recipe
    chosen: Allocation
    units: tuple[Unit, ...]
    front: tuple[Allocation, ...]
    sensitivity: Sensitivity
    measured: dict[str, tuple[float, Loss]]


def mix(
    capture: Path,
    avatar: Path,
    recipe: Recipe,
    budget: float,
    folder: Path,
    calibration: CalibrationConfig,
    protocol: Protocol,
    cost: CostName | Callable[[Graph], LayerCost] = "macs",
    segments: int = 3,
    choices: Sequence[Bits] = CHOICES,
    progress: Progress | None = None,
) -> Mixed:
    """Choose bits for each convolution and write ``recipe.yaml``, ``front.json``, ``front.svg``.

    ``budget``: cost against that of all convolutions at w4a4, linear layers included on both sides.
    ``cost``: by name, or what makes a layer cost of a graph. ``segments``: training segments that
    the pictures are judged on. Each rendering is stored in ``folder/rows``. EscaError for a budget
    below 1 in that measure.
    """
    opened, model = open_capture(capture), load_avatar(avatar)
    protocol = validation_protocol(protocol)
    names = validation_segments(opened, segments)
    measured = calibrate(model, opened, calibration, recipes=[recipe])
    regions = None if calibration.regions is None else opened.regions(calibration.regions)
    judge = Judge(prepare_clips(opened, model, protocol, names, regions))
    identity = {
        "capture": capture_digest(opened, calibration.regions),
        "avatar": sha256(avatar),
        "protocol": asdict(protocol),
        "segments": names,
    }
    store = Store(folder / "rows")
    sensed = sensitivity(measured, recipe, judge, store, identity, choices, progress)
    layer_cost = (COSTS[cost] if isinstance(cost, str) else cost)(measured.graph)
    priced = Prices(measured.graph, recipe, tuple(sensed.alone), layer_cost)
    allocations = pareto_front(
        [
            [Option(b, priced.part(unit, b), sensed.added(unit, b)) for b in choices]
            for unit in priced.units
        ]
    )
    chosen = within_budget(allocations, budget - priced.fixed)
    mixed = with_choice(recipe, dict(zip(priced.units, chosen.bits, strict=True)))
    mixed = replace(mixed, name=f"{recipe.name}-mixed")
    found: dict[str, tuple[float, Loss]] = {}
    for name, bits in (
        ("all w4a4", [LOW] * len(priced.units)),
        ("chosen", list(chosen.bits)),
        ("all w8a8", [choices[-1]] * len(priced.units)),
    ):
        tried = with_choice(recipe, dict(zip(priced.units, bits, strict=True)))
        loss = stored_loss(measured, tried, judge, store, identity)
        total = sum(priced.part(u, b) for u, b in zip(priced.units, bits, strict=True))
        found[name] = (total + priced.fixed, loss)
    allocations = tuple(_shifted(a, priced.fixed, sensed.base.mse) for a in allocations)
    chosen = _shifted(chosen, priced.fixed, sensed.base.mse)
    result = Mixed(mixed, chosen, priced.units, allocations, sensed, found)
    write_mixed(result, budget, folder)
    return result


def _shifted(allocation: Allocation, cost: float, loss: float) -> Allocation:
    return replace(allocation, cost=allocation.cost + cost, loss=allocation.loss + loss)


class Prices:
    """Costs as parts of the cost with every convolution at w4a4."""

    def __init__(
        self, graph: Graph, recipe: Recipe, units: tuple[Unit, ...], cost: LayerCost
    ) -> None:
        self.units, self._cost = units, cost
        always = fixed_cost(graph, recipe, cost)
        self._whole = always + sum(unit_cost(unit, LOW, cost) for unit in units)
        if not self._whole > 0:
            raise EscaError("budget: the cost of uniform 4 bits is 0, expected above 0")
        self.fixed = always / self._whole

    def part(self, unit: Unit, bits: Bits) -> float:
        """Cost of a unit at some bits."""
        return unit_cost(unit, bits, self._cost) / self._whole


def write_mixed(mixed: Mixed, budget: float, folder: Path) -> None:
    """Write the three files of :func:`mix`."""
    write_json(mixed_data(mixed, budget), folder / "front.json")
    with written_beside(folder / "recipe.yaml") as beside:
        text = yaml.safe_dump(recipe_data(mixed.recipe), sort_keys=False)
        beside.write_text(text, encoding="utf-8")
    points = [(a.cost, Loss(a.loss, 0).psnr) for a in mixed.front if a.loss > 0]
    marks = [
        Mark(f"{name}, {loss.jod:.2f} JOD", cost, loss.psnr)
        for name, (cost, loss) in mixed.measured.items()
    ]
    up, across = "PSNR to the fp32 rendering, dB", "cost against all convolutions at w4a4"
    with written_beside(folder / "front.svg") as beside:
        drawing = front("front", points, marks, budget, across, up)
        beside.write_text(standalone(drawing), encoding="utf-8")


def mixed_data(mixed: Mixed, budget: float) -> dict[str, Any]:
    """Plain data: ``budget units sensitivity front chosen measured``; losses are MSE and JOD."""
    sensed = mixed.sensitivity

    def entry(allocation: Allocation) -> dict[str, Any]:
        bits = [label(bits) for bits in allocation.bits]
        return {"cost": allocation.cost, "mse": allocation.loss, "bits": bits}

    return {
        "budget": budget,
        "units": [list(unit.layers) for unit in mixed.units],
        "sensitivity": {
            "base": asdict(sensed.base),
            "alone": [
                {label(bits): asdict(loss) for bits, loss in sensed.alone[unit].items()}
                for unit in mixed.units
            ],
        },
        "front": [entry(allocation) for allocation in mixed.front],
        "chosen": entry(mixed.chosen),
        "measured": {
            name: {"cost": cost} | asdict(loss) for name, (cost, loss) in mixed.measured.items()
        },
    }


def label(bits: Bits) -> str:
    """``w4a8``."""
    return f"w{bits.weights}a{bits.activations}"
