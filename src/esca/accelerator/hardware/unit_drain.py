"""How a unit's sums leave the accumulators: which outputs the columns of each raster place hold."""

from dataclasses import dataclass

import numpy as np

from esca.accelerator.axes import Ints
from esca.accelerator.mappings import Tiling
from esca.accelerator.overlap import overlap_banks
from esca.accelerator.plan import drained_lines, scatter_rows
from esca.accelerator.unit_outputs import Raster
from esca.accelerator.weights import Part


@dataclass(frozen=True)
class UnitDrain:
    """A raster of ``lines`` x ``length`` places; pixel (y, x) of place (r, c) is ``first + (r, c) *
    step``. The columns of a place hold ``count`` outputs from ``low`` on, in order ``position *
    channels + channel``; positions are pixels beside and below that of the place, ``across`` in a
    line. Rows from ``complete`` on are no outputs yet, or none of the map.
    """

    lines: int
    length: int
    first: tuple[int, int]
    step: tuple[int, int]
    low: int
    count: int
    channels: int
    across: int
    complete: int

    @property
    def places(self) -> int:
        """Raster places."""
        return self.lines * self.length

    @property
    def biased_lines(self) -> int:
        """Lines for which texel biases are loaded: all, but for sums that are carried."""
        return min(self.lines, -(-(self.complete - self.first[0]) // self.step[0]))

    def columns(self) -> tuple[Ints, Ints, Ints]:
        """Channel and position (y, x) of each column."""
        position, channel = np.divmod(self.low + np.arange(self.count), self.channels)
        return channel, position // self.across, position % self.across


def unit_drain(tiling: Tiling, part: Part, raster: Raster) -> UnitDrain:
    """Of a unit that is drained."""
    p, (y0, y1, x0, x1) = tiling.passes[part[0]], raster
    if tiling.mapping == "scatter":
        return _overlapped(tiling, part, raster)
    (first_y, step_y), (first_x, step_x) = (
        (int(axis.output[0, 0]), tiling.layer.stride)
        if tiling.mapping == "compressed"
        else (0, axis.positions)
        for axis in (p.y, p.x)
    )
    return UnitDrain(
        y1 - y0,
        x1 - x0,
        (y0 * step_y + first_y, x0 * step_x + first_x),
        (step_y, step_x),
        p.first_columns[part[1]],
        p.tile_columns[part[1]],
        p.out_channels,
        p.x.positions,
        max(tiling.layer.output.height, y1 * step_y),
    )


def _overlapped(tiling: Tiling, part: Part, raster: Raster) -> UnitDrain:
    layer, (p,) = tiling.layer, tiling.passes
    banks = overlap_banks(layer, tiling.array.columns)
    low, high = p.completed(part[1])
    lines = drained_lines(layer, raster)
    return UnitDrain(
        lines[1] - lines[0],
        banks.length(layer.output.width),
        (lines[0], 0),
        (1, banks.pixels),
        low,
        (high - low) * banks.pixels,
        p.out_channels,
        banks.pixels,
        scatter_rows(layer, raster)[1],
    )
