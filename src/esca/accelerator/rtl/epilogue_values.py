"""The record of an epilogue: what hardware is told of a unit's outputs."""

from math import ceil
from typing import Any, NamedTuple

from esca.accelerator.constants import LayerConstants
from esca.accelerator.layout import Layout
from esca.accelerator.mappings import Tiling
from esca.accelerator.reads import power_above
from esca.accelerator.rtl.column_constants import NO_FACTOR, factor_values
from esca.accelerator.rtl.drain_records import FORMATS, PLACE, RESULT, STORED_BITS
from esca.accelerator.rtl.output_axes import output_axes
from esca.accelerator.rtl.place_results import slots
from esca.accelerator.rtl.records import unpack
from esca.accelerator.unit_outputs import Raster
from esca.accelerator.weights import Part
from esca.accelerator.workload import TensorShape
from esca.errors import EscaError

Values = dict[str, Any]
NO_PLACE: Values = unpack(PLACE, 0)
NO_RESULT: Values = unpack(RESULT, 0)


def stored_code(bits: int) -> int:
    """Code of a stored texel bias of so many bits."""
    return next(code for code, size in enumerate(STORED_BITS) if size >= bits)


def layer_values(constants: LayerConstants) -> Values:
    """Values of :data:`esca.accelerator.rtl.requantize.LAYER`."""
    scalars, tables = constants.scalars, constants.tables
    residual = factor_values(*tables["residual"]) if "residual" in tables else NO_FACTOR
    return {
        "residual": residual,
        "sloped": int("slope" in scalars),
        "slope": scalars.get("slope", 0),
        "guard": scalars["guard"],
        "zero": scalars["zero"],
        "top": scalars["top"],
    }


class UnitPlaces(NamedTuple):
    """Outputs of a unit: its first raster place has channels from ``channel`` on of the pixel
    ``first`` (y, x), and the next places are a ``step`` away.
    """

    first: tuple[int, int]
    step: tuple[int, int]
    channel: int


def unit_places(tiling: Tiling, part: Part, raster: Raster) -> UnitPlaces:
    """EscaError unless every raster place makes neighbouring channels of one pixel, in whole groups
    of columns.
    """
    p, columns = tiling.passes[part[0]], tiling.array.columns
    if p.out_channels % columns:
        raise EscaError(
            f"rtl: layer {tiling.layer.name!r}: {p.out_channels} output channels stay on chip or "
            f"have a residual, expected a multiple of array.columns ({columns})"
        )
    position, channel = divmod(p.first_columns[part[1]], p.out_channels)
    q_y, q_x = divmod(position, p.x.positions)
    y, x = output_axes(tiling, p)
    first = raster[0] * y.step + y.first + q_y, raster[2] * x.step + x.first + q_x
    return UnitPlaces(first, (y.step, x.step), channel)


def place_values(tiling: Tiling, part: Part, raster: Raster, layout: Layout) -> Values:
    """Where a unit's outputs go in the banks; EscaError for what :func:`unit_places` refuses."""
    (first_y, first_x), (step_y, step_x), channel = unit_places(tiling, part, raster)
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
        "height": layout.tensor.height,
        "width": layout.tensor.width,
        "bank": atom % layout.rows,
        "depth": atom // layout.rows,
        "places": power_above(layout.array_rows // layout.rows),
    }


def format_of(tensor: TensorShape) -> str:
    """How a map's values are stored."""
    nibbles, small, tens, words = FORMATS
    if tensor.bits <= 4:
        return nibbles
    return small if tensor.bits <= 8 else tens if tensor.bits <= 10 else words


def row_words(tensor: TensorShape, word_bytes: int) -> int:
    """Words of a row."""
    return ceil(tensor.row_bytes / word_bytes)


def result_values(
    tiling: Tiling, part: Part, raster: Raster, rows: tuple[int, int], half: int, word_bytes: int
) -> Values:
    """Where a unit's outputs go in a half of the results that holds output ``rows`` (from, to).

    EscaError where a raster place's outputs lie in more than two rows, where a row takes more of
    them than a word holds, or pairs of 4 bits would be split.
    """
    p, tensor = tiling.passes[part[0]], tiling.layer.output
    where = f"rtl: layer {tiling.layer.name!r}: stored outputs"
    kind = format_of(tensor)
    together = 2 if kind == "nibbles" else 1  # values that count as one
    each = 2 if kind == "words" else 1  # what a value counts as
    wide = slots(kind, word_bytes)
    channels = each * p.out_channels
    across = p.x.positions * channels
    low, count = each * p.first_columns[part[1]], each * p.tile_columns[part[1]]
    line, place = divmod(low, across)
    first_count = min(count, across - place)
    if count - first_count > across:
        raise EscaError(f"{where} of one place lie in more than two rows")
    if max(first_count, count - first_count) > wide * together:
        most = wide * together // each
        raise EscaError(
            f"{where} of one place and row are {first_count // each}, at most {most} fit"
        )
    y, x = output_axes(tiling, p)
    begin = (raster[2] * x.step + x.first) * channels
    step = x.step * channels
    limit = tensor.width * channels
    if any(value % together for value in (first_count, count, begin, place, step, limit)):
        raise EscaError(f"{where} of 4 bits come in odd numbers")
    row = raster[0] * y.step + y.first + line - rows[0]
    words = row_words(tensor, word_bytes)

    def segment(flat: int) -> Values:
        beat, slot = divmod(flat // together, wide)
        return {"flat": flat // together, "slot": slot, "beat": beat}

    return {
        "on": 1,
        "half": half,
        "format": FORMATS.index(kind),
        "count": count // together,
        "first_count": first_count // together,
        "a": segment(begin + place),
        "b": segment(begin),
        "step": segment(step),
        "limit": limit // together,
        "row": row,
        "step_row": y.step,
        "rows": rows[1] - rows[0],
        "address": row // 2 * words,
        "line_words": y.step // 2 * words,
        "row_words": words,
    }
