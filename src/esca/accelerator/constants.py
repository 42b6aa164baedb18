"""What the epilogue and the sampling engines of a layer are told: integers from the lowering.

They are loaded with the program, once, not with every frame; int32 channel biases come with the
weights. ``docs/formats.md`` has the arithmetic.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from esca.accelerator.workload import WorkLayer
from esca.graph.layers import Move
from esca.graph.ops import ConvTranspose2d, GridSample, Upsample
from esca.quantization.quantize import QuantizedGraph
from esca.runtime.fixed_point import FixedPoint, fixed_point
from esca.runtime.integer import COORDINATE_BITS
from esca.runtime.lowering import IntegerLayer, IntegerProgram

Table = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class LayerConstants:
    """Integer constants of one layer.

    ``scalars``: ``source_zero``, ``zero``, ``top``; of arithmetic layers ``guard``,
    ``accumulator_bound`` and, where there are any, ``slope`` (16 fractional bits) and
    ``residual_zero``; of sampling ``place_zero``. ``tables``: ``mantissa``, ``shift`` (C, phases,
    phases); ``bias`` (C,) on the guard scale; ``texel_mantissa``, ``texel_shift`` (biases, C), and
    of ramps ``ramp_start``, ``ramp_step`` (ramps, C, 2), ``ramp_mantissa``, ``ramp_shift``;
    ``residual`` (mantissa, shift); ``places`` (2 axes, mantissa and shift).
    """

    scalars: Mapping[str, int]
    tables: Mapping[str, Table] = field(default_factory=dict)


def layer_constants(
    quantized: QuantizedGraph, program: IntegerProgram
) -> dict[str, LayerConstants]:
    """Constants of every layer, by its name."""
    found = {}
    for step in program.steps:
        if isinstance(step, Move):
            found[step.node.name] = _move(step, program)
        else:
            found[step.layer.name] = _arithmetic(step, quantized)
    return found


def _move(step: Move, program: IntegerProgram) -> LayerConstants:
    op, inputs = step.node.op, step.node.inputs
    grid = program.grids[inputs[0]]
    scalars = {"source_zero": grid.zero_point, "zero": grid.zero_point, "top": grid.top}
    if isinstance(op, Upsample):
        scalars["bilinear"] = int(op.mode == "bilinear")
    if not isinstance(op, GridSample):
        return LayerConstants(scalars)
    places = program.grids[inputs[1]]
    _, height, width = program.graph.by_name[inputs[0]].shape
    one = 1 << COORDINATE_BITS
    factors = [
        fixed_point(torch.tensor([places.scale * size * one / 2], dtype=torch.float64))
        for size in (width, height)
    ]
    table = np.array([[int(f.mantissa), int(f.shift)] for f in factors])
    return LayerConstants({**scalars, "place_zero": places.zero_point}, {"places": table})


def _arithmetic(step: IntegerLayer, quantized: QuantizedGraph) -> LayerConstants:
    op = step.layer.root.op
    unit = step.target.scale / 2**step.guard
    scalars = {
        "source_zero": step.source.zero_point,
        "zero": step.target.zero_point,
        "top": step.target.top,
        "guard": step.guard,
        "accumulator_bound": step.accumulator_bound,
    }
    channels = step.layer.root.shape[0]
    phases = op.stride if isinstance(op, ConvTranspose2d) else 1
    tables = {
        "mantissa": _spread(step.factor.mantissa, channels, phases),
        "shift": _spread(step.factor.shift, channels, phases),
    }
    rest = step.bias.long()
    widen: dict[str, list[FixedPoint]] = {"texel": [], "ramp": []}
    ramps = []
    for node in step.layer.texel_biases:
        stored = quantized.texel_biases[node.name]
        factor = fixed_point(stored.scale.double()[:, None, None] / unit)
        rest = rest - factor.times(stored.values)
        widen["texel" if stored.ramp is None else "ramp"].append(factor)
        if stored.ramp is not None:
            ramps.append(stored.ramp)
    flat = rest.reshape(channels, -1)
    if bool((flat != flat[:, :1]).any()):
        raise AssertionError(f"{step.layer.name}: what is left of the bias varies by texel")
    tables["bias"] = flat[:, 0].numpy()
    for kind, factors in widen.items():
        if factors:
            tables[f"{kind}_mantissa"] = np.stack([f.mantissa.flatten().numpy() for f in factors])
            tables[f"{kind}_shift"] = np.stack([f.shift.flatten().numpy() for f in factors])
    if ramps:
        tables["ramp_start"] = np.stack([ramp.start.long().numpy() for ramp in ramps])
        tables["ramp_step"] = np.stack([ramp.step.long().numpy() for ramp in ramps])
    if step.residual_factor is not None:
        factor = step.residual_factor
        tables["residual"] = np.array([int(factor.mantissa), int(factor.shift)])
        scalars["residual_zero"] = step.residual_zero
    if step.slope is not None:
        scalars["slope"] = step.slope
    return LayerConstants(scalars, tables)


def _spread(factor: torch.Tensor, channels: int, phases: int) -> Table:
    """(C, phases, phases), or (C, 1, 1) where one factor serves a channel."""
    if factor.dim() == 1:
        factor = factor[:, None, None]
    table = factor.expand(channels, *factor.shape[1:])[:, :phases, :phases]
    return table.contiguous().numpy()


def weight_values(quantized: QuantizedGraph, layer: WorkLayer) -> NDArray[np.int8]:
    """(output channels, taps y, taps x, input channels) of a layer with weights."""
    values = quantized.weights[layer.name].values.numpy()
    if values.ndim == 2:
        values = values[:, :, None, None]
    if layer.kind == "conv_transpose2d":
        values = values.swapaxes(0, 1)
    return np.ascontiguousarray(values.transpose(0, 2, 3, 1))
