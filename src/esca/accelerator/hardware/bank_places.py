"""Where in the banks outputs go, and rows that are loaded: fields of their records."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from esca.accelerator.hardware.dram_maps import row_pitch
from esca.accelerator.hardware.unit_drain import unit_drain
from esca.accelerator.layout import Layout
from esca.accelerator.mappings import Tiling
from esca.accelerator.reads import power_above
from esca.accelerator.unit_outputs import Raster
from esca.accelerator.weights import Part
from esca.accelerator.workload import TensorShape
from esca.errors import EscaError

Values = dict[str, Any]


class UnitPlaces(NamedTuple):
    """Outputs of a unit: its first raster place has channels from ``channel`` on of the pixel
    ``first`` (y, x), and the next places are a ``step`` away; rows from ``height`` on are none.
    """

    first: tuple[int, int]
    step: tuple[int, int]
    channel: int
    height: int


def unit_places(tiling: Tiling, part: Part, raster: Raster) -> UnitPlaces:
    """EscaError unless every raster place makes neighbouring channels of one pixel, in whole groups
    of columns.
    """
    drained, columns = unit_drain(tiling, part, raster), tiling.array.columns
    if drained.channels % columns:
        raise EscaError(
            f"rtl: layer {tiling.layer.name!r}: {drained.channels} output channels stay on chip or "
            f"have a residual, expected a multiple of array.columns ({columns})"
        )
    position, channel = divmod(drained.low, drained.channels)
    q_y, q_x = divmod(position, drained.across)
    first = drained.first[0] + q_y, drained.first[1] + q_x
    height = min(tiling.layer.output.height, drained.complete)
    return UnitPlaces(first, drained.step, channel, height)


def place_values(tiling: Tiling, part: Part, raster: Raster, layout: Layout) -> Values:
    """Where a unit's outputs go in the banks; EscaError for what :func:`unit_places` refuses."""
    (first_y, first_x), (step_y, step_x), channel, height = unit_places(tiling, part, raster)
    if step_y > layout.ring_rows:
        raise EscaError(
            f"rtl: layer {tiling.layer.name!r}: a ring of {layout.ring_rows} rows is too small"
        )
    atom = channel // layout.atom
    return {
        "on": 1,
        "layout": layout.record(),
        "first_y": first_y,
        "ring_y": first_y % layout.ring_rows,
        "first_x": first_x,
        "step_y": step_y,
        "step_x": step_x,
        "height": height,
        "width": layout.tensor.width,
        "bank": atom % layout.rows,
        "depth": atom // layout.rows,
        "places": power_above(layout.array_rows // layout.rows),
    }


def loaded_rows(
    tensor: TensorShape, rows: tuple[int, int], address: int, layout: Mapping[str, Any], bus: int
) -> dict[str, Any]:
    """What brings rows (from, to) of the map at ``address`` into the banks, by ``layout``."""
    low, high = rows
    if not 0 <= low < high <= tensor.height:
        raise EscaError(f"rtl: tensor {tensor.name!r}: rows {low} to {high} of {tensor.height}")
    pitch = row_pitch(tensor, bus)
    return {
        "dram": address + low * pitch,
        "row_bytes": tensor.row_bytes,
        "rows": high - low,
        "pitch": pitch,
        "first_row": low % (layout["ring_rows"] or tensor.height),
        "pixel_words": -(-tensor.channels * tensor.bits // (8 * bus)),
        "engine": 0,
        "layout": layout,
    }
