"""The integer runtime's own arithmetic on integers that float32 holds exactly.

Every value between steps is ``integer - zero_point``; weights carry the requantization factor
``mantissa 2^-shift``, so an operator gives ``acc * m``. Flooring, biases, residual and the slope of
the leaky ReLU follow :mod:`esca.runtime.lowering` term by term. Engines recognize the pairs of
QuantizeLinear and DequantizeLinear, whose scale is 1, and run the operators on 8-bit integers. What
remains is one float32 rounding of ``acc * m``, seldom across a boundary.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from esca.graph.graph import Node
from esca.graph.layers import Move
from esca.graph.ops import (
    Affine,
    Conv2d,
    ConvTranspose2d,
    GridSample,
    Linear,
    Upsample,
    Weighted,
    out_channel_axis,
)
from esca.quantization.grid import Grid
from esca.quantization.quantize import QuantizedGraph
from esca.runtime.export.operators import (
    broadcast,
    grid_sample,
    interleave,
    rearrange,
    split_stride,
    texels,
    weigh,
)
from esca.runtime.export.phases import Row, split_texels, spread
from esca.runtime.export.writer import Writer
from esca.runtime.fixed_point import FixedPoint, fixed_point
from esca.runtime.integer import COORDINATE_BITS
from esca.runtime.lowering import SLOPE_BITS, IntegerLayer, IntegerProgram

LAST = (0, 2, 3, 1)
FIRST = (0, 3, 1, 2)


@dataclass(frozen=True)
class IntegerSteps:
    """Writes the steps of a lowered graph on integers in float32.

    ``last``: whether outputs with channels have them last. ``_last``: values that are also there
    with channels last, under that name.
    """

    quantized: QuantizedGraph
    program: IntegerProgram
    writer: Writer
    last: bool
    _last: dict[str, str] = field(default_factory=dict, init=False)

    def input(self, name: str) -> str:
        """An input in steps of its grid."""
        step = self.writer.real(f"{name}.step", torch.tensor(self.program.grids[name].scale))
        value = self.writer.node("Div", f"{name}.steps", name, step)
        return self._on_grid(name, self._rounded(name, value))

    def output(self, name: str, value: str) -> str:
        """The reals of a node's value."""
        w = self.writer
        if self.last and len(self.quantized.graph.by_name[name].shape) == 3:
            value = self._last.get(value) or w.node("Transpose", f"{name}.last", value, perm=LAST)
        step = w.real(f"{name}.step", torch.tensor(self.program.grids[name].scale))
        return w.node("Mul", f"{name}.reals", value, step)

    def layer(self, step: IntegerLayer, values: Mapping[str, str]) -> str:
        """See :mod:`esca.runtime.lowering` for the arithmetic."""
        output = step.layer.output
        stride = split_stride(self.quantized.graph, step.layer)
        if stride == 1:
            return self._on_grid(output.name, self._summed(step, values, None))
        rows = [self._summed(step, values, Row(stride, number)) for number in range(stride)]
        value = self._interleaved(output, rows)
        first = self.writer.node("Transpose", f"{output.name}.first", value, perm=FIRST)
        self._last[first] = value
        return first

    def _interleaved(self, output: Node, rows: Sequence[str]) -> str:
        """Rows of phases, rounded and clamped, as a value with channels last."""
        w, grid, name = self.writer, self._steps(output.name), f"{output.name}.spread"
        if grid.bits > 8:
            rounded = [self._on_grid(output.name, row) for row in rows]
            return interleave(w, name, rounded, output.shape)
        # What is moved is one byte a value. The second pair changes no value: without it engines
        # do not see that the next operator's input has 8 bits.
        stored = [w.quantized(output.name, row, grid) for row in rows]
        value, whole = interleave(w, name, stored, output.shape), Grid(1.0, grid.zero_point, 8)
        return w.snapped(name, w.reals(name, value, whole), whole)

    def _summed(self, step: IntegerLayer, values: Mapping[str, str], row: Row | None) -> str:
        """A layer's values in steps of its output, neither rounded nor clamped yet.

        ``row``: only these phases of a transposed convolution, channels as :class:`Row` has them.
        """
        w, layer = self.writer, step.layer
        name = layer.output.name
        unit = step.target.scale / 2**step.guard
        value = self._multiplied(step, values[layer.root.inputs[0]], row, unit)
        value = w.node("Floor", f"{layer.name}.floor", value)
        for node in layer.texel_biases:
            value = w.node("Add", node.name, value, self._texels(node.name, row, unit))
        if step.residual_factor is not None and layer.residual is not None:
            factor = w.real(f"{name}.residual_factor", real(step.residual_factor).reshape(()))
            added = w.node("Mul", f"{name}.residual", values[layer.residual], factor)
            added = self._rounded(f"{name}.residual", added)
            value = w.node("Add", f"{name}.sum", value, added)
        if step.slope is not None:
            slope = step.slope / 2**SLOPE_BITS
            value = w.node("LeakyRelu", f"{name}.lrelu", value, alpha=slope)
            value = self._rounded(f"{name}.lrelu", value)
        if step.guard:
            # A quarter of a guard unit: halves go up, as in the integer runtime, and not to even.
            quarter = w.real(f"{name}.quarter", torch.tensor(0.25))
            value = w.node("Add", f"{name}.above", value, quarter)
            down = w.real(f"{name}.guard", torch.tensor(2.0**-step.guard))
            value = w.node("Mul", f"{name}.narrow", value, down)
        return value

    def move(self, move: Move, values: Mapping[str, str]) -> str:
        """What only rearranges stays as it is; what interpolates is rounded half up."""
        node = move.node
        inputs = [values[name] for name in node.inputs]
        if isinstance(node.op, GridSample):
            value = grid_sample(self.writer, node.name, inputs[0], self._places(node, inputs[1]))
        else:
            value = rearrange(self.writer, node, *inputs)
            if not isinstance(node.op, Upsample) or node.op.mode == "nearest":
                return value
        return self._on_grid(node.name, self._rounded(node.name, value))

    def _multiplied(self, step: IntegerLayer, value: str, row: Row | None, unit: float) -> str:
        """``acc * m`` plus the channel bias plus a half, so that flooring it rounds half up."""
        w, root, op = self.writer, step.layer.root, step.layer.root.op
        rank, factor = len(root.shape), real(step.factor)
        offset = channel_bias(step, unit) + 0.5
        if not isinstance(op, Weighted) or step.weight is None:
            return self._scaled(root.name, value, factor, offset)
        weight, name = step.weight, f"{root.name}.weight"
        bits = self.quantized.weights[root.name].bits
        phases = _phase_columns(factor, op)
        if isinstance(op, ConvTranspose2d) and row is not None:
            scale = row.of(spread(phases, row.stride))
            stored = w.dequantized(name, row.weight(op, weight), bits, scale, 0)
        elif phases.shape[1] == 1:
            stored = w.dequantized(name, weight, bits, phases, out_channel_axis(op))
        else:
            # One factor a phase, and the phases stay together: they multiply the sums.
            stored = w.dequantized(name, weight, bits, torch.ones(()), None)
            value = weigh(w, f"{root.name}.sum", op, False, value, stored)
            return self._scaled(root.name, value, factor, offset)
        bias = offset.expand(root.shape[0], *(1,) * (rank - 1)).reshape(-1)
        if row is not None:
            bias = row.of(spread(bias, row.stride))
        split = False if row is None else row
        return weigh(w, root.name, op, split, value, stored, w.real(f"{root.name}.bias", bias))

    def _scaled(self, name: str, value: str, factor: Tensor, offset: Tensor) -> str:
        w = self.writer
        value = w.node("Mul", f"{name}.scaled", value, w.real(f"{name}.factor", factor))
        return w.node("Add", name, value, w.real(f"{name}.bias", offset))

    def _texels(self, name: str, row: Row | None, unit: float) -> str:
        """Texel biases in guard units; engines compute them once, when they load the file."""
        bias, made = self.quantized.texel_biases[name], f"{name}.texels"
        widen = real(fixed_point(bias.scale.double() / unit))
        if row is None:
            return self._rounded(made, texels(self.writer, made, bias, 1, widen))
        values = row.of(split_texels(bias.values, row.stride))[None]
        widen = row.of(spread(widen, row.stride))
        return self._rounded(made, self.writer.dequantized(made, values, bias.bits, widen, 1))

    def _places(self, node: Node, value: str) -> str:
        """Coordinates rounded to the fraction of a texel that the integer runtime holds."""
        w, one = self.writer, 1 << COORDINATE_BITS
        height, width = self.quantized.graph.by_name[node.inputs[0]].shape[1:]
        sides = torch.tensor([width, height], dtype=torch.float64)
        factor = real(fixed_point(self.program.grids[node.inputs[1]].scale * sides * one / 2))
        scale = w.real(f"{node.name}.factor", factor.reshape(2, 1, 1))
        value = w.node("Mul", f"{node.name}.fine", value, scale)
        value = self._rounded(f"{node.name}.place", value)
        back = w.real(f"{node.name}.side", (2 / (one * sides)).reshape(2, 1, 1))
        return w.node("Mul", f"{node.name}.coordinates", value, back)

    def _rounded(self, name: str, value: str) -> str:
        half = self.writer.real(f"{name}.half", torch.tensor(0.5))
        above = self.writer.node("Add", f"{name}.plus_half", value, half)
        return self.writer.node("Floor", f"{name}.rounded", above)

    def _on_grid(self, name: str, value: str) -> str:
        """Rounded and clamped to a node's grid; where it has 8 bits or less so that engines see it.

        OpenVINO drops pairs of 16 bits with their rounding and clamping.
        """
        grid = self._steps(name)
        if grid.bits <= 8:
            return self.writer.snapped(name, value, grid)
        return self.writer.clipped(name, self._rounded(name, value), grid)

    def _steps(self, name: str) -> Grid:
        """A node's grid where the real unit is one step."""
        grid = self.program.grids[name]
        return Grid(1.0, grid.zero_point, grid.bits)


def real(factor: FixedPoint) -> Tensor:
    """Real values of factors, float64; float32 holds them exactly."""
    return factor.mantissa.double() / 2.0 ** factor.shift.double()


def channel_bias(step: IntegerLayer, unit: float) -> Tensor:
    """The part of a layer's bias that its texels share, in guard units: (C, 1, 1) or (N,)."""
    root = step.layer.root
    rank = len(root.shape)
    match root.op:
        case Linear() | Conv2d() | ConvTranspose2d() if root.op.bias is not None:
            return torch.round(broadcast(root.op.bias.double(), rank) / unit)
        case Affine():
            return torch.round(broadcast(root.op.offset.double(), rank) / unit)
    return torch.zeros((1,) * rank, dtype=torch.float64)


def _phase_columns(factor: Tensor, op: Weighted) -> Tensor:
    """(out, phases) of a layer's factors, one column where the phases share them."""
    if isinstance(op, ConvTranspose2d) and factor.dim() == 3 and factor[0].numel() > 1:
        return factor[:, : op.stride, : op.stride].reshape(len(factor), -1)
    return factor.reshape(len(factor), 1)
