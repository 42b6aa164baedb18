"""Which outputs a unit makes, in the order in which its biases and results are stored."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from esca.accelerator.axes import Axis, Ints
from esca.accelerator.mappings import Tiling
from esca.accelerator.plan import scatter_rows
from esca.accelerator.weights import split_columns
from esca.accelerator.workload import WorkLayer

Raster = tuple[int, int, int, int]


@dataclass(frozen=True, eq=False)
class Block:
    """Outputs of ``channels`` (from, to) at ``rows`` x ``columns``; stored in this order.

    On the array by other mappings than ``scatter``: ``position`` (y, x) on the output side, and
    ``lines`` x ``across``, the places in the unit's raster that they come from.
    """

    channels: tuple[int, int]
    rows: Ints
    columns: Ints
    position: tuple[int, int] = (0, 0)
    lines: Ints | None = None
    across: Ints | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, rows, columns."""
        return self.channels[1] - self.channels[0], len(self.rows), len(self.columns)


def unit_outputs(
    layer: WorkLayer, tiling: Tiling | None, part: tuple[int, int], raster: Raster
) -> tuple[Block, ...]:
    """Blocks of outputs of one unit; see :class:`esca.accelerator.plan.Unit` for ``raster``."""
    y0, y1, x0, x1 = raster
    if tiling is None:
        if layer.kind == "linear":
            return (Block((x0, x1), np.arange(1), np.arange(1)),)
        channels = (0, layer.output.channels)
        return (Block(channels, np.arange(y0, y1), np.arange(x0, x1)),)
    if tiling.mapping == "scatter":
        low, high = scatter_rows(layer, raster)
        channels = tiling.passes[0].completed(part[1])
        return (Block(channels, np.arange(low, high), np.arange(layer.output.width)),)
    return tuple(_gathered(tiling, part, raster))


def _gathered(tiling: Tiling, part: tuple[int, int], raster: Raster) -> Iterator[Block]:
    p = tiling.passes[part[0]]
    y0, y1, x0, x1 = raster
    low = p.first_columns[part[1]]
    high = low + p.tile_columns[part[1]]
    for position in range(low // p.out_channels, -(-high // p.out_channels)):
        first = position * p.out_channels
        channels = (max(low, first) - first, min(high, first + p.out_channels) - first)
        y, x = divmod(position, p.x.positions)
        rows, columns = p.y.output[y0:y1, y], p.x.output[x0:x1, x]
        lines, across = np.flatnonzero(rows >= 0), np.flatnonzero(columns >= 0)
        yield Block(channels, rows[lines], columns[across], (y, x), lines, across)


def unit_macs(
    layer: WorkLayer, tiling: Tiling | None, part: tuple[int, int], raster: Raster
) -> int:
    """Useful multiply-accumulates of one unit."""
    y0, y1, x0, x1 = raster
    if tiling is None:
        return (x1 - x0) * layer.input.values if layer.kind == "linear" else 0
    p = tiling.passes[part[0]]
    low = p.first_columns[part[1]]
    columns = np.arange(low, low + p.tile_columns[part[1]])
    _, y, x = split_columns(p, columns, tiling.mapping == "scatter")
    return int((_hits(p.y, y0, y1)[y] * _hits(p.x, x0, x1)[x]).sum()) * p.in_channels


def _hits(axis: Axis, low: int, high: int) -> Ints:
    """Products that count, by position, over some rows."""
    valid = (axis.input[low:high] >= 0) & (axis.tap >= 0) & (axis.output[low:high, None] >= 0)
    hits: Ints = valid.sum((0, 1))
    return hits
