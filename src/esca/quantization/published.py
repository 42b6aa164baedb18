"""The published configuration of ESCA, as a float simulation that no integer machine can run.

Activations have a step for every image row and channel, found anew for each picture. Such steps
vary inside the sum of a convolution, so its products cannot be added as integers. Every four
weights have a step of their own. arXiv 2510.24787.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from esca.graph.execute import run
from esca.graph.graph import Graph, Node, parameters
from esca.graph.ops import Linear, Op, Weighted, in_channel_axis, out_channel_axis
from esca.quantization.calibration import Calibration
from esca.quantization.gptq import gptq_round
from esca.quantization.phases import phases, set_weight_matrix, weight_matrix
from esca.quantization.quantize import quantize, scaled_hessians
from esca.quantization.recipe import Bits, Recipe, Rounding, Smoothing
from esca.quantization.stages import smoothed_like
from esca.quantization.weights import symmetric_scale

GROUP = 4
_STEP_BYTES = 2
"""Steps of groups in half precision: about 8 bits for a weight of 4."""

RECIPE = Recipe(
    "esca-published", smoothing=Smoothing("ffas", 0.5, 75.0), rounding=Rounding("gptq", "uv")
)
"""Smoothing and Hessians as published; grids and groups are not a recipe's."""


@dataclass(frozen=True, eq=False)
class FloatSimulation:
    """A decoder whose convolutions are computed in float on values that were rounded before.

    ``graph``: dequantized. ``bits``: of convolutions; everything else stays float. ``bytes``: of
    all parameters, as they would be stored.
    """

    graph: Graph
    bits: Bits
    bytes: int

    def decode(self, z: Tensor, view: Tensor) -> tuple[Tensor, Tensor]:
        """``texture`` and ``mesh`` for codes (B, L) and view directions (B, 3)."""
        read = {node.inputs[0] for node in self.graph.weighted if not isinstance(node.op, Linear)}

        def snap(node: Node, value: Tensor) -> Tensor:
            return row_rounded(value, self.bits.activations) if node.name in read else value

        outputs = run(self.graph, {"z": z, "view": view}, snap)
        return outputs["texture"], outputs["mesh"]


def published(calibration: Calibration, bits: Bits) -> FloatSimulation:
    """Smooth and round a calibrated avatar as published. EscaError without UV Hessians.

    The Hessians are the exact ones of transposed convolutions, which is the paper's intent.
    """
    graph, statistics = calibration.graph, calibration.statistics
    made = quantize(graph, statistics, replace(RECIPE, rounding=Rounding()))
    scaled = smoothed_like(graph, made)
    scales = {
        graph.by_name[sink].inputs[0]: group.scales
        for group in made.smoothed
        for sink in group.sinks
    }
    ops: dict[str, Op] = {}
    size = sum(value.numel() * 4 for node in graph.nodes for value in parameters(node).values())
    for node in scaled.weighted:
        op = scaled.weight_op(node.name)
        if isinstance(op, Linear):
            continue
        hessians = scaled_hessians(scaled, node, statistics, RECIPE, scales)
        ops[node.name] = replace(op, weight=group_rounded(op, hessians, bits.weights))
        groups = sum(
            -(-len(phase.taps) * op.weight.shape[in_channel_axis(op)] // GROUP)
            * op.weight.shape[out_channel_axis(op)]
            for phase in phases(op)
        )
        size -= op.weight.numel() * 4
        size += op.weight.numel() * bits.weights // 8 + groups * _STEP_BYTES
    return FloatSimulation(scaled.with_ops(ops), bits, size)


def group_rounded(op: Weighted, hessians: list[Tensor], bits: int) -> Tensor:
    """Weights rounded by GPTQ, every four of a row of a phase on a symmetric step of their own."""
    result = torch.zeros_like(op.weight)
    for phase, hessian in zip(phases(op), hessians, strict=True):
        matrix = weight_matrix(op, op.weight, phase)
        rows, columns = matrix.shape
        if columns == 0:
            continue
        padded = torch.nn.functional.pad(matrix, (0, -columns % GROUP))
        steps = symmetric_scale(padded.reshape(-1, GROUP), bits, "minmax")
        steps = steps.reshape(rows, -1).repeat_interleave(GROUP, 1)[:, :columns]
        set_weight_matrix(op, result, phase, gptq_round(matrix, hessian, steps, bits) * steps)
    return result


def row_rounded(x: Tensor, bits: int) -> Tensor:
    """(B, C, H, W) rounded with a step and zero point for every row of every channel.

    The step spans the row's own smallest and largest value, and zero.
    """
    low = x.amin(-1, keepdim=True).clamp_max(0)
    high = x.amax(-1, keepdim=True).clamp_min(0)
    top = 2**bits - 1
    step = ((high - low) / top).clamp_min(1e-12)
    zero = torch.round(-low / step)
    return (torch.round(x / step + zero).clamp(0, top) - zero) * step
