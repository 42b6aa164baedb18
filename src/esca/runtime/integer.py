"""Bit-exact integer execution: the reference for exports, simulators and hardware.

Accumulations run through floating-point convolutions only where every partial sum is an integer
below 2^24 (float32) or 2^53 (float64), so their results are exact in any order of summation and
do not depend on the batch. They are rounded before they become integers: a kernel that transforms
its inputs (Winograd, FFT) is off by a rounding error, which a cast alone would truncate.
"""

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from esca.errors import EscaError
from esca.graph.graph import Node
from esca.graph.layers import Move
from esca.graph.ops import (
    Concat,
    Conv2d,
    ConvTranspose2d,
    GridSample,
    Linear,
    PixelShuffle,
    Reshape,
    Upsample,
    Weighted,
)
from esca.quantization.grid import Grid
from esca.quantization.quantize import QuantizedGraph
from esca.runtime.fixed_point import fixed_point
from esca.runtime.lowering import SLOPE_BITS, IntegerLayer, IntegerProgram, lower

COORDINATE_BITS = 10
"""Fractional bits of a texel coordinate in grid sampling."""

IntegerObserver = Callable[[str, Tensor], None]


class IntegerDecoder:
    """Runs an integer program; floats appear only at its inputs and outputs."""

    def __init__(self, program: IntegerProgram | QuantizedGraph) -> None:
        self.program = lower(program) if isinstance(program, QuantizedGraph) else program

    @torch.no_grad()
    def run(
        self,
        feeds: Mapping[str, Tensor],
        observe: IntegerObserver | None = None,
        unclamped: IntegerObserver | None = None,
    ) -> dict[str, Tensor]:
        """Integer outputs for integer inputs, int32, batch first; by input and output label.

        ``observe`` sees the integers of every tensor by node name, ``unclamped`` those that layers
        write before they are clamped to their grid.
        """
        program = self.program
        values: dict[str, Tensor] = {}
        for node in program.graph.inputs:
            if node.name not in feeds:
                raise EscaError(f"integer runtime: input {node.name!r} was not fed")
            values[node.name] = _checked(node, feeds[node.name], program.grids[node.name])
        last = _last_readers(program)
        for index, step in enumerate(program.steps):
            if isinstance(step, Move):
                name = step.node.name
                inputs = [values[source] for source in step.node.inputs]
                values[name] = _move(step.node, inputs, program.grids)
            else:
                name = step.layer.output.name
                residual = step.layer.residual
                wide = requantize(
                    step, values[step.layer.root.inputs[0]], values.get(residual or "")
                )
                if unclamped is not None:
                    unclamped(name, wide)
                values[name] = wide.clamp_(0, step.target.top)
            if observe is not None:
                observe(name, values[name])
            for stale in [key for key in values if last.get(key, -1) <= index]:
                del values[stale]
        return {label: values[name] for label, name in program.graph.outputs.items()}

    def quantize(self, feeds: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Input integers of real inputs."""
        return {name: self.program.grids[name].quantize(value) for name, value in feeds.items()}

    def decode(self, z: Tensor, view: Tensor) -> tuple[Tensor, Tensor]:
        """``texture`` and ``mesh`` as reals for codes (B, L) and view directions (B, 3)."""
        outputs = self.run(self.quantize({"z": z, "view": view}))
        texture, mesh = (self.dequantize(label, outputs[label]) for label in ("texture", "mesh"))
        return texture, mesh

    def dequantize(self, label: str, integers: Tensor) -> Tensor:
        """Real values of an output."""
        return self.program.grids[self.program.graph.outputs[label]].dequantize(integers)


def _checked(node: Node, integers: Tensor, grid: Grid) -> Tensor:
    """int32 input; bounds of the accumulators hold for integers on the grid only."""
    if integers.shape[1:] != node.shape:
        raise EscaError(
            f"integer runtime: input {node.name!r} has shape {tuple(integers.shape[1:])}, "
            f"expected {node.shape}"
        )
    if integers.numel() and not 0 <= int(integers.min()) <= int(integers.max()) <= grid.top:
        raise EscaError(
            f"integer runtime: input {node.name!r} holds values outside 0 to {grid.top}; "
            "were the real ones finite?"
        )
    return integers.to(torch.int32)


def _last_readers(program: IntegerProgram) -> dict[str, int]:
    """Index of the last step that reads each tensor; outputs are never stale."""
    last: dict[str, int] = {}
    for index, step in enumerate(program.steps):
        if isinstance(step, Move):
            names: tuple[str, ...] = step.node.inputs
        else:
            residual = step.layer.residual
            names = (step.layer.root.inputs[0], *((residual,) if residual else ()))
        last.update(dict.fromkeys(names, index))
    last.update(dict.fromkeys(program.graph.outputs.values(), len(program.steps)))
    return last


def run_layer(step: IntegerLayer, x: Tensor, residual: Tensor | None = None) -> Tensor:
    """One layer on int32 tensors, (B, ...) -> (B, ...) int32."""
    return requantize(step, x, residual).clamp_(0, step.target.top)


def requantize(step: IntegerLayer, x: Tensor, residual: Tensor | None = None) -> Tensor:
    """One layer without its last step, the clamp to the output's grid."""
    u = step.factor.times(accumulate(step, x)).to(torch.int32)
    u += step.bias
    if step.residual_factor is not None and residual is not None:
        u += step.residual_factor.times(residual - step.residual_zero).to(torch.int32)
    if step.slope is not None:
        scaled = (
            (u.long() * step.slope).add_(1 << (SLOPE_BITS - 1)).bitwise_right_shift_(SLOPE_BITS)
        )
        u = torch.where(u < 0, scaled.to(torch.int32), u)
    if step.guard:
        u.add_(1 << (step.guard - 1)).bitwise_right_shift_(step.guard)
    return u.add_(step.target.zero_point)


def accumulate(step: IntegerLayer, x: Tensor) -> Tensor:
    """The exact accumulators of a layer, as integers (int32)."""
    op = step.layer.root.op
    centred = x - step.source.zero_point
    if step.weight is None or not isinstance(op, Weighted):
        return centred
    exact = torch.float32 if step.accumulator_bound < 2**24 and x.device.type == "cpu" else None
    dtype = exact or torch.float64
    return _weigh(op, centred.to(dtype), step.weight.to(dtype)).round_().to(torch.int32)


def _weigh(op: Weighted, x: Tensor, weight: Tensor) -> Tensor:
    match op:
        case Linear():
            return F.linear(x, weight)
        case Conv2d():
            return F.conv2d(x, weight, None, op.stride, op.padding)
        case ConvTranspose2d():
            return F.conv_transpose2d(x, weight, None, op.stride, op.padding, op.output_padding)


def _move(node: Node, inputs: list[Tensor], grids: Mapping[str, Grid]) -> Tensor:
    op, x = node.op, inputs[0]
    match op:
        case Reshape():
            return x.reshape(len(x), *op.shape)
        case Concat():
            return torch.cat(inputs, dim=1)
        case PixelShuffle():
            return F.pixel_shuffle(x, op.factor)
        case Upsample() if op.mode == "nearest":
            return x.repeat_interleave(op.factor, 2).repeat_interleave(op.factor, 3)
        case Upsample():
            return bilinear_upsample(x, op.factor)
        case GridSample():
            return grid_sample(x, inputs[1], grids[node.inputs[0]], grids[node.inputs[1]])
    raise EscaError(f"integer runtime: {type(op).__name__} {node.name!r} is not a move")


def bilinear_upsample(x: Tensor, factor: int) -> Tensor:
    """Integer bilinear enlargement with ``align_corners=False``, rounded half up.

    Weights are whole multiples of 1 / (2 factor) on each axis, so the sum is exact.
    """
    x = x.to(torch.int32 if factor <= 64 else torch.int64)  # 16 bits times 4 factor^2
    for axis in (2, 3):
        size = x.shape[axis]
        held = torch.cat([x.narrow(axis, 0, 1), x, x.narrow(axis, size - 1, 1)], axis)
        phases = []
        for phase in range(factor):
            place = 2 * phase + 1 - factor  # from the source texel, times 2 factor
            low, share = divmod(place, 2 * factor)
            first, second = (held.narrow(axis, low + 1 + i, size) for i in (0, 1))
            phases.append(first * (2 * factor - share) + second * share)
        x = torch.stack(phases, axis + 1).flatten(axis, axis + 1)
    whole = 4 * factor * factor
    return torch.div(x + whole // 2, whole, rounding_mode="floor").to(torch.int32)


def grid_sample(texture: Tensor, coordinates: Tensor, colours: Grid, places: Grid) -> Tensor:
    """Integer bilinear sampling with zeros outside, ``align_corners=False``.

    ``texture``: (B, C, H, W) on ``colours``. ``coordinates``: (B, 2, h, w), x then y in [-1, 1] on
    ``places``. Coordinates are held with COORDINATE_BITS fractional bits of a texel.
    """
    batch, channels, height, width = texture.shape
    one = 1 << COORDINATE_BITS
    corners = []
    for axis, size in enumerate((width, height)):
        factor = fixed_point(torch.tensor([places.scale * size * one / 2], dtype=torch.float64))
        place = factor.times(coordinates[:, axis] - places.zero_point)
        place = place + (size - 1) * one // 2
        low = place >> COORDINATE_BITS
        share = place - (low << COORDINATE_BITS)
        corners.append(((low, one - share), (low + 1, share)))
    # Four weights sum to 2^20, so int32 holds the sum of colours of up to 11 bits.
    wide = torch.int32 if colours.top < 2 ** (31 - 2 * COORDINATE_BITS) else torch.int64
    flat = (texture - colours.zero_point).flatten(2).to(wide)
    total = torch.zeros(batch, channels, coordinates[0, 0].numel(), dtype=wide)
    for x, x_weight in corners[0]:
        for y, y_weight in corners[1]:
            inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
            index = (y.clamp(0, height - 1) * width + x.clamp(0, width - 1)).flatten(1)
            weight = (x_weight * y_weight * inside).flatten(1).to(wide)
            taken = flat.gather(2, index[:, None].expand(-1, channels, -1))
            total += taken * weight[:, None]
    shift = 2 * COORDINATE_BITS
    total = total.add_(1 << (shift - 1)).bitwise_right_shift_(shift).add_(colours.zero_point)
    total = total.clamp_(0, colours.top).to(torch.int32)
    return total.reshape(batch, channels, *coordinates.shape[2:])
