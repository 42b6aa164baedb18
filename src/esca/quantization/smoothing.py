"""ICAS and FFAS: moving range from activations into weights, at no cost at run time.

Feed ``x_c / s_c`` and use ``s_c W_c``: the output does not change. All that stands between a
convolution and the layers that produce its input is positively homogeneous, so ``1 / s_c`` folds
into their output channels, channel biases and texel biases (arXiv 2510.24787).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from esca.graph.graph import Graph, Node
from esca.graph.ops import (
    Add,
    Conv2d,
    ConvTranspose2d,
    LeakyRelu,
    Linear,
    Op,
    Reshape,
    TexelBias,
    Upsample,
    Weighted,
    along,
    in_channel_axis,
    out_channel_axis,
)


@dataclass(frozen=True)
class ScalingGroup:
    """Tensors that must share one vector of channel scales.

    ``sources``: (node, repeat) of the producers; an output row r of a linear layer before a reshape
    belongs to channel r // repeat. ``biases``: texel-bias nodes between. ``sinks``: convolutions
    that read the tensors. ``tensors``: (node, repeat) of all values that are scaled. ``channels``:
    length of the vector.
    """

    sources: tuple[tuple[str, int], ...]
    biases: tuple[str, ...]
    sinks: tuple[str, ...]
    tensors: tuple[tuple[str, int], ...]
    channels: int


def scaling_groups(graph: Graph) -> tuple[ScalingGroup, ...]:
    """Every group of tensors whose channels can be scaled freely, in execution order.

    Tensors that an output, a concat, a grid sample or another operator outside the homogeneous ones
    reads are left out.
    """
    groups: list[ScalingGroup] = []
    covered: set[str] = set()
    for node in graph.weighted:
        if isinstance(node.op, Conv2d | ConvTranspose2d) and node.name not in covered:
            group = _group_of(graph, node)
            if group is not None:
                groups.append(group)
                covered.update(group.sinks)
    return tuple(groups)


def _group_of(graph: Graph, conv: Node) -> ScalingGroup | None:
    start = conv.inputs[0]
    channels = graph.by_name[start].shape[0]
    tensors: dict[str, int] = {}
    sources: dict[str, int] = {}
    sinks: list[str] = []
    biases: list[str] = []
    queue = [(start, 1)]
    while queue:
        name, repeat = queue.pop(0)
        if name in tensors:
            continue
        tensors[name] = repeat
        node = graph.by_name[name]
        if name in graph.outputs.values():
            return None
        match node.op:
            case Linear() | Conv2d() | ConvTranspose2d():
                sources[name] = repeat
            case TexelBias() | LeakyRelu() | Upsample() | Add():
                if isinstance(node.op, TexelBias):
                    biases.append(name)
                queue.extend((source, repeat) for source in node.inputs)
            case Reshape():
                before = graph.by_name[node.inputs[0]].shape
                if len(before) != 1 or len(node.shape) != 3 or repeat != 1:
                    return None
                queue.append((node.inputs[0], node.shape[1] * node.shape[2]))
            case _:
                return None
        for reader in graph.consumers[name]:
            match reader.op:
                case Conv2d() | ConvTranspose2d() if repeat == 1:
                    sinks.append(reader.name)
                case TexelBias() | LeakyRelu() | Upsample() | Add():
                    queue.append((reader.name, repeat))
                case Reshape() if len(node.shape) == 1 and reader.name in tensors:
                    pass
                case _:
                    return None
    return ScalingGroup(
        tuple(sources.items()),
        tuple(biases),
        tuple(dict.fromkeys(sinks)),
        tuple(tensors.items()),
        channels,
    )


def icas_scales(activation_peak: Tensor, weight_peak: Tensor, alpha: float) -> Tensor:
    """``s_c = max|x_c|^alpha / max|W_c|^(1 - alpha)``; 1 where a channel is silent."""
    scales = activation_peak.double() ** alpha / weight_peak.double() ** (1 - alpha)
    usable = (activation_peak > 0) & (weight_peak > 0) & torch.isfinite(scales)
    return torch.where(usable, scales, torch.ones_like(scales)).float()


def keep_range(scales: Tensor, activation_peak: Tensor) -> Tensor:
    """The scales times the one factor that leaves the tensor's largest magnitude as it was.

    A common factor changes nothing on a grid that serves the whole tensor, until FFAS sets some
    channels back to 1: only then do those keep their share of the range.
    """
    before, after = activation_peak.max(), (activation_peak / scales).max()
    return scales * (after / before) if float(before) > 0 else scales


def exempt_channels(region_variance: Tensor, percent: float) -> Tensor:
    """Mask of the top ``percent`` of the channels by variance inside the facial mask (FFAS)."""
    count = round(len(region_variance) * percent / 100)
    exempt = torch.zeros(len(region_variance), dtype=torch.bool)
    exempt[torch.argsort(region_variance, descending=True, stable=True)[:count]] = True
    return exempt


def weight_peaks(graph: Graph, sinks: tuple[str, ...]) -> Tensor:
    """(C,) largest magnitude of the weights that read each input channel, over the sinks."""
    peaks = []
    for name in sinks:
        op = graph.weight_op(name)
        peaks.append(op.weight.abs().movedim(in_channel_axis(op), 0).flatten(1).amax(1))
    return torch.stack(peaks).amax(0)


def apply_scales(graph: Graph, scales: Mapping[ScalingGroup, Tensor]) -> Graph:
    """Fold each group's scales into its producers (1/s) and its readers (s)."""
    ops: dict[str, Op] = {}

    def current(name: str) -> Op:
        return ops.get(name, graph.by_name[name].op)

    for group, scale in scales.items():
        for name, repeat in group.sources:
            op = current(name)
            assert isinstance(op, Weighted)
            down = 1 / scale.repeat_interleave(repeat)
            ops[name] = replace(
                op,
                weight=op.weight * along(down, out_channel_axis(op), op.weight.dim()),
                bias=None if op.bias is None else op.bias * down,
            )
        for name in group.biases:
            op = current(name)
            assert isinstance(op, TexelBias)
            ops[name] = TexelBias(op.bias / scale[:, None, None])
        for name in group.sinks:
            op = current(name)
            assert isinstance(op, Weighted)
            up = along(scale, in_channel_axis(op), op.weight.dim())
            ops[name] = replace(op, weight=op.weight * up)
    return graph.with_ops(ops)
