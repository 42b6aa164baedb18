"""Learned rounding and activation steps of others: AdaRound + LSQ, BRECQ, QDrop and POCA.

Every block learns to say what it says in the float decoder, from the input that the quantized
blocks before it give. Errors are measured against the float output's variance, so that the
regularizer's weight means what it means in its authors' networks, whose activations are normalized.
"""

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from esca.graph.execute import evaluate, run
from esca.graph.graph import Graph, Node
from esca.quantization.learning.block import Block, Pass, adopted
from esca.quantization.learning.codes import CodeBook
from esca.quantization.learning.masks import outlier_free, seen
from esca.quantization.learning.rounding import annealed
from esca.quantization.learning.units import units
from esca.quantization.quantize import QuantizedGraph, tied_tensors
from esca.quantization.recipe import Reconstruction

Progress = Callable[[int, int], None]
_POOL = 2
"""Batches whose inputs and goals are held at a time."""
_REFRESH = 25
"""Steps after which other frames are drawn."""


_APART = (Pass(True, False), Pass(False, True))
_JOINT = (Pass(True, True),)
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
            block = Block(quantized, wanted, unit, one, learned)
            lesson = _Lesson(quantized, wanted, book, visibility, config, block, generator)
            for step in range(config.steps):
                lesson.learn(step)
                done += 1
                if progress:
                    progress(done, total)
            quantized = adopted(quantized, block.frozen_weights(), block.frozen_grids())
            learned.update(block.steps)
    return quantized


@dataclass(frozen=True, eq=False)
class _Sample:
    """A few frames of one block.

    ``inputs``: what the quantized decoder has before it. ``ideal``: the same of the float decoder,
    where it is needed. ``goal``: what the float decoder has behind it, of this ``variance``.
    ``mask``: (B, H, W) texels that count, None for all.
    """

    inputs: dict[str, Tensor]
    ideal: dict[str, Tensor]
    goal: Tensor
    variance: float
    mask: Tensor | None

    def some(self, frames: Tensor) -> "_Sample":
        """Some of the frames."""
        return _Sample(
            {name: value[frames] for name, value in self.inputs.items()},
            {name: value[frames] for name, value in self.ideal.items()},
            self.goal[frames],
            self.variance,
            None if self.mask is None else self.mask[frames],
        )


class _Lesson:
    """The training of one block."""

    def __init__(
        self,
        quantized: QuantizedGraph,
        wanted: Graph,
        book: CodeBook,
        visibility: Tensor | None,
        config: Reconstruction,
        block: Block,
        generator: torch.Generator,
    ) -> None:
        self.config, self.block, self.generator = config, block, generator
        self.quantized, self.book = quantized, book
        unit = block.unit
        self.before = _leading_to(quantized.graph, unit.inputs)
        self.float = _leading_to(wanted, (*unit.inputs, unit.target))
        self.raw = {
            name
            for tied in tied_tensors(quantized.graph)
            if set(tied.members).intersection(unit.inputs)
            for name in tied.members
        }
        _, height, width = unit.graph.by_name[unit.target].shape
        self.visible = None
        if config.method == "poca" and visibility is not None:
            self.visible = seen(visibility, (height, width))
        groups = block.groups(config)
        self.optimizer = torch.optim.Adam(groups) if groups else None
        self.sample: _Sample | None = None

    def learn(self, step: int) -> None:
        """One step; nothing happens in a block where nothing learns."""
        if self.optimizer is None:
            return
        if self.sample is None or step % _REFRESH == 0:
            self.sample = self._drawn()
        config, share = self.config, step / self.config.steps
        for group, rate in zip(self.optimizer.param_groups, self._rates(share), strict=True):
            group["lr"] = rate
        order = torch.randperm(len(self.sample.goal), generator=self.generator)
        self.optimizer.zero_grad(set_to_none=True)
        loss = self._error(self.sample.some(order[: config.batch]))
        if share >= config.warm_up:
            power = annealed(share, config.warm_up)
            for weight in self.block.weights.values():
                loss = loss + config.regularizer * weight.regularizer(power)
        loss.backward()
        self.optimizer.step()

    def _rates(self, share: float) -> list[float]:
        """Steps of activations always decay, roundings in POCA alone."""
        decay = 0.5 * (1 + math.cos(math.pi * share))
        rates = []
        if self.block.weights:
            rates.append(self.config.rate * (decay if self.config.method == "poca" else 1.0))
        if self.block.steps:
            rates.append(self.config.step_rate * decay)
        return rates

    def _error(self, sample: _Sample) -> Tensor:
        """Squared error, summed over channels, over the goal's variance."""
        error = (self._output(sample) - sample.goal).square().sum(1)
        if sample.mask is None:
            return error.mean() / sample.variance
        return (error * sample.mask).sum() / sample.mask.sum().clamp_min(1) / sample.variance

    def _output(self, sample: _Sample) -> Tensor:
        block, target = self.block, self.block.unit.target

        def observe(node: Node, value: Tensor) -> Tensor:
            made = block.snapped(node, value)
            if self.config.method != "qdrop" or node.name not in block.unit.read:
                return made
            # What comes from before the block is replaced by what the float decoder has there.
            ideal = sample.ideal.get(node.name, value)
            return dropped(made, ideal, self.config.drop, self.generator)

        return run(block.graph(), sample.inputs, observe)[target]

    @torch.no_grad()
    def _drawn(self) -> _Sample:
        """Inputs and goals of other frames, computed from their codes."""
        count = min(_POOL * self.config.batch, len(self.book.codes))
        frames = torch.randperm(len(self.book.codes), generator=self.generator)[:count]
        parts = []
        for one in frames.split(self.config.batch):
            feeds = {"z": self.book.codes[one], "view": self.book.views[one]}
            parts.append((run(self.before, feeds, self._prefix), evaluate(self.float, feeds)))
        names, target = self.block.unit.inputs, self.block.unit.target
        goal = torch.cat([ideal[target] for _, ideal in parts])
        mask = None
        if self.visible is not None:
            mask = self.visible & outlier_free(goal, self.config.outliers)
        # Only QDrop mixes float inputs in, and they are as large as the block's own.
        kept = names if self.config.method == "qdrop" else ()
        return _Sample(
            {name: torch.cat([given[name] for given, _ in parts]) for name in names},
            {name: torch.cat([ideal[name] for _, ideal in parts]) for name in kept},
            goal,
            float(goal.var((0, 2, 3), unbiased=False).mean().clamp_min(1e-12)),
            mask,
        )

    def _prefix(self, node: Node, value: Tensor) -> Tensor:
        """What comes before the block, quantized; what it reads is snapped inside it."""
        if not self.block.one.steps or node.name in self.raw:
            return value
        grid = self.quantized.grids.get(node.name)
        return value if grid is None else grid.fake(value)


def dropped(made: Tensor, ideal: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """``made``, with a random ``share`` of its values replaced by ``ideal``'s (QDrop)."""
    return torch.where(torch.rand(made.shape, generator=generator) < share, ideal, made)


def _leading_to(graph: Graph, names: Collection[str]) -> Graph:
    """The part of a graph that computes some tensors, under their own names."""
    return replace(graph, outputs={name: name for name in names}).leading_to(names)
