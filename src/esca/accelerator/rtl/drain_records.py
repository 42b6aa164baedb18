"""Records of the drain side: what the epilogue makes of a unit's sums, and what of it is stored."""

from amaranth.lib import data

from esca.accelerator.rtl.records import LAYOUT
from esca.accelerator.rtl.requantize import LAYER
from esca.accelerator.rtl.streams import COORDINATE_BITS

PLACE = data.StructLayout(
    {
        "on": 1,
        "layout": LAYOUT,
        "first_y": COORDINATE_BITS,
        "ring_y": COORDINATE_BITS,
        "first_x": COORDINATE_BITS,
        "step_y": 6,
        "step_x": 6,
        "height": COORDINATE_BITS,
        "width": COORDINATE_BITS,
        "bank": 6,
        "depth": 10,
        "places": 2,
    }
)
"""Where outputs go in the banks of activations, if ``on``: that of the first raster place to
(``first_y``, ``first_x``) of a map of ``height`` x ``width``, ``ring_y`` in its ring; the next
ones are a step away. Atoms of a pixel start at ``bank`` of those that a pixel takes, in word
``depth`` of its place; 2^``places`` pixels lie side by side.
"""

SEGMENT = data.StructLayout({"flat": 16, "slot": 6, "beat": COORDINATE_BITS})
"""A place in a row of results: ``flat``, in values; ``slot`` of word ``beat``."""

RESULT = data.StructLayout(
    {
        "on": 1,
        "half": 1,
        "format": 2,
        "count": 7,
        "first_count": 7,
        "a": SEGMENT,
        "b": SEGMENT,
        "step": SEGMENT,
        "limit": 16,
        "row": 10,
        "step_row": 6,
        "rows": 10,
        "address": COORDINATE_BITS,
        "line_words": COORDINATE_BITS,
        "row_words": COORDINATE_BITS,
    }
)
"""Where outputs go in a half of the results, if ``on``, values in a ``format``. Of the ``count``
values of a raster place ``first_count`` lie one behind the other from ``a`` on in row ``row``, the
others from ``b`` on in the next; the next place is ``step`` further, the next line ``step_row``.
Rows from ``rows`` on, and values from ``limit`` on, are cropped. ``address``: of the row and its
neighbour in banks of even and odd rows; pairs of rows are ``row_words`` apart, lines
``line_words``.
"""

EPILOGUE = data.StructLayout(
    {
        "lines": COORDINATE_BITS,
        "length": COORDINATE_BITS,
        "half": 1,
        "constants": 12,
        "texel": 2,
        "ramp": 1,
        "extras": 1,
        "residual": 1,
        "residual_zero": 8,
        "layer": LAYER,
        "place": PLACE,
        "result": RESULT,
    }
)
"""A unit of ``lines`` x ``length`` raster places in a ``half`` of the accumulators; the first of
its columns' ``constants``; code of the bits of ``texel`` biases, which lie in half ``extras``, or a
``ramp`` in their place; a ``residual`` with its zero point, in that half of its memory.
"""

OVERLAP = data.StructLayout(
    {
        "on": 1,
        "line": 2,
        "pixels": 2,
        "threes": 1,
        "phased": 1,
        "carried": COORDINATE_BITS,
        "kept": COORDINATE_BITS,
        "address": COORDINATE_BITS,
    }
)
"""If ``on``, a raster place is a row of banks in which overlaps were added: 2^``pixels`` outputs of
as many channels as have room, or of ``threes``; ``line``: output row of the first, mod 4;
``phased``: constants are those of the phase of an output's row and, of a single pixel, column. What
was carried is added to the first ``carried`` lines; those from ``kept`` on are carried on. Either
begin at ``address``.
"""


def epilogue_record(overlaps: bool) -> data.StructLayout:
    """What an epilogue drains; of a machine that adds where outputs overlap, how, too."""
    return data.StructLayout({**EPILOGUE.members, "overlap": OVERLAP}) if overlaps else EPILOGUE


STORE = data.StructLayout(
    {"dram": 32, "row_bytes": 16, "rows": 12, "pitch": 16, "half": 1, "tens": 1, "engine": 1}
)
"""``rows`` of results in a half, values of ten bits or bytes as they lie there: those of the array,
or of an ``engine`` beside it.
"""
