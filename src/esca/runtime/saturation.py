"""How much an integer decoder clamps, and a warning where that is more than calibration clamped.

A static grid holds what calibration saw. Codes from outside it, of another light or of a stronger
expression, end at the grid's first or last integer: nothing fails, the picture is only wrong.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from esca.errors import EscaError
from esca.graph.graph import Graph
from esca.quantization.grid import Grid
from esca.quantization.quantize import QuantizedGraph
from esca.quantization.smoothing import scaling_groups
from esca.quantization.statistics import Statistics
from esca.runtime.integer import IntegerDecoder

TIMES_CALIBRATION = 4.0
"""A layer's tensor saturates if it clamps more than this many times calibration's share..."""

ALLOWANCE = 0.001
"""...and this share of its values: single values beyond the ends do not show."""

Feeds = Mapping[str, Tensor]


class SaturationWarning(UserWarning):
    """Codes or feature maps are clamped far more than in calibration."""


@dataclass(frozen=True)
class Saturation:
    """Shares of one tensor's values that were clamped at the ends of its grid.

    ``name``: of its node. ``low``: share below the grid's first integer, ``high``: above its last,
    both by half a step or more.
    """

    name: str
    grid: Grid
    low: float
    high: float

    @property
    def share(self) -> float:
        """Share that was clamped at either end."""
        return self.low + self.high


class SaturationCounter:
    """Counts what one decoder clamps, over as many runs as are wanted."""

    def __init__(self, decoder: IntegerDecoder) -> None:
        self.decoder = decoder
        self._counts: dict[str, tuple[int, int, int]] = {}

    def run(self, feeds: Feeds) -> dict[str, Tensor]:
        """Integer outputs for real inputs, all clamped values counted."""
        for name, value in feeds.items():
            grid = self.decoder.program.grids[name]
            self._count(name, torch.floor(value.double() / grid.scale + 0.5) + grid.zero_point)
        return self.decoder.run(self.decoder.quantize(feeds), unclamped=self._count)

    @property
    def found(self) -> dict[str, Saturation]:
        """Inputs and layer outputs, in order of execution."""
        grids = self.decoder.program.grids
        return {
            name: Saturation(name, grids[name], low / total, high / total)
            for name, (low, high, total) in self._counts.items()
        }

    def _count(self, name: str, wide: Tensor) -> None:
        low, high, total = self._counts.get(name, (0, 0, 0))
        top = self.decoder.program.grids[name].top
        least, most = torch.aminmax(wide)
        low += int((wide < 0).sum()) if least < 0 else 0
        high += int((wide > top).sum()) if most > top else 0
        self._counts[name] = low, high, total + wide.numel()


def saturation(
    decoder: IntegerDecoder,
    feeds: Feeds,
    batch: int = 2,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Saturation]:
    """What the decoder clamps for real inputs (N, ...) by name; inputs and layer outputs.

    ``batch`` frames are run at a time; ``progress`` counts frames. EscaError unless all inputs
    have one number of frames, at least one.
    """
    frames = {len(value) for value in feeds.values()}
    if len(frames) != 1 or 0 in frames:
        raise EscaError(
            f"saturation: expected feeds of one or more frames each, got {sorted(frames)}"
        )
    total = frames.pop()
    counter = SaturationCounter(decoder)
    for start in range(0, total, batch):
        counter.run({name: value[start : start + batch] for name, value in feeds.items()})
        if progress:
            progress(min(start + batch, total), total)
    return counter.found


class WatchedDecoder:
    """An integer decoder that warns (:class:`SaturationWarning`) when it saturates.

    Each tensor is named in one warning at most. ``found`` sums up all that was decoded.
    """

    def __init__(self, decoder: IntegerDecoder, calibrated: Mapping[str, float]) -> None:
        """``calibrated``: share that calibration clamps, by tensor; see ``saturated``."""
        self._counter = SaturationCounter(decoder)
        self._calibrated = calibrated
        self._named: set[str] = set()

    @property
    def found(self) -> dict[str, Saturation]:
        """What was clamped so far."""
        return self._counter.found

    def decode(self, z: Tensor, view: Tensor) -> tuple[Tensor, Tensor]:
        """``texture`` and ``mesh`` as reals for codes (B, L) and view directions (B, 3)."""
        decoder = self._counter.decoder
        outputs = self._counter.run({"z": z, "view": view})
        new = [
            tensor
            for tensor in saturated(self.found, self._calibrated, decoder.program.graph)
            if tensor.name not in self._named
        ]
        if new:
            self._named.update(tensor.name for tensor in new)
            warnings.warn(warning_text(new, self._calibrated), SaturationWarning, stacklevel=2)
        texture, mesh = (decoder.dequantize(label, outputs[label]) for label in ("texture", "mesh"))
        return texture, mesh


def saturated(
    found: Mapping[str, Saturation], calibrated: Mapping[str, float], graph: Graph
) -> tuple[Saturation, ...]:
    """Inputs that are clamped at all, and other tensors clamped far more than in calibration.

    ``calibrated``: share by tensor, see :func:`calibrated_shares`; tensors that it does not know
    are not judged, except inputs.
    """
    inputs = {node.name for node in graph.inputs}
    return tuple(
        tensor
        for name, tensor in found.items()
        if (name in inputs and tensor.share > 0)
        or (
            name in calibrated
            and tensor.share > max(ALLOWANCE, TIMES_CALIBRATION * calibrated[name])
        )
    )


def warning_text(tensors: Sequence[Saturation], calibrated: Mapping[str, float]) -> str:
    """One line about saturated tensors: the worst of them and the number of the others."""
    worst = max(tensors, key=lambda tensor: tensor.share)
    others = f", and {len(tensors) - 1} more tensors" if len(tensors) > 1 else ""
    return (
        f"saturation: {worst.name!r} clamps {worst.share:.2%} of its values, "
        f"{calibrated.get(worst.name, 0.0):.2%} in calibration{others}; codes or light reach "
        "beyond what the artifact was calibrated for"
    )


def calibrated_shares(quantized: QuantizedGraph, statistics: Statistics) -> dict[str, float]:
    """Share of the calibration values that each grid clamps, by tensor, from the histograms.

    For inputs and layer outputs; the noise of the integer path is not in it.
    """
    scales = channel_scales(quantized)
    shares = {}
    for name, grid in quantized.grids.items():
        source = name
        if name in scales and len(quantized.graph.by_name[name].shape) == 1:
            # Smoothing scales the channels of the map that this vector is reshaped into.
            readers = quantized.graph.consumers[name]
            source = next((node.name for node in readers if node.name in scales), name)
        known, scale = statistics.tensors.get(source), scales.get(source)
        if known is None or (scale is not None and scale.numel() != len(known.low)):
            continue
        centres = known.centres() if scale is None else known.centres() / scale.reshape(-1, 1)
        steps = torch.floor(centres / grid.scale + 0.5) + grid.zero_point
        outside = known.counts[(steps < 0) | (steps > grid.top)]
        shares[name] = float(outside.sum(dtype=torch.float64) / known.counts.sum().double())
    return shares


def channel_scales(quantized: QuantizedGraph) -> dict[str, Tensor]:
    """What smoothing divided each tensor by, by node name; (C, 1, 1) or (N,)."""
    made = {smoothed.sinks: smoothed.scales for smoothed in quantized.smoothed}
    scales: dict[str, Tensor] = {}
    for group in scaling_groups(quantized.graph):
        if group.sinks not in made:
            continue
        scale = made[group.sinks]
        for name, repeat in group.tensors:
            is_map = len(quantized.graph.by_name[name].shape) == 3
            scales[name] = scale[:, None, None] if is_map else scale.repeat_interleave(repeat)
    return scales
