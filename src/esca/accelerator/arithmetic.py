"""What the engines compute, on integers: the array's products, the epilogue, moves, sampling.

Sums of the array go through floating point where every partial sum is an exact integer there.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from esca.accelerator.axes import Ints
from esca.accelerator.constants import LayerConstants
from esca.accelerator.mappings import Pass
from esca.accelerator.unit_outputs import Block, Raster
from esca.quantization.ramp import RAMP_BITS
from esca.runtime.integer import COORDINATE_BITS
from esca.runtime.lowering import SLOPE_BITS

Reals = NDArray[np.floating[Any]]


def centred(window: Ints, zero: int, bound: int) -> Reals:
    """A window (C, rows, W) without its zero point, framed by a row and a column of zeros."""
    channels, rows, width = window.shape
    framed = np.zeros((channels, rows + 1, width + 1), np.float32 if bound < 2**24 else np.float64)
    np.subtract(window, zero, out=framed[:, :-1, :-1], casting="unsafe", dtype=framed.dtype)
    return framed


def rows_read(p: Pass, raster: Raster) -> tuple[int, int]:
    """Input rows (from, to) that some streamed rows meet."""
    places = p.y.input[raster[0] : raster[1]]
    places = places[places >= 0]
    return (int(places.min()), int(places.max()) + 1) if places.size else (0, 0)


def streamed(
    framed: Reals, first: int, p: Pass, raster: Raster, position: tuple[int, int]
) -> Reals:
    """(slots x channels, rows): what the PEs of one output position see. ``first``: the window's
    first input row.
    """
    y0, y1, x0, x1 = raster
    y = p.y.input[y0:y1, :, position[0]]
    x = p.x.input[x0:x1, :, position[1]]
    y = np.where(y < 0, framed.shape[1] - 1, y - first)
    x = np.where(x < 0, framed.shape[2] - 1, x)
    made = np.empty((p.y.slots, p.x.slots, len(framed), len(y), len(x)), framed.dtype)
    for slot in range(p.y.slots):
        lines = framed.take(y[:, slot], 1)
        for other in range(p.x.slots):
            lines.take(x[:, other], 2, out=made[slot, other], mode="clip")
    return made.reshape(-1, len(y) * len(x))


def whole(sums: Reals) -> Ints:
    """Exact sums as integers."""
    return np.rint(sums).astype(np.int64)


def scattered(
    products: Reals, p: Pass, raster: Raster, low: int, first: int, shape: tuple[int, int, int]
) -> Reals:
    """Sums (channels, lines, width) from output row ``low`` on, of ``products`` (columns, rows).

    ``first``: the output index of the first column.
    """
    sums = np.zeros(shape, products.dtype)
    y0, y1, x0, x1 = raster
    for column, made in enumerate(products):
        channel, tap = divmod(first + column, p.group)
        tap_y, tap_x = divmod(tap, p.x.positions)
        y, x = p.y.output[y0:y1, tap_y], p.x.output[x0:x1, tap_x]
        ys, xs = np.flatnonzero(y >= 0), np.flatnonzero(x >= 0)
        if not len(ys) or not len(xs):
            continue
        part = made.reshape(y1 - y0, x1 - x0)[ys[0] : ys[-1] + 1, xs[0] : xs[-1] + 1]
        step_y = int(y[ys[1]] - y[ys[0]]) if len(ys) > 1 else 1
        step_x = int(x[xs[1]] - x[xs[0]]) if len(xs) > 1 else 1
        channel -= first // p.group
        rows = slice(int(y[ys[0]]) - low, int(y[ys[-1]]) - low + 1, step_y)
        sums[channel, rows, slice(int(x[xs[0]]), int(x[xs[-1]]) + 1, step_x)] += part
    return sums


def requantized(
    constants: LayerConstants,
    block: Block,
    sums: Ints,
    bias: Ints,
    texel: Sequence[Ints],
    residual: Ints | None,
) -> Ints:
    """A block's outputs from its exact sums. ``bias``: (C,) of the layer; ``texel``: stored texel
    biases of the block, one array each; ``residual``: integers on their own grid.
    """
    scalars, tables = constants.scalars, constants.tables
    channels = slice(*block.channels)
    u = _times(sums, *(_of_block(tables[name], block) for name in ("mantissa", "shift")))
    u += bias[channels, None, None]
    for number, stored in enumerate(texel):
        factor = (tables[f"texel_{n}"][number, channels, None, None] for n in ("mantissa", "shift"))
        u += _times(stored, *factor)
    for number in range(len(tables.get("ramp_start", ()))):
        factor = (tables[f"ramp_{n}"][number, channels, None, None] for n in ("mantissa", "shift"))
        u += _times(_risen(tables, number, block), *factor)
    if residual is not None:
        u += _times(residual - scalars["residual_zero"], *tables["residual"])
    if "slope" in scalars:
        scaled = (u * scalars["slope"] + (1 << (SLOPE_BITS - 1))) >> SLOPE_BITS
        u = np.where(u < 0, scaled, u)
    if scalars["guard"]:
        u = (u + (1 << (scalars["guard"] - 1))) >> scalars["guard"]
    return np.clip(u + scalars["zero"], 0, scalars["top"])


def _risen(tables: Mapping[str, Ints], number: int, block: Block) -> Ints:
    """A ramp's values at a block's places; an adder at the epilogue counts them up."""
    channels = slice(*block.channels)
    start, step = (tables[f"ramp_{name}"][number, channels] for name in ("start", "step"))
    rows = (start[:, :1] + step[:, :1] * block.rows) >> RAMP_BITS
    columns = (start[:, 1:] + step[:, 1:] * block.columns) >> RAMP_BITS
    made: Ints = rows[:, :, None] + columns[:, None]
    return made


def _of_block(table: Ints, block: Block) -> Ints:
    made = table[slice(*block.channels)]
    if made.shape[1:] == (1, 1):
        return made
    made = made[:, block.rows % made.shape[1]]
    return made[:, :, block.columns % made.shape[2]]


def _times(integers: Ints, mantissa: Ints, shift: Ints) -> Ints:
    half = np.left_shift(1, shift - 1)
    product: Ints = (integers * mantissa + half) >> shift
    return product


def upsampled(window: Ints, first: int, rows: Ints, factor: int, height: int) -> Ints:
    """Bilinear rows ``rows`` of a map of ``height`` rows, of which ``window`` (C, n, W) holds those
    from ``first`` on; exact sums, rounded half up once.
    """
    width = window.shape[2]
    lines = _blend(window, rows, factor, height, 1, first)
    made = _blend(lines, np.arange(width * factor), factor, width, 2, 0)
    unit = 4 * factor * factor
    result: Ints = (made + unit // 2) // unit
    return result


def blend_places(places: Ints, factor: int, size: int) -> tuple[Ints, Ints, Ints]:
    """The two sources of enlarged places and the share, of ``2 factor``, of the second."""
    low, share = np.divmod(2 * (places % factor) + 1 - factor, 2 * factor)
    low = places // factor + low
    return low.clip(0, size - 1), (low + 1).clip(0, size - 1), share


def _blend(x: Ints, places: Ints, factor: int, size: int, axis: int, first: int) -> Ints:
    low, high, share = blend_places(places, factor, size)
    share = share.reshape([-1 if i == axis else 1 for i in range(3)])
    a, b = x.take(low - first, axis), x.take(high - first, axis)
    return a * (2 * factor - share) + b * share


def sample_places(
    constants: LayerConstants, coordinates: Ints, shape: tuple[int, int]
) -> tuple[Ints, Ints, Ints, Ints]:
    """Texels (y, x) to the upper left of places (2, h, w) in a map (H, W), and shares of 2^10."""
    one = 1 << COORDINATE_BITS
    found = []
    for axis, size in enumerate((shape[1], shape[0])):
        mantissa, shift = constants.tables["places"][axis]
        place = _times(coordinates[axis] - constants.scalars["place_zero"], mantissa, shift)
        place = place + (size - 1) * one // 2
        found += [place >> COORDINATE_BITS, place & (one - 1)]
    x, share_x, y, share_y = found
    return y, x, share_y, share_x


def sampled(
    constants: LayerConstants,
    window: Ints,
    first: int,
    shape: tuple[int, int],
    places: tuple[Ints, Ints, Ints, Ints],
) -> Ints:
    """(C, h, w) bilinear samples of a map (H, W), of which ``window`` holds rows from ``first``;
    zeros outside.
    """
    y, x, share_y, share_x = places
    one, zero = 1 << COORDINATE_BITS, constants.scalars["source_zero"]
    flat = (window - zero).reshape(len(window), -1)
    total = np.zeros((len(window), y.size), np.int64)
    for row, weight_y in ((y, one - share_y), (y + 1, share_y)):
        for column, weight_x in ((x, one - share_x), (x + 1, share_x)):
            inside = (row >= 0) & (row < shape[0]) & (column >= 0) & (column < shape[1])
            index = (row - first).clip(0, window.shape[1] - 1) * shape[1]
            index = (index + column.clip(0, shape[1] - 1)).ravel()
            total += flat[:, index] * (weight_x * weight_y * inside).ravel()
    shift = 2 * COORDINATE_BITS
    made = ((total + (1 << (shift - 1))) >> shift) + zero
    return made.clip(0, constants.scalars["top"]).reshape(len(window), *y.shape)
