"""Learned rounding and activation steps of others: AdaRound + LSQ, BRECQ, QDrop and POCA.

Every block learns to say what it says in the float decoder, from the input that the quantized
blocks before it give. Errors are measured against the float output's variance, so that the
regularizer's weight means what it means in its authors' networks, whose activations are normalized.
"""

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from esca.graph.execute import evaluate, run
from esca.graph.graph import Graph, Node
from esca.graph.ops import Op
from esca.quantization.grid import Grid
from esca.quantization.learning.codes import CodeBook
from esca.quantization.learning.masks import outlier_free, seen
from esca.quantization.learning.ranges import LearnedStep
from esca.quantization.learning.rounding import SoftRounding, annealed
from esca.quantization.learning.straight_through import snap
from esca.quantization.learning.units import Unit, units
from esca.quantization.quantize import QuantizedGraph, tied_tensors
from esca.quantization.recipe import Reconstruction
from esca.quantization.weights import QuantizedWeight, dequantize_weight

Progress = Callable[[int, int], None]
_POOL = 2
"""Batches whose inputs and goals are held at a time."""
_REFRESH = 25
"""Steps after which other frames are drawn."""


@dataclass(frozen=True)
class _Pass:
    """What one pass over all blocks learns; without ``steps`` activations stay float."""

    weights: bool
    steps: bool


_APART = (_Pass(True, False), _Pass(False, True))
_JOINT = (_Pass(True, True),)
_PASSES = {"adaround-lsq": _APART, "brecq": _APART, "qdrop": _JOINT, "poca": _JOINT}


def reconstruct(
    quantized: QuantizedGraph,
    wanted: Graph,
    book: CodeBook,
    visibility: Tensor | None,
    config: Reconstruction,
    progress: Progress | None = None,
) -> QuantizedGraph:
    """Learn the rounding of the texture's convolutions and the steps of what they read.

    ``wanted``: the float graph that the integers stand for, smoothed like them. ``visibility``:
    (T, T) map, positive where a view sees the texel; only POCA looks at it. Vectors and outputs
    keep their grids. Memory: inputs and outputs of one block for a few frames.
    """
    graph = quantized.graph.leading_to(("texture",))
    blocks = units(graph, config.layers, config.method == "poca")
    passes = _PASSES[config.method]
    total, done = len(passes) * len(blocks) * config.steps, 0
    generator = torch.Generator().manual_seed(config.seed)
    for one in passes:
        learned: set[str] = set()
        for unit in blocks:
            modules = _Modules(quantized, wanted, unit, one, learned)
            lesson = _Lesson(quantized, wanted, book, visibility, config, modules, generator)
            for step in range(config.steps):
                lesson.learn(step)
                done += 1
                if progress:
                    progress(done, total)
            quantized = adopted(quantized, modules.frozen_weights(), modules.frozen_grids())
            learned.update(modules.steps)
    return quantized


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


def learnable_grids(graph: Graph) -> dict[str, tuple[str, ...]]:
    """Feature maps whose grid may learn, each with all tensors on the same grid."""
    shown = set(graph.outputs.values())
    return {
        name: tied.members
        for tied in tied_tensors(graph)
        if all(len(graph.by_name[source].shape) == 3 for source in tied.produced)
        and not shown.intersection(tied.members)
        for name in tied.members
    }


class _Modules:
    """What learns in one block."""

    def __init__(
        self,
        quantized: QuantizedGraph,
        wanted: Graph,
        unit: Unit,
        one: _Pass,
        learned: Collection[str],
    ) -> None:
        self.unit, self.one, self.grids = unit, one, quantized.grids
        self.weights: dict[str, SoftRounding] = {}
        self.steps: dict[str, LearnedStep] = {}
        for name in unit.weighted if one.weights else ():
            op, goal = quantized.graph.weight_op(name), wanted.weight_op(name).weight
            self.weights[name] = SoftRounding(op, quantized.weights[name], goal)
        tied = learnable_grids(quantized.graph)
        for name in unit.read if one.steps else ():
            if name in tied and name not in learned and name not in self.steps:
                self.steps |= dict.fromkeys(tied[name], LearnedStep(quantized.grids[name]))

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
        if not self.one.steps or node.name == self.unit.target or node.name not in self.grids:
            return value
        if node.name in self.steps:
            learned: Tensor = self.steps[node.name](value)
            return learned
        grid = self.grids[node.name]
        zero = torch.full((1,), float(grid.zero_point))
        return snap(value, torch.full((1,), grid.scale), zero, grid.top)

    def frozen_weights(self) -> dict[str, QuantizedWeight]:
        """Weights as they are stored."""
        return {name: weight.frozen() for name, weight in self.weights.items()}

    def frozen_grids(self) -> dict[str, Grid]:
        """Grids as they are stored."""
        return {name: step.frozen() for name, step in self.steps.items()}


class _Lesson:
    """The training of one block."""

    def __init__(
        self,
        quantized: QuantizedGraph,
        wanted: Graph,
        book: CodeBook,
        visibility: Tensor | None,
        config: Reconstruction,
        modules: _Modules,
        generator: torch.Generator,
    ) -> None:
        self.config, self.modules, self.generator = config, modules, generator
        self.quantized, self.book = quantized, book
        unit = modules.unit
        self.before = _leading_to(quantized.graph, unit.inputs)
        self.float = _leading_to(wanted, (*unit.inputs, unit.target))
        self.raw = {
            name
            for tied in tied_tensors(quantized.graph)
            if set(tied.members).intersection(unit.inputs)
            for name in tied.members
        }
        size = unit.graph.by_name[unit.target].shape
        masked = config.method == "poca" and visibility is not None
        self.visible = seen(visibility, (size[1], size[2])) if masked and visibility is not None else None
        groups = modules.groups(config)
        self.optimizer = torch.optim.Adam(groups) if groups else None
        self.pool: list[dict[str, Tensor]] = []

    def learn(self, step: int) -> None:
        """One step; nothing happens in a block where nothing learns."""
        if self.optimizer is None:
            return
        if step % _REFRESH == 0:
            self._draw()
        config, share = self.config, step / self.config.steps
        for group, rate in zip(
            self.optimizer.param_groups, self._rates(share), strict=True
        ):
            group["lr"] = rate
        size = len(self.goal)
        some = torch.randperm(size, generator=self.generator)[: config.batch]
        self.optimizer.zero_grad(set_to_none=True)
        loss = self._error(some)
        if share >= config.warm_up:
            power = annealed(share, config.warm_up)
            for weight in self.modules.weights.values():
                loss = loss + config.regularizer * weight.regularizer(power)
        loss.backward()
        self.optimizer.step()

    def _rates(self, share: float) -> list[float]:
        """Steps of activations always decay, roundings in POCA alone."""
        decay = 0.5 * (1 + math.cos(math.pi * share))
        rates = []
        if self.modules.weights:
            rates.append(self.config.rate * (decay if self.config.method == "poca" else 1.0))
        if self.modules.steps:
            rates.append(self.config.step_rate * decay)
        return rates

    def _error(self, some: Tensor) -> Tensor:
        """Squared error, summed over channels, over the goal's variance."""
        got = self._block({name: value[some] for name, value in self.inputs.items()}, some)
        error = (got - self.goal[some]).square().sum(1)
        if self.mask is None:
            return error.mean() / self.variance
        mask = self.mask[some]
        return (error * mask).sum() / mask.sum().clamp_min(1) / self.variance

    def _block(self, feeds: dict[str, Tensor], some: Tensor) -> Tensor:
        modules, target = self.modules, self.modules.unit.target

        def observe(node: Node, value: Tensor) -> Tensor:
            made = modules.snapped(node, value)
            if self.config.method != "qdrop" or node.name not in modules.unit.read:
                return made
            # What comes from before the block is replaced by what the float decoder has there.
            ideal = self.ideal[node.name][some] if node.name in self.ideal else value
            return dropped(made, ideal, self.config.drop, self.generator)

        return run(modules.graph(), feeds, observe)[target]

    @torch.no_grad()
    def _draw(self) -> None:
        """Inputs and goals of other frames, computed from their codes."""
        count = min(_POOL * self.config.batch, len(self.book.codes))
        frames = torch.randperm(len(self.book.codes), generator=self.generator)[:count]
        parts = []
        for one in frames.split(self.config.batch):
            feeds = {"z": self.book.codes[one], "view": self.book.views[one]}
            parts.append((run(self.before, feeds, self._prefix), evaluate(self.float, feeds)))
        names, target = self.modules.unit.inputs, self.modules.unit.target
        self.inputs = {n: torch.cat([given[n] for given, _ in parts]) for n in names}
        self.goal = torch.cat([ideal[target] for _, ideal in parts])
        # Only QDrop mixes float inputs in, and they are as large as the block's own.
        kept = names if self.config.method == "qdrop" else ()
        self.ideal = {n: torch.cat([ideal[n] for _, ideal in parts]) for n in kept}
        self.variance = float(self.goal.var((0, 2, 3), unbiased=False).mean().clamp_min(1e-12))
        self.mask = None
        if self.visible is not None:
            self.mask = self.visible & outlier_free(self.goal, self.config.outliers)

    def _prefix(self, node: Node, value: Tensor) -> Tensor:
        """What comes before the block, quantized; what it reads is snapped inside it."""
        if not self.modules.one.steps or node.name in self.raw:
            return value
        grid = self.quantized.grids.get(node.name)
        return value if grid is None else grid.fake(value)


def dropped(made: Tensor, ideal: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """``made``, with a random ``share`` of its values replaced by ``ideal``'s (QDrop)."""
    return torch.where(torch.rand(made.shape, generator=generator) < share, ideal, made)


def _leading_to(graph: Graph, names: Collection[str]) -> Graph:
    """The part of a graph that computes some tensors, under their own names."""
    return replace(graph, outputs={name: name for name in names}).leading_to(names)
