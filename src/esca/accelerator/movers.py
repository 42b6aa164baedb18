"""Engines that rearrange or interpolate: concat, reshape, pixel shuffle, upsample, sample."""

from collections.abc import Callable

import numpy as np

from esca.accelerator import arithmetic
from esca.accelerator.axes import Ints
from esca.accelerator.config import AcceleratorConfig
from esca.accelerator.program import Step
from esca.errors import EscaError

Reader = Callable[[int, int, int], Ints]
"""(operand, from row, to row) -> (C, rows, W)."""


def moved(step: Step, rows: tuple[int, ...], config: AcceleratorConfig, read: Reader) -> Ints:
    """(C, rows, W) of a move's output from row ``rows[0]`` to ``rows[1]``."""
    layer, (low, high) = step.layer, rows
    match layer.kind:
        case "concat":
            return np.concatenate([read(i, low, high) for i in range(len(layer.inputs))])
        case "reshape":
            whole = read(0, 0, layer.input.height)
            return whole.reshape(layer.output.channels, layer.output.height, -1)[:, low:high]
        case "pixel_shuffle":
            return _shuffled(layer.factor, low, high, read)
        case "upsample":
            return _upsampled(step, low, high, read)
        case "grid_sample":
            return _sampled(step, low, high, config.engines.grid_window_rows, read)
    raise EscaError(f"layer {layer.name!r}: no engine runs {layer.kind}")


def _shuffled(factor: int, low: int, high: int, read: Reader) -> Ints:
    first = low // factor
    window = read(0, first, -(-high // factor))
    channels, rows, width = window.shape
    parts = window.reshape(channels // factor**2, factor, factor, rows, width)
    made = parts.transpose(0, 3, 1, 4, 2).reshape(len(parts), rows * factor, width * factor)
    return made[:, low - first * factor : high - first * factor]


def _upsampled(step: Step, low: int, high: int, read: Reader) -> Ints:
    layer, rows = step.layer, np.arange(low, high)
    factor, height = layer.factor, layer.input.height
    if not step.constants.scalars["bilinear"]:
        window = read(0, low // factor, -(-high // factor))
        return window[:, rows // factor - low // factor].repeat(factor, 2)
    first, last, _ = arithmetic.blend_places(rows, factor, height)
    start = int(first[0])
    window = read(0, start, int(last[-1]) + 1)
    return arithmetic.upsampled(window, start, rows, factor, height)


def _sampled(step: Step, low: int, high: int, window_rows: int, read: Reader) -> Ints:
    layer = step.layer
    shape = (layer.input.height, layer.input.width)
    places = arithmetic.sample_places(step.constants, read(1, low, high), shape)
    y, _, share_y, _ = places
    needed = np.stack([y, y + (share_y > 0)])
    needed = needed[(needed >= 0) & (needed < shape[0])]
    first = int(needed.min()) if needed.size else 0
    last = int(needed.max()) + 1 if needed.size else 1
    half = window_rows // 2
    if first < low - half or last > high + half:
        raise EscaError(
            f"layer {layer.name!r}: rows {low} to {high} sample texture rows {first} to {last}, "
            f"engines.grid_window_rows holds {half} around a row"
        )
    return arithmetic.sampled(step.constants, read(0, first, last), first, shape, places)
