"""How far each layer's integers are from the float decoder: ranges, clipping, noise."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from esca.errors import EscaError
from esca.graph.execute import run
from esca.graph.graph import Graph, Node
from esca.graph.layers import Layer, Move
from esca.quantization.grid import Grid
from esca.quantization.quantize import QuantizedGraph
from esca.runtime.integer import IntegerDecoder
from esca.runtime.saturation import channel_scales


@dataclass(frozen=True)
class LayerError:
    """What quantization did to the tensor that one layer writes.

    ``name``: the layer. ``kind``: its operator. ``weight_bits``: None without a weight.
    ``activation_bits``: of the tensor it writes. ``clip_low``, ``clip_high``: ends of that tensor's
    grid; ``observed_low``, ``observed_high``: extremes of the float tensor after smoothing, in the
    same units. ``saturated``: share of its values beyond the grid's ends by more than half a step.
    ``sqnr_db``: power of the float tensor over the power of the integer path's difference from it,
    smoothing undone; all errors of earlier layers are in it. Infinite where there is no difference.
    """

    name: str
    kind: str
    weight_bits: int | None
    activation_bits: int
    clip_low: float
    clip_high: float
    observed_low: float
    observed_high: float
    saturated: float
    sqnr_db: float


def layer_errors(
    float_graph: Graph,
    quantized: QuantizedGraph,
    feeds: Mapping[str, Tensor],
    progress: Callable[[int, int], None] | None = None,
) -> tuple[LayerError, ...]:
    """Errors of every layer, in execution order, over the frames of ``feeds``.

    ``feeds``: real inputs by name, (N, ...). Both paths run one frame at a time: the float graph,
    and the quantized one on the integer runtime from its own quantized inputs. EscaError if the
    graphs have different layers or there is no frame.
    """
    decoder = IntegerDecoder(quantized)
    layers = [step.layer for step in decoder.program.steps if not isinstance(step, Move)]
    missing = [layer.name for layer in layers if layer.output.name not in float_graph.by_name]
    if missing:
        raise EscaError(f"layer errors: the float graph has no layer {missing[0]!r}")
    frames = {len(value) for value in feeds.values()}
    if len(frames) != 1 or 0 in frames:
        raise EscaError(
            f"layer errors: expected feeds of one or more frames each, got {sorted(frames)}"
        )
    scales = channel_scales(quantized)
    sums = {layer.output.name: _Sums(quantized.grids[layer.output.name]) for layer in layers}
    total = frames.pop()
    for index in range(total):
        one = {name: value[index : index + 1] for name, value in feeds.items()}
        integers: dict[str, Tensor] = {}

        def keep(name: str, value: Tensor, integers: dict[str, Tensor] = integers) -> None:
            if name in sums:
                integers[name] = value

        def compare(node: Node, value: Tensor, integers: dict[str, Tensor] = integers) -> None:
            if node.name in sums:
                sums[node.name].add(value, integers.pop(node.name), scales.get(node.name))

        decoder.run(decoder.quantize(one), keep)
        with torch.no_grad():
            run(float_graph, one, compare)
        if progress:
            progress(index + 1, total)
    return tuple(_error(quantized, layer, sums[layer.output.name]) for layer in layers)


class _Sums:
    """Running figures of one tensor."""

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        self.low, self.high = math.inf, -math.inf
        self.signal = self.noise = 0.0
        self.beyond = self.count = 0

    def add(self, real: Tensor, integers: Tensor, scale: Tensor | None) -> None:
        """``real``: float tensor of the original graph; ``integers``: the same on the grid."""
        restored = self.grid.dequantize(integers)
        seen = real
        if scale is not None:
            restored, seen = restored * scale, real / scale
        self.low = min(self.low, float(seen.min()))
        self.high = max(self.high, float(seen.max()))
        low, high = grid_ends(self.grid)
        margin = self.grid.scale / 2
        self.beyond += int(((seen < low - margin) | (seen > high + margin)).sum())
        self.count += seen.numel()
        self.signal += float(real.square().sum(dtype=torch.float64))
        self.noise += float((restored - real).square().sum(dtype=torch.float64))


def grid_ends(grid: Grid) -> tuple[float, float]:
    """Real values of the grid's first and last integer."""
    return -grid.zero_point * grid.scale, (grid.top - grid.zero_point) * grid.scale


def sqnr_db(signal: float, noise: float) -> float:
    """``10 log10(signal / noise)``; infinite without noise, minus infinite without signal."""
    if noise == 0:
        return math.inf
    return 10 * math.log10(signal / noise) if signal > 0 else -math.inf


def _error(quantized: QuantizedGraph, layer: Layer, sums: _Sums) -> LayerError:
    weight = quantized.weights.get(layer.name)
    low, high = grid_ends(sums.grid)
    return LayerError(
        name=layer.name,
        kind=type(layer.root.op).__name__,
        weight_bits=None if weight is None else weight.bits,
        activation_bits=sums.grid.bits,
        clip_low=low,
        clip_high=high,
        observed_low=sums.low,
        observed_high=sums.high,
        saturated=sums.beyond / sums.count,
        sqnr_db=sqnr_db(sums.signal, sums.noise),
    )
