"""From a quantized graph to integer constants: everything an integer machine has to be told.

A layer computes, on integers alone,

    acc = sum w (x - zero_point_x)                              exact, int32
    u   = round(acc * m) + bias + round(residual * m_r)         int32, `guard` fractional bits
    v   = u if u >= 0 else round(u * slope / 2^16)
    y   = clamp(round(v / 2^guard) + zero_point_y, 0, top)

where every ``m`` is a 17-bit mantissa and a shift, one per output channel or per output channel and
phase. ``bias`` is the texel bias (stored on few bits, widened by a factor of its own) plus the
channel bias.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from esca.errors import EscaError
from esca.graph.graph import Graph
from esca.graph.layers import Layer, Move, schedule
from esca.graph.ops import Affine, ConvTranspose2d, Weighted, along, out_channel_axis
from esca.quantization.grid import Grid
from esca.quantization.quantize import QuantizedGraph
from esca.runtime.fixed_point import FixedPoint, fixed_point

GUARD_BITS = 8
SLOPE_BITS = 16
_ACCUMULATOR_LIMIT = 2**31 - 1
_REQUANTIZED_LIMIT = 2**31 - 2**18
"""Leaves room for the error of the factors, rounding and the zero point."""
_FACTOR_LIMIT = 2**16 - 1


@dataclass(frozen=True, eq=False)
class IntegerLayer:
    """Integer constants of one layer; see the module for what they do.

    ``weight``: int8 in the operator's layout, None for an elementwise root. ``factor``: shape
    (C, 1, 1), (C, H, W) or (N,). ``bias``: int32, (C, 1, 1), (C, H, W) or (N,), on the ``guard``
    scale. ``accumulator_bound``: the largest |acc| that any input can cause.
    """

    layer: Layer
    source: Grid
    target: Grid
    weight: Tensor | None
    factor: FixedPoint
    bias: Tensor
    residual_factor: FixedPoint | None
    residual_zero: int
    slope: int | None
    guard: int
    accumulator_bound: int


@dataclass(frozen=True, eq=False)
class IntegerProgram:
    """Steps in order, grids by tensor, and the graph's structure."""

    graph: Graph
    grids: dict[str, Grid]
    steps: tuple[IntegerLayer | Move, ...]


def lower(quantized: QuantizedGraph) -> IntegerProgram:
    """Integer constants of every layer. Deterministic: double arithmetic, rounded once."""
    steps: list[IntegerLayer | Move] = [
        _lower_layer(quantized, step) if isinstance(step, Layer) else step
        for step in schedule(quantized.graph)
    ]
    return IntegerProgram(quantized.graph, dict(quantized.grids), tuple(steps))


def _lower_layer(quantized: QuantizedGraph, layer: Layer) -> IntegerLayer:
    source = quantized.grids[layer.root.inputs[0]]
    target = quantized.grids[layer.output.name]
    op = layer.root.op
    channels = layer.root.shape[0]
    rank = len(layer.root.shape)
    bias = torch.zeros((channels, *(1,) * (rank - 1)), dtype=torch.float64)
    weight = None
    reach = max(source.zero_point, source.top - source.zero_point)
    if isinstance(op, Weighted):
        stored = quantized.weights[layer.name]
        weight = stored.values
        scale = _per_output(op, stored.scale.double(), layer.root.shape) * source.scale
        axis = out_channel_axis(op)
        bound = reach * int(weight.long().abs().movedim(axis, 0).flatten(1).sum(1).max())
        if op.bias is not None:
            bias = bias + along(op.bias.double(), 0, rank)
    else:
        scale = torch.full_like(bias, source.scale)
        bound = reach
        if isinstance(op, Affine):
            scale = scale * op.scale.double()
            bias = bias + op.offset.double()
    if bound > _ACCUMULATOR_LIMIT:
        raise EscaError(f"lowering: layer {layer.name!r} may overflow its int32 accumulator")
    texel = [quantized.texel_biases[node.name] for node in layer.texel_biases]
    residual = None if layer.residual is None else quantized.grids[layer.residual]
    steps = [float(scale.abs().max()), *(float(added.scale.max()) for added in texel)]
    largest = bound * steps[0] + float(bias.abs().max())
    largest += sum(float(added.real.abs().max()) for added in texel)
    if residual is not None:
        steps.append(residual.scale)
        largest += residual.top * residual.scale
    guard = _guard_bits(layer, target, max(steps), largest)
    unit = target.scale / 2**guard
    total = torch.round(bias / unit)
    for added in texel:
        widen = fixed_point(added.scale.double()[:, None, None] / unit)
        total = total + widen.times(added.values).double()
    return IntegerLayer(
        layer,
        source,
        target,
        weight,
        fixed_point(scale / unit),
        total.to(torch.int32),
        None if residual is None else fixed_point(torch.tensor([residual.scale / unit])),
        0 if residual is None else residual.zero_point,
        None if layer.slope is None else round(layer.slope * 2**SLOPE_BITS),
        guard,
        bound,
    )


def _guard_bits(layer: Layer, target: Grid, step: float, largest: float) -> int:
    """Most fractional bits with which factors and sums fit.

    ``step``: the largest real step that is widened; ``largest``: the largest real sum.
    """
    for guard in range(GUARD_BITS, -1, -1):
        unit = target.scale / 2**guard
        if largest / unit < _REQUANTIZED_LIMIT and step / unit < _FACTOR_LIMIT:
            return guard
    raise EscaError(f"lowering: layer {layer.name!r} may exceed 32 bits before requantization")


def _per_output(op: Weighted, scale: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Weight scales (out, phases) spread so that they broadcast over the layer's output."""
    if scale.shape[1] == 1 or not isinstance(op, ConvTranspose2d):
        return along(scale[:, 0], 0, len(shape))
    stride = op.stride
    tile = scale.reshape(-1, stride, stride)
    repeats = (-(-shape[1] // stride), -(-shape[2] // stride))
    return tile.repeat(1, *repeats)[:, : shape[1], : shape[2]]
