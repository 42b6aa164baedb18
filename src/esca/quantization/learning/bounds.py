"""2DQuant's second stage, DQC: nothing but clipping bounds learns (arXiv 2406.06649)."""

import math
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from esca.graph.execute import run
from esca.graph.graph import Graph, Node
from esca.graph.layers import Layer, schedule
from esca.graph.ops import Conv2d, ConvTranspose2d
from esca.quantization.learning.block import adopted
from esca.quantization.learning.codes import CodeBook
from esca.quantization.learning.grids import learned_grids, on_grid
from esca.quantization.learning.ranges import BoundedWeight, LearnedBounds
from esca.quantization.quantize import QuantizedGraph
from esca.quantization.recipe import Reconstruction

Progress = Callable[[int, int], None]


def train_bounds(
    quantized: QuantizedGraph,
    wanted: Graph,
    book: CodeBook,
    config: Reconstruction,
    progress: Progress | None = None,
) -> QuantizedGraph:
    """Train the bounds of convolutions' weights and of feature maps toward the float decoder.

    The loss is the texture's L1 error as a share of its grid's span (the authors' pictures lie in
    0 to 1) plus ``config.features`` times the mean squared error of normalized features. Vectors
    and outputs keep their grids.
    """
    student = _Student(quantized, wanted)
    generator = torch.Generator().manual_seed(config.seed)
    optimizer = torch.optim.Adam(student.parameters(), config.rate, betas=(0.9, 0.99))
    size = min(config.batch, len(book.codes))
    for step in range(config.steps):
        optimizer.param_groups[0]["lr"] = (
            config.rate * 0.5 * (1 + math.cos(math.pi * step / config.steps))
        )
        some = torch.randperm(len(book.codes), generator=generator)[:size]
        feeds = {"z": book.codes[some], "view": book.views[some]}
        optimizer.zero_grad(set_to_none=True)
        student.loss(feeds, config.features).backward()
        optimizer.step()
        if progress:
            progress(step + 1, config.steps)
    return student.frozen()


class _Student:
    """The decoder's way to the texture, its bounds trainable."""

    def __init__(self, quantized: QuantizedGraph, wanted: Graph) -> None:
        self.quantized = quantized
        self.graph = quantized.graph.leading_to(("texture",))
        layers = [
            step
            for step in schedule(self.graph)
            if isinstance(step, Layer) and isinstance(step.root.op, Conv2d | ConvTranspose2d)
        ]
        watched = {layer.output.name: layer.output.name for layer in layers}
        self.outputs = watched | dict(self.graph.outputs)
        self.features = tuple(watched)
        shown = quantized.grids[self.graph.outputs["texture"]]
        self.span = shown.scale * shown.top
        self.teacher = replace(wanted, outputs=self.outputs).leading_to(self.outputs)
        self.weights = {
            layer.name: BoundedWeight(
                quantized.graph.weight_op(layer.name),
                quantized.weights[layer.name],
                wanted.weight_op(layer.name).weight,
            )
            for layer in layers
        }
        self.bounds = learned_grids(
            quantized.graph,
            self.graph.by_name,
            lambda tied: LearnedBounds(quantized.grids[tied.produced[0]]),
        )

    def parameters(self) -> list[Tensor]:
        """Everything that learns."""
        bounds = [one.shares for one in dict.fromkeys(self.bounds.values())]
        return [*bounds, *(weight.shares for weight in self.weights.values())]

    def loss(self, feeds: dict[str, Tensor], features: float) -> Tensor:
        """L1 of the texture, and the features' error."""
        with torch.no_grad():
            goal = run(self.teacher, feeds)
        ops = {n: replace(self.graph.weight_op(n), weight=w()) for n, w in self.weights.items()}
        got = run(replace(self.graph.with_ops(ops), outputs=self.outputs), feeds, self.snapped)
        apart = [feature_error(got[name], goal[name]) for name in self.features]
        near = (got["texture"] - goal["texture"]).abs().mean() / self.span
        return near + features * torch.stack(apart).mean()

    def snapped(self, node: Node, value: Tensor) -> Tensor:
        """A tensor on its grid."""
        return on_grid(node.name, value, self.bounds, self.quantized.grids)

    def frozen(self) -> QuantizedGraph:
        """The quantized graph with the bounds as they are now."""
        return adopted(
            self.quantized,
            {name: weight.frozen() for name, weight in self.weights.items()},
            {name: bounds.frozen() for name, bounds in self.bounds.items()},
        )


def feature_error(got: Tensor, goal: Tensor) -> Tensor:
    """Squared distance of (B, C, H, W) features, each sample's divided by its length first."""
    one, other = (torch.nn.functional.normalize(value.flatten(1), dim=1) for value in (got, goal))
    return (one - other).square().sum(1).mean()
