"""The record of an array instruction: which rows the front end streams, from where, past how many
tiles.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from amaranth.hdl import signed
from amaranth.lib import data

from esca.accelerator.layout import Layout
from esca.accelerator.mappings import Tiling
from esca.accelerator.overlap import KERNEL, overlap_banks
from esca.accelerator.plan import drained_lines
from esca.accelerator.reads import SLOTS, AxisReads, PassReads, power_above
from esca.accelerator.rtl.records import LAYOUT
from esca.accelerator.unit_outputs import Raster
from esca.accelerator.weights import Part
from esca.errors import EscaError

COORDINATE_BITS = 12
"""Bits of a coordinate inside a map."""

AXIS = data.StructLayout(
    {
        "first": COORDINATE_BITS,
        "step": 6,
        "count": COORDINATE_BITS,
        "size": COORDINATE_BITS,
        "offsets": data.ArrayLayout(signed(6), SLOTS),
        "choices": data.ArrayLayout(2, SLOTS),
        "spread": 3,
        "span": 2,
        "slots": 3,
        "together": 2,
        "groups": 3,
    }
)
"""One axis of a unit: ``count`` streamed rows whose base starts at ``first`` and moves by ``step``.
Slot s meets the inputs ``base + offsets[s] + choice * spread`` inside ``size``, for ``choices[s]``
and those below; a tile takes 2^``together`` of the ``slots``, with room for 2^``span`` choices
each; there are ``groups`` of such slots.
"""

STREAM = data.StructLayout(
    {
        "layout": LAYOUT,
        "y": AXIS,
        "x": AXIS,
        "ring_first": COORDINATE_BITS,
        "places": 2,
        "deep": 10,
        "tile_cycles": 12,
        "zero": 8,
        "half": 1,
    }
)
"""A unit: ``ring_first``, the first base y in its ring; 2^``places`` pixels side by side in a tile;
``deep`` tiles a group of slots; cycles of each tile; the map's ``zero`` point; ``half`` of the
accumulators.
"""

PATCH = data.StructLayout(
    {
        "on": 1,
        "double": 1,
        "first": signed(COORDINATE_BITS + 2),
        "padding": 3,
        "lines": COORDINATE_BITS,
        "width": COORDINATE_BITS,
        "length": COORDINATE_BITS,
        "pixels": 2,
        "turn_y": 2,
        "turn_x": 2,
    }
)
"""If ``on``, products of an input belong to several outputs: the first of a tile's taps at input
(y, x) to line ``first + y`` and place ``x - padding``, where steps of the input are ``double``
ones. Of these lines the first ``lines`` are there, of ``width`` outputs each; they are ``length``
rows of accumulators apart, with 2^``pixels`` outputs in each. ``turn_y``, ``turn_x``: bank of line
0 and place 0.
"""


def array_record(overlaps: bool) -> data.StructLayout:
    """What an array streams; of a machine that adds where outputs overlap, where it goes, too."""
    return data.StructLayout({**STREAM.members, "patch": PATCH}) if overlaps else STREAM


def patch_values(tiling: Tiling, part: Part, raster: Raster) -> dict[str, Any]:
    """Fields of :data:`PATCH`: where a tile's products go."""
    if tiling.mapping != "scatter":
        return dict.fromkeys(PATCH.members, 0)
    layer, (p,) = tiling.layer, tiling.passes
    banks = overlap_banks(layer, tiling.array.columns)
    channel, tap = divmod(p.first_columns[part[1]], p.group)
    done, end = drained_lines(layer, raster)
    turn_y, turn_x = banks.turn(channel % banks.together)
    return {
        "on": 1,
        "double": layer.stride - 1,
        "first": tap // KERNEL - layer.padding - done,
        "padding": layer.padding,
        "lines": end - done,
        "width": layer.output.width,
        "length": banks.length(layer.output.width),
        "pixels": power_above(banks.pixels),
        "turn_y": (done + turn_y) % KERNEL,
        "turn_x": turn_x,
    }


def stream_values(
    tiling: Tiling, reads: PassReads, layout: Layout, raster: Raster, zero: int, half: int
) -> dict[str, Any]:
    """Fields of :data:`STREAM` for some rows (y0, y1, x0, x1) of a pass; EscaError where the ring
    of rows is too small for the window.
    """
    y0, y1, x0, x1 = raster
    tile_cycles = max((y1 - y0) * (x1 - x0), tiling.load_cycles)
    _check_ring(reads.y, layout.ring_rows, f"rtl: layer {tiling.layer.name!r}")
    return {
        "layout": layout.record(),
        "y": _axis_values(reads.y, reads.together.y, (y0, y1)),
        "x": _axis_values(reads.x, reads.together.x, (x0, x1)),
        "ring_first": y0 * reads.y.step % layout.ring_rows,
        "places": power_above(reads.places),
        "deep": reads.deep,
        "tile_cycles": tile_cycles,
        "zero": zero,
        "half": half,
    }


def _axis_values(reads: AxisReads, together: int, rows: tuple[int, int]) -> Mapping[str, Any]:
    spare = [0] * (SLOTS - reads.slots)
    return {
        "first": rows[0] * reads.step,
        "step": reads.step,
        "count": rows[1] - rows[0],
        "size": reads.size,
        "offsets": [*reads.offsets, *spare],
        "choices": [*(number - 1 for number in reads.choices), *spare],
        "spread": reads.spread,
        "span": reads.span,
        "slots": reads.slots,
        "together": together,
        "groups": -(-reads.slots >> together),
    }


def _check_ring(reads: AxisReads, ring: int, where: str) -> None:
    """The window wraps around the ring once at most, its base by a step."""
    for slots in range(reads.slots):
        places = reads.places(range(slots, slots + 1))
        base = np.arange(reads.rows)[:, None] * reads.step
        inside = (places >= 0) & (places < reads.size)
        wrapped = base % ring + (places - base)
        wrapped += ring * ((wrapped < 0).astype(int) - (wrapped >= ring))
        if (wrapped != places % ring)[inside].any() or (reads.rows > 1 and reads.step > ring):
            raise EscaError(f"{where}: a ring of {ring} rows is too small for its window")
