"""The record of an epilogue: what hardware is told of a unit's outputs."""

from typing import Any

from esca.accelerator.constants import LayerConstants
from esca.accelerator.hardware.formats import FORMATS, format_of, row_words
from esca.accelerator.hardware.unit_drain import unit_drain
from esca.accelerator.mappings import Tiling
from esca.accelerator.overlap import KERNEL, overlap_banks
from esca.accelerator.plan import drained_lines
from esca.accelerator.reads import power_above
from esca.accelerator.rtl.column_constants import NO_FACTOR, factor_values
from esca.accelerator.rtl.drain_records import OVERLAP, PLACE, RESULT
from esca.accelerator.rtl.place_results import slots
from esca.accelerator.rtl.records import unpack
from esca.accelerator.unit_outputs import Raster
from esca.accelerator.weights import Part
from esca.errors import EscaError

Values = dict[str, Any]
NO_PLACE: Values = unpack(PLACE, 0)
NO_RESULT: Values = unpack(RESULT, 0)


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


def overlap_values(tiling: Tiling, part: Part, raster: Raster, carried: int) -> Values:
    """How a unit's rows of banks are drained, in which overlaps were added. ``carried``: first row
    of what its layer carries.
    """
    if tiling.mapping != "scatter":
        return dict.fromkeys(OVERLAP.members, 0)
    layer, drained = tiling.layer, unit_drain(tiling, part, raster)
    banks = overlap_banks(layer, tiling.array.columns)
    (p,) = tiling.passes
    reached = drained_lines(layer, (raster[0] - 1, raster[0], 0, 0))[1] if raster[0] else 0
    group = part[1] // p.together
    return {
        "on": 1,
        "line": drained.first[0] % KERNEL,
        "pixels": power_above(banks.pixels),
        "threes": int(banks.channels < banks.together),
        "phased": layer.stride - 1,
        "carried": max(0, reached - drained.first[0]),
        "kept": drained.complete - drained.first[0],
        "address": carried + group * banks.carried_lines(layer) * drained.length,
    }


def result_values(
    tiling: Tiling, part: Part, raster: Raster, rows: tuple[int, int], half: int, word_bytes: int
) -> Values:
    """Where a unit's outputs go in a half of the results that holds output ``rows`` (from, to).

    EscaError where a raster place's outputs lie in more than two rows, where a row takes more of
    them than a word holds, or pairs of 4 bits would be split.
    """
    drained, tensor = unit_drain(tiling, part, raster), tiling.layer.output
    where = f"rtl: layer {tiling.layer.name!r}: stored outputs"
    kind = format_of(tensor)
    together = 2 if kind == "nibbles" else 1  # values that count as one
    each = 2 if kind == "words" else 1  # what a value counts as
    wide = slots(kind, word_bytes)
    channels = each * drained.channels
    across = drained.across * channels
    low, count = each * drained.low, each * drained.count
    line, place = divmod(low, across)
    first_count = min(count, across - place)
    if count - first_count > across:
        raise EscaError(f"{where} of one place lie in more than two rows")
    if max(first_count, count - first_count) > wide * together:
        most = wide * together // each
        raise EscaError(
            f"{where} of one place and row are {first_count // each}, at most {most} fit"
        )
    step_y, step_x = drained.step
    begin, step = drained.first[1] * channels, step_x * channels
    limit = tensor.width * channels
    if any(value % together for value in (first_count, count, begin, place, step, limit)):
        raise EscaError(f"{where} of 4 bits come in odd numbers")
    row = drained.first[0] + line - rows[0]
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
        "step_row": step_y,
        "rows": rows[1] - rows[0],
        "address": row // 2 * words,
        "line_words": step_y // 2 * words,
        "row_words": words,
    }
