"""A quantized graph whose weights, biases, scales and zero points can be trained."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from esca.graph.execute import run
from esca.graph.graph import Graph, Node
from esca.graph.layers import Layer, schedule
from esca.graph.ops import Linear, Op, TexelBias, Weighted, in_channel_axis
from esca.quantization.grid import Grid
from esca.quantization.learning.grids import channels_last, innermost, learned_grids, on_grid
from esca.quantization.learning.straight_through import round_within, snap, with_bias_gradient
from esca.quantization.phases import phases, set_weight_matrix
from esca.quantization.quantize import QuantizedGraph, TiedTensors
from esca.quantization.weights import QuantizedBias, QuantizedWeight, dequantize_weight

_LEAN = 0.45
"""How far from its integer, in steps, a weight may start: rounding must give the same integer."""


class LearnedWeight(nn.Module):
    """``scale * round(steps)``: ``steps`` are real-valued integers in the operator's layout."""

    def __init__(self, op: Weighted, stored: QuantizedWeight, wanted: Tensor) -> None:
        super().__init__()
        self.bits = stored.bits
        self.limit = 2 ** (stored.bits - 1) - 1
        self.place = scale_places(op, stored.scale)
        self.log_scale = nn.Parameter(stored.scale.double().log().float())
        values = stored.values.float()
        leaning = (wanted / self.scale_map() - values).clamp(-_LEAN, _LEAN)
        self.steps = nn.Parameter((values + leaning).detach())

    def scale_map(self) -> Tensor:
        """The step of every weight, broadcastable to the weights."""
        return self.log_scale.exp().reshape(-1)[self.place]

    def integers(self) -> Tensor:
        """Integers as floats, with straight-through gradients."""
        return round_within(self.steps, self.limit)

    def forward(self) -> Tensor:
        """Dequantized weights."""
        return self.integers() * self.scale_map()

    def frozen(self) -> QuantizedWeight:
        """The weights as they are stored."""
        values = torch.floor(self.steps.detach().clamp(-self.limit, self.limit) + 0.5)
        return QuantizedWeight(values.to(torch.int8), self.log_scale.detach().exp(), self.bits)


class LearnedBias(nn.Module):
    """Texel biases on one symmetric step a channel."""

    def __init__(self, stored: QuantizedBias, wanted: Tensor) -> None:
        super().__init__()
        self.bits = stored.bits
        self.limit = 2 ** (stored.bits - 1) - 1
        self.log_scale = nn.Parameter(stored.scale.double().log().float())
        values = stored.values.float()
        leaning = (wanted / stored.scale[:, None, None] - values).clamp(-_LEAN, _LEAN)
        self.steps = nn.Parameter(innermost(values + leaning))

    def forward(self) -> Tensor:
        """Dequantized biases, (C, H, W)."""
        steps = round_within(self.steps, self.limit)
        return steps * self.log_scale.exp()[:, None, None]

    def frozen(self) -> QuantizedBias:
        """The biases as they are stored."""
        values = torch.floor(self.steps.detach().clamp(-self.limit, self.limit) + 0.5)
        return QuantizedBias(values.to(torch.int32), self.log_scale.detach().exp(), self.bits)


class LearnedGrid(nn.Module):
    """An activation grid with a trained step and zero point."""

    def __init__(self, grid: Grid) -> None:
        super().__init__()
        self.bits, self.top = grid.bits, grid.top
        self.log_scale = nn.Parameter(torch.tensor([grid.scale], dtype=torch.float64).log().float())
        self.zero = nn.Parameter(torch.tensor([float(grid.zero_point)]))

    def forward(self, x: Tensor) -> Tensor:
        """``x`` on the grid."""
        return snap(x, self.log_scale.exp(), self.zero.clamp(0, self.top), self.top)

    def frozen(self) -> Grid:
        """The grid as it is stored."""
        zero = int(torch.round(self.zero.detach().clamp(0, self.top)))
        return Grid(float(self.log_scale.detach().exp()), zero, self.bits)


class Student(nn.Module):
    """The part of a quantized graph that leads to ``outputs``, trainable.

    ``wanted`` is the float graph that the integers stand for, smoothed like them: weights start
    between it and their integers, and round to the same integers. Grids of feature maps learn.
    What other outputs depend on too (the trunk of texture and mesh) stays as it is: they are not in
    the loss and would drift. So do ramps, which no texel may leave.
    """

    def __init__(
        self, quantized: QuantizedGraph, wanted: Graph, outputs: tuple[str, ...] = ("texture",)
    ) -> None:
        super().__init__()
        self.quantized = quantized
        self.graph = quantized.graph.leading_to(outputs)
        others = [label for label in quantized.graph.outputs if label not in outputs]
        shared = quantized.graph.leading_to(others).by_name
        self.weights: dict[str, LearnedWeight] = {}
        self.texel_biases: dict[str, LearnedBias] = {}
        self.biases: dict[str, nn.Parameter] = {}
        for node in self.graph.nodes:
            op, name = node.op, node.name
            if name in shared:
                continue
            if isinstance(op, Weighted):
                goal = wanted.weight_op(name).weight
                self.weights[name] = LearnedWeight(op, quantized.weights[name], goal)
                self.add_module(_key("weight", name), self.weights[name])
                if op.bias is not None:
                    self.biases[name] = nn.Parameter(op.bias.clone())
                    self.register_parameter(_key("bias", name), self.biases[name])
            elif isinstance(op, TexelBias) and quantized.texel_biases[name].ramp is None:
                goal = _texel_bias(wanted.by_name[name])
                self.texel_biases[name] = LearnedBias(quantized.texel_biases[name], goal)
                self.add_module(_key("texels", name), self.texel_biases[name])
        own = self.graph.by_name.keys() - shared.keys()
        self.learned_grids = learned_grids(quantized.graph, own, self._learned_grid)

    def _learned_grid(self, tied: TiedTensors) -> LearnedGrid:
        grid = LearnedGrid(self.quantized.grids[tied.produced[0]])
        self.add_module(_key("grid", tied.produced[0]), grid)
        return grid

    def _current(self) -> tuple[Graph, dict[str, Tensor]]:
        """The graph with what the parameters now stand for, and the biases in it by node.

        Biases stand detached in the graph; :meth:`forward` gives them their gradients.
        """
        ops: dict[str, Op] = {}
        biases: dict[str, Tensor] = dict(self.biases)
        for node in self.graph.nodes:
            op, name = node.op, node.name
            if name in self.weights:
                assert isinstance(op, Weighted)
                bias = self.biases[name].detach() if name in self.biases else None
                ops[name] = replace(op, weight=self.weights[name](), bias=bias)
            elif name in self.texel_biases:
                biases[name] = self.texel_biases[name]()
                ops[name] = TexelBias(biases[name].detach())
        return self.graph.with_ops(ops), biases

    def rates(self, rate: float) -> list[dict[str, Any]]:
        """Adam's parameter groups: what ``rate`` means to each kind of parameter.

        Integers move by ``rate`` steps an update, biases by ``rate`` steps of the grid that their
        layer writes, logarithms of steps by a tenth of ``rate``, zero points by ``rate`` steps.
        """
        groups: list[dict[str, Any]] = []

        def add(parameter: nn.Parameter, lr: float) -> None:
            groups.append({"params": [parameter], "lr": lr})

        for step in schedule(self.graph):
            if not isinstance(step, Layer):
                continue
            unit = self.quantized.grids[step.output.name].scale
            for node in step.members:
                if node.name in self.weights:
                    weight = self.weights[node.name]
                    add(weight.steps, rate)
                    add(weight.log_scale, rate / 10)
                if node.name in self.biases:
                    add(self.biases[node.name], rate * unit)
                if node.name in self.texel_biases:
                    bias = self.texel_biases[node.name]
                    add(bias.steps, rate * unit / float(bias.log_scale.detach().exp().mean()))
                    add(bias.log_scale, rate / 10)
        for grid in dict.fromkeys(self.learned_grids.values()):
            add(grid.log_scale, rate / 10)
            add(grid.zero, rate)
        return groups

    def forward(self, feeds: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Outputs of the fake-quantized path; equals ``fake_run`` until a parameter changes."""
        graph, biases = self._current()

        def snapped(node: Node, value: Tensor) -> Tensor:
            if node.name in biases:
                value = with_bias_gradient(value, biases[node.name])
            value = on_grid(node.name, value, self.learned_grids, self.quantized.grids)
            return channels_last(node, value)

        return run(graph, feeds, snapped)

    @torch.no_grad()
    def frozen(self) -> QuantizedGraph:
        """The whole quantized graph with what was learned."""
        before = self.quantized
        weights, biases = dict(before.weights), dict(before.texel_biases)
        ops: dict[str, Op] = {}
        for node in self.graph.nodes:
            op, name = node.op, node.name
            if name in self.weights:
                assert isinstance(op, Weighted)
                weights[name] = self.weights[name].frozen()
                real = dequantize_weight(op, weights[name])
                bias = self.biases[name].detach().clone() if name in self.biases else None
                ops[name] = replace(op, weight=real, bias=bias)
            elif name in self.texel_biases:
                biases[name] = self.texel_biases[name].frozen()
                ops[name] = TexelBias(biases[name].real)
        made = {grid: grid.frozen() for grid in self.learned_grids.values()}
        grids = dict(before.grids) | {name: made[g] for name, g in self.learned_grids.items()}
        return replace(
            before,
            graph=before.graph.with_ops(ops),
            weights=weights,
            texel_biases=biases,
            grids=grids,
        )


def _key(kind: str, name: str) -> str:
    """Name of a submodule or parameter, which may hold no dot."""
    return f"{kind}:{name.replace('.', '/')}"


def _texel_bias(node: Node) -> Tensor:
    assert isinstance(node.op, TexelBias)
    return node.op.bias


def scale_places(op: Weighted, scale: Tensor) -> Tensor:
    """Index into the flat (out, phases) scales for every weight, int64, in the weights' layout."""
    count = scale.shape[1]
    outputs = torch.arange(len(scale))
    if isinstance(op, Linear):
        return outputs[:, None]
    place = torch.zeros(op.weight.shape, dtype=torch.int64)
    for phase in phases(op):
        columns = len(phase.taps) * op.weight.shape[in_channel_axis(op)]
        index = outputs * count + (phase.index if count > 1 else 0)
        set_weight_matrix(op, place, phase, index[:, None].expand(-1, columns))
    return place
