"""Bits of each layer under a budget: what they cost, and which choice loses least.

Pure: losses are measured elsewhere. They are taken to add up over layers, which holds for mean
squared errors of independent noise.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from esca.errors import EscaError
from esca.graph.graph import Graph, macs
from esca.graph.ops import GridSample, Linear, Weighted
from esca.quantization.quantize import tied_tensors
from esca.quantization.recipe import Bits, Override, Recipe

LayerCost = Callable[[str, int, int], float]
"""``cost(layer, weight_bits, activation_bits)`` of one weighted layer for one frame."""

CHOICES = (Bits(4, 4), Bits(4, 8), Bits(8, 8))
"""What a layer may have: the modes of an array whose multipliers are composed of 4-bit ones. Of the
two with one operand of 8 bits, 8-bit weights would take as long and store more."""


def mac_cost(graph: Graph) -> LayerCost:
    """MACs times 1 where both operands have at most 4 bits, 2 where one has more, else 4.

    What the three modes of the accelerator's array take, whose processing elements make four, two
    or one of these products a cycle. Elementwise layers and moves cost nothing.
    """

    def cost(layer: str, weight_bits: int, activation_bits: int) -> float:
        wide = (weight_bits > 4) + (activation_bits > 4)
        return macs(graph, layer) * (1, 2, 4)[wide]

    return cost


def byte_cost(graph: Graph) -> LayerCost:
    """Bytes of the packed weights, whatever the activations have."""

    def cost(layer: str, weight_bits: int, activation_bits: int) -> float:
        return graph.weight_op(layer).weight.numel() * weight_bits / 8

    return cost


@dataclass(frozen=True)
class Unit:
    """Convolutions that read one grid, and therefore share their activation bits.

    ``floor``: least activation bits that other readers of the grid leave them.
    """

    layers: tuple[str, ...]
    floor: int = 2

    @property
    def name(self) -> str:
        """Its first layer."""
        return self.layers[0]

    def effective(self, bits: Bits) -> Bits:
        """The bits that the unit really gets where ``bits`` are asked for."""
        return Bits(bits.weights, max(bits.activations, self.floor))


def units(graph: Graph, recipe: Recipe) -> tuple[Unit, ...]:
    """What bits are chosen for: every convolution of the graph, in order of execution.

    Linear layers are left as the recipe has them.
    """
    order = {node.name: place for place, node in enumerate(graph.weighted)}
    found = []
    for tied in tied_tensors(graph):
        readers = {reader.name: reader for name in tied.members for reader in graph.consumers[name]}
        floor, layers = 2, []
        for reader in readers.values():
            if isinstance(reader.op, Linear):
                floor = max(floor, recipe.bits_of(reader.name, True).activations)
            elif isinstance(reader.op, Weighted):
                layers.append(reader.name)
            elif isinstance(reader.op, GridSample):
                grid = reader.inputs[1] in tied.members
                floor = max(floor, recipe.coordinate if grid else recipe.texture)
        for name in set(tied.members) & set(graph.outputs.values()):
            feature_map = len(graph.by_name[name].shape) == 3
            floor = max(floor, recipe.texture if feature_map else recipe.mesh)
        if layers:
            found.append(Unit(tuple(sorted(layers, key=order.__getitem__)), min(floor, 8)))
    return tuple(sorted(found, key=lambda unit: order[unit.name]))


def unit_cost(unit: Unit, bits: Bits, cost: LayerCost) -> float:
    """Cost of all layers of a unit at the bits that it really gets."""
    real = unit.effective(bits)
    return sum(cost(layer, real.weights, real.activations) for layer in unit.layers)


def fixed_cost(graph: Graph, recipe: Recipe, cost: LayerCost) -> float:
    """Cost of the linear layers, which no choice changes."""
    total = 0.0
    for node in graph.weighted:
        if isinstance(node.op, Linear):
            bits = recipe.bits_of(node.name, True)
            total += cost(node.name, bits.weights, bits.activations)
    return total


@dataclass(frozen=True)
class Option:
    """One choice for one unit: what it costs and what it loses."""

    bits: Bits
    cost: float
    loss: float


@dataclass(frozen=True)
class Allocation:
    """One option a unit, in the units' order, with the summed cost and loss."""

    cost: float
    loss: float
    bits: tuple[Bits, ...]


def pareto_front(options: Sequence[Sequence[Option]]) -> tuple[Allocation, ...]:
    """Every allocation that no other beats in cost and loss, cheapest first; exact.

    Unit by unit, all options are added to all allocations so far, and those that are beaten are
    dropped: no completion could make them better (Nemhauser and Ullmann, 1969). Of equals the
    first stays. EscaError for a unit without options.
    """
    front = [Allocation(0.0, 0.0, ())]
    for index, choices in enumerate(options):
        if not choices:
            raise EscaError(f"budget: unit {index} has no options, expected at least one")
        grown = [
            Allocation(kept.cost + choice.cost, kept.loss + choice.loss, (*kept.bits, choice.bits))
            for kept in front
            for choice in choices
        ]
        grown.sort(key=lambda allocation: (allocation.cost, allocation.loss))
        front = []
        for allocation in grown:
            if not front or allocation.loss < front[-1].loss:
                front.append(allocation)
    return tuple(front)


def within_budget(front: Sequence[Allocation], budget: float) -> Allocation:
    """The allocation of a front that loses least at a cost of at most ``budget``."""
    fitting = [allocation for allocation in front if allocation.cost <= budget * (1 + 1e-9)]
    if not fitting:
        raise EscaError(
            f"budget: {budget:g} is below the cheapest choice, expected {front[0].cost:g} or more"
        )
    return fitting[-1]


def overrides_of(bits: Mapping[Unit, Bits], recipe: Recipe) -> tuple[Override, ...]:
    """Overrides that turn ``recipe`` into these bits; none where it has them already."""
    return tuple(
        Override(layer, chosen.weights, chosen.activations)
        for unit, chosen in bits.items()
        for layer in unit.layers
        if recipe.bits_of(layer, False) != chosen
    )
