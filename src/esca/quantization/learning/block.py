"""What learns in one block of a quantized graph, and how it goes back into the graph."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from torch import Tensor, nn

from esca.graph.graph import Graph, Node
from esca.graph.ops import Op
from esca.quantization.grid import Grid
from esca.quantization.learning.grids import learned_grids, on_grid
from esca.quantization.learning.ranges import LearnedStep
from esca.quantization.learning.rounding import SoftRounding
from esca.quantization.learning.units import Unit
from esca.quantization.quantize import QuantizedGraph
from esca.quantization.recipe import Reconstruction
from esca.quantization.weights import QuantizedWeight, dequantize_weight


@dataclass(frozen=True)
class Pass:
    """What one pass over all blocks learns; without ``steps`` activations stay float."""

    weights: bool
    steps: bool


class Block:
    """What learns in one block."""

    def __init__(
        self,
        quantized: QuantizedGraph,
        wanted: Graph,
        unit: Unit,
        one: Pass,
        learned: Collection[str],
    ) -> None:
        self.unit, self.one, self.grids = unit, one, quantized.grids
        self.weights: dict[str, SoftRounding] = {}
        for name in unit.weighted if one.weights else ():
            op, goal = quantized.graph.weight_op(name), wanted.weight_op(name).weight
            self.weights[name] = SoftRounding(op, quantized.weights[name], goal)
        names = [name for name in unit.read if one.steps and name not in learned]
        self.steps = learned_grids(
            quantized.graph, names, lambda tied: LearnedStep(self.grids[tied.produced[0]])
        )

    def groups(self, config: Reconstruction) -> list[dict[str, object]]:
        """Adam's parameter groups."""
        rounding = [weight.alpha for weight in self.weights.values()]
        shares: list[nn.Parameter] = [step.share for step in dict.fromkeys(self.steps.values())]
        groups = [(rounding, config.rate), (shares, config.step_rate)]
        return [{"params": params, "lr": rate} for params, rate in groups if params]

    def graph(self) -> Graph:
        """The block with its soft weights; gradients reach them."""
        block = self.unit.graph
        return block.with_ops(
            {name: replace(block.weight_op(name), weight=w()) for name, w in self.weights.items()}
        )

    def snapped(self, node: Node, value: Tensor) -> Tensor:
        """A tensor of the block on its grid; what the block writes is judged before."""
        if not self.one.steps or node.name == self.unit.target:
            return value
        return on_grid(node.name, value, self.steps, self.grids)

    def frozen_weights(self) -> dict[str, QuantizedWeight]:
        """Weights as they are stored."""
        return {name: weight.frozen() for name, weight in self.weights.items()}

    def frozen_grids(self) -> dict[str, Grid]:
        """Grids as they are stored."""
        return {name: step.frozen() for name, step in self.steps.items()}


def adopted(
    quantized: QuantizedGraph,
    weights: Mapping[str, QuantizedWeight],
    grids: Mapping[str, Grid],
) -> QuantizedGraph:
    """The quantized graph with some weights and grids exchanged."""
    ops: dict[str, Op] = {}
    for name, weight in weights.items():
        op = quantized.graph.weight_op(name)
        ops[name] = replace(op, weight=dequantize_weight(op, weight))
    return replace(
        quantized,
        graph=quantized.graph.with_ops(ops),
        weights=dict(quantized.weights) | dict(weights),
        grids=dict(quantized.grids) | dict(grids),
    )
