"""A recipe applied to a graph: smoothing, grids, integer weights and biases."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from esca.errors import EscaError
from esca.graph.graph import Graph, Node
from esca.graph.layers import Layer, schedule, tied_inputs
from esca.graph.ops import GridSample, Linear, Op, TexelBias, Weighted
from esca.quantization.grid import Grid, dobi_range, grid_of_range, search_range
from esca.quantization.phases import phases
from esca.quantization.recipe import Recipe
from esca.quantization.smoothing import (
    ScalingGroup,
    apply_scales,
    exempt_channels,
    icas_scales,
    keep_range,
    scaling_groups,
    weight_peaks,
)
from esca.quantization.statistics import Statistics, TensorStatistics
from esca.quantization.weights import (
    QuantizedBias,
    QuantizedWeight,
    dequantize_weight,
    quantize_coordinates,
    quantize_texel_bias,
    quantize_weight,
)

RANGE_STEPS = 80


@dataclass(frozen=True, eq=False)
class Smoothed:
    """What smoothing did to one group: ``scales`` and ``exempt``, (C,) each, and its ``sinks``."""

    sinks: tuple[str, ...]
    scales: Tensor
    exempt: Tensor


@dataclass(frozen=True, eq=False)
class QuantizedGraph:
    """A graph with integer parameters.

    ``graph`` holds the *dequantized* parameters, so running it with every tensor in ``grids``
    snapped to its grid is the fake-quantized float path. ``weights`` and ``texel_biases`` are by
    node name, ``grids`` by the name of the tensor's node. ``smoothed`` is for reports.
    """

    graph: Graph
    recipe: Recipe
    weights: Mapping[str, QuantizedWeight]
    texel_biases: Mapping[str, QuantizedBias]
    grids: Mapping[str, Grid]
    smoothed: tuple[Smoothed, ...] = field(default=())


def quantize(graph: Graph, statistics: Statistics, recipe: Recipe) -> QuantizedGraph:
    """Quantize a float graph as the recipe says; needs nothing but the collected statistics."""
    _check_overrides(graph, recipe)
    groups = scaling_groups(graph) if recipe.smoothing.method != "none" else ()
    smoothed = {group: _smooth(graph, statistics, recipe, group) for group in groups}
    scaled = apply_scales(graph, {group: made.scales for group, made in smoothed.items()})
    tensor_scales = _tensor_scales(graph, smoothed)
    grids = _grids(scaled, statistics, recipe, tensor_scales)
    weights = {
        node.name: _round(scaled, node, statistics, recipe, tensor_scales)
        for node in scaled.weighted
    }
    biases = {
        node.name: _biases(scaled, node.name, node.op, recipe)
        for node in scaled.nodes
        if isinstance(node.op, TexelBias)
    }
    ops: dict[str, Op] = {name: TexelBias(bias.real) for name, bias in biases.items()}
    for name, weight in weights.items():
        op = scaled.weight_op(name)
        ops[name] = replace(op, weight=dequantize_weight(op, weight))
    return QuantizedGraph(
        scaled.with_ops(ops), recipe, weights, biases, grids, tuple(smoothed.values())
    )


def _check_overrides(graph: Graph, recipe: Recipe) -> None:
    names = [node.name for node in graph.weighted]
    for override in recipe.overrides:
        if not any(override.matches(name) for name in names):
            raise EscaError(
                f"recipe {recipe.name!r}: overrides: layer {override.layer!r} matches none of "
                f"{', '.join(names)}"
            )


def _smooth(graph: Graph, statistics: Statistics, recipe: Recipe, group: ScalingGroup) -> Smoothed:
    read = [
        statistics.tensors[graph.by_name[name].inputs[0]] for name in dict.fromkeys(group.sinks)
    ]
    peak = torch.stack([tensor.peak for tensor in read]).amax(0)
    scales = icas_scales(peak, weight_peaks(graph, group.sinks), recipe.smoothing.alpha)
    scales = keep_range(scales, peak)
    exempt = torch.zeros(group.channels, dtype=torch.bool)
    if recipe.smoothing.method == "ffas":
        variance = torch.stack([tensor.region_variance for tensor in read]).sum(0)
        exempt = exempt_channels(variance, recipe.smoothing.exempt_percent)
        scales = torch.where(exempt, torch.ones_like(scales), scales)
    return Smoothed(group.sinks, scales, exempt)


def _tensor_scales(graph: Graph, smoothed: Mapping[ScalingGroup, Smoothed]) -> dict[str, Tensor]:
    """Channel scales of every feature map that smoothing divided."""
    return {
        name: made.scales
        for group, made in smoothed.items()
        for name, _ in group.tensors
        if len(graph.by_name[name].shape) == 3
    }


def _round(
    graph: Graph,
    node: Node,
    statistics: Statistics,
    recipe: Recipe,
    tensor_scales: Mapping[str, Tensor],
) -> QuantizedWeight:
    op = graph.weight_op(node.name)
    bits = recipe.bits_of(node.name, isinstance(op, Linear)).weights
    hessians = None
    if recipe.rounding.method == "gptq":
        hessians = scaled_hessians(graph, node, statistics, recipe, tensor_scales)
    return quantize_weight(
        op,
        bits,
        recipe.granularity,
        recipe.weight_range,
        hessians,
        recipe.rounding.damp,
        recipe.rounding.block,
        node.name,
    )


def scaled_hessians(
    graph: Graph,
    node: Node,
    statistics: Statistics,
    recipe: Recipe,
    tensor_scales: Mapping[str, Tensor],
) -> list[Tensor]:
    """Hessians of a layer's phases, its input's channels divided by their scales.

    ``tensor_scales``: channel scales by tensor name. EscaError where none were collected.
    """
    source = statistics.uv if recipe.rounding.hessian == "uv" else statistics.plain
    if node.name not in source:
        needed = "texel weight map" if recipe.rounding.hessian == "uv" else "Hessians"
        raise EscaError(f"recipe {recipe.name!r}: calibration collected no {needed}")
    hessians = source[node.name]
    if node.inputs[0] not in tensor_scales:
        return hessians
    factor = 1 / tensor_scales[node.inputs[0]]
    taps = [len(phase.taps) for phase in phases(graph.weight_op(node.name))]
    return [_rescaled(h, factor, count) for h, count in zip(hessians, taps, strict=True)]


def _rescaled(hessian: Tensor, factor: Tensor, taps: int) -> Tensor:
    """Hessian of columns whose channels were multiplied by ``factor``: D H D."""
    diagonal = factor.repeat(taps)
    return hessian * diagonal[:, None] * diagonal


def _biases(graph: Graph, name: str, op: TexelBias, recipe: Recipe) -> QuantizedBias:
    """Coordinates of a sampling grid need finer biases than colours."""
    if feeds_grid(graph, name):
        return quantize_coordinates(op.bias, recipe.coordinate)
    return quantize_texel_bias(op.bias, recipe.texel_bias)


def feeds_grid(graph: Graph, name: str) -> bool:
    """Whether some sampling takes a node's values for places."""
    return any(
        isinstance(reader.op, GridSample) and reader.inputs[1] == name
        for reader in graph.consumers[name]
    )


def _grids(
    graph: Graph,
    statistics: Statistics,
    recipe: Recipe,
    tensor_scales: Mapping[str, Tensor],
) -> dict[str, Grid]:
    """A grid for every tensor that stands between steps; moves share their input's."""
    grids: dict[str, Grid] = {}
    for tensors in tied_tensors(graph):
        members, sources = tensors.members, tensors.produced
        bits = max(_tensor_bits(graph, name, recipe) for name in members)
        parts = [_scaled_statistics(graph, statistics, name, tensor_scales) for name in sources]
        shown = any(name in graph.outputs.values() for name in members)
        maps = all(len(graph.by_name[name].shape) == 3 for name in sources)
        if not maps:
            parts = [_widened(part, recipe.headroom) for part in parts]
        grid = _fit(parts, bits, recipe, clip=maps and not shown)
        grids.update(dict.fromkeys(members, grid))
    return grids


@dataclass(frozen=True)
class TiedTensors:
    """Tensors that share one grid. ``produced``: those that no move copies from another."""

    members: tuple[str, ...]
    produced: tuple[str, ...]


def tied_tensors(graph: Graph) -> tuple[TiedTensors, ...]:
    """Every group of tensors that stand on one grid; moves keep their input's."""
    steps = schedule(graph)
    produced = [node.name for node in graph.inputs]
    leader: dict[str, str] = {name: name for name in produced}

    def find(name: str) -> str:
        while leader[name] != name:
            name = leader[name]
        return name

    for step in steps:
        name = step.output.name if isinstance(step, Layer) else step.node.name
        leader[name] = name
        if isinstance(step, Layer):
            produced.append(name)
            continue
        for source in tied_inputs(step.node):
            leader[find(source)] = find(name)
    groups: dict[str, list[str]] = {}
    for name in leader:
        groups.setdefault(find(name), []).append(name)
    return tuple(
        TiedTensors(tuple(members), tuple(name for name in members if name in produced))
        for members in groups.values()
    )


def _tensor_bits(graph: Graph, name: str, recipe: Recipe) -> int:
    """Most bits that any reader of a tensor asks for.

    Where only elementwise nodes and moves read it, most bits that their outputs ask for.
    """
    wanted = []
    if name in graph.outputs.values():
        wanted.append(recipe.texture if len(graph.by_name[name].shape) == 3 else recipe.mesh)
    for reader in graph.consumers[name]:
        if isinstance(reader.op, Weighted):
            linear = isinstance(reader.op, Linear)
            wanted.append(recipe.bits_of(reader.name, linear).activations)
        elif isinstance(reader.op, GridSample):
            wanted.append(recipe.coordinate if reader.inputs[1] == name else recipe.texture)
    if not wanted:
        wanted = [_tensor_bits(graph, reader.name, recipe) for reader in graph.consumers[name]]
    return max(wanted, default=recipe.linear.activations)


@dataclass(frozen=True, eq=False)
class _Part:
    """Histogram of one tensor: ``centres`` and ``counts`` flat, ``low`` and ``high`` extremes."""

    centres: Tensor
    counts: Tensor
    low: float
    high: float


def _scaled_statistics(
    graph: Graph,
    statistics: Statistics,
    name: str,
    tensor_scales: Mapping[str, Tensor],
) -> _Part:
    """Statistics of a produced tensor after smoothing.

    A vector that is reshaped into a feature map takes the map's statistics, since the scales
    belong to the map's channels.
    """
    source = name
    for reader in graph.consumers[name]:
        if reader.name in tensor_scales and reader.name in statistics.tensors:
            source = reader.name
    source = name if name in tensor_scales else source
    known: TensorStatistics = statistics.tensors[source]
    scale = tensor_scales.get(source, torch.ones(len(known.low)))
    low, high = known.low / scale, known.high / scale
    centres = known.centres() / scale[:, None]
    return _Part(centres.reshape(-1), known.counts.reshape(-1), float(low.min()), float(high.max()))


def _fit(parts: list[_Part], bits: int, recipe: Recipe, clip: bool) -> Grid:
    """The grid of a tensor. Only feature maps are clipped: codes and the vectors made of them move
    the whole face, and held-out expressions reach farther than calibration saw; what is clipped in
    an output shows as it is.
    """
    low, high = min(part.low for part in parts), max(part.high for part in parts)
    if clip and recipe.range != "minmax" and bits <= 8:
        centres = torch.cat([part.centres for part in parts])
        counts = torch.cat([part.counts for part in parts])
        merged = _rebinned(centres, counts, low, high)
        if recipe.range == "dobi":
            low, high = dobi_range(*merged, low, high, bits)
        else:
            low, high = search_range(*merged, low, high, bits, RANGE_STEPS, recipe.range_power)
    return grid_of_range(low, high, bits)


def _widened(part: _Part, headroom: float) -> _Part:
    return replace(part, low=part.low * headroom, high=part.high * headroom)


def _rebinned(centres: Tensor, counts: Tensor, low: float, high: float) -> tuple[Tensor, Tensor]:
    """One histogram of 2048 bins over all channels."""
    bins = 2048
    width = max(high - low, 1e-12) / bins
    index = ((centres - low) / width).long().clamp(0, bins - 1)
    total = torch.bincount(index, weights=counts.double(), minlength=bins)
    places = low + (torch.arange(bins, dtype=torch.float64) + 0.5) * width
    return places, total
