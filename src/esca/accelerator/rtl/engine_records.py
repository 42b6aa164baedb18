"""Records of the engines that move and interpolate maps: what they make, and where their operands
lie in memories of their own.
"""

from amaranth.hdl import signed
from amaranth.lib import data

from esca.accelerator.hardware.jobs import ENGINES
from esca.accelerator.rtl.records import LAYOUT
from esca.accelerator.rtl.requantize import FACTOR
from esca.accelerator.rtl.streams import COORDINATE_BITS

PARTS = (*ENGINES, "residual")
"""These, and what of the epilogue not every machine has: that it adds a map."""

WINDOW_BITS = 14
"""Bits of an address in an engine's memory."""

WINDOW = data.StructLayout(
    {
        "first": WINDOW_BITS,
        "last": WINDOW_BITS,
        "pair": 10,
        "odd": 1,
        "deep": 3,
    }
)
"""Where loaded rows go in an engine's memory: from word ``first`` on; behind those that begin at
``last`` comes word 0. In a memory of four banks, one for each parity of row and column, words of a
``pair`` of rows; the first row is an ``odd`` one; 2^``deep`` bus words a pixel. In a plain memory
``odd`` is the number of the operand, and the rest does not matter.
"""

LOAD_WINDOW = data.StructLayout(
    {"dram": 32, "row_bytes": 16, "rows": 12, "pitch": 16, "places": 1, "window": WINDOW}
)
"""Rows of a texture that is sampled, or of the ``places`` at which it is."""

OPERAND = data.StructLayout(
    {
        "first": WINDOW_BITS + 4,
        "runs": 10,
        "last": 4,
        "run": signed(WINDOW_BITS + 4),
        "pixel": signed(WINDOW_BITS + 4),
        "row": signed(WINDOW_BITS + 4),
        "rows": COORDINATE_BITS,
    }
)
"""An operand of a move, its addresses in steps of 4 bits: the ``first`` one, and how far runs,
pixels and rows are apart; of a pixel's ``runs`` the ``last`` has so many values. Behind ``rows``
rows comes address 0.
"""

MOVE = data.StructLayout(
    {
        "operands": data.ArrayLayout(OPERAND, 2),
        "both": 1,
        "values": 4,
        "format": 2,
        "width": COORDINATE_BITS,
        "rows": COORDINATE_BITS,
        "results": 1,
    }
)
"""``rows`` rows of ``width`` pixels: runs of ``values`` of the first operand, then of the second,
if ``both``; they go in a ``format`` to half ``results``.
"""

PLACES = data.StructLayout(
    {
        "first": COORDINATE_BITS,
        "count": COORDINATE_BITS,
        "ring_first": COORDINATE_BITS,
        "ring": COORDINATE_BITS,
        "pair": 10,
        "height": COORDINATE_BITS,
        "width": COORDINATE_BITS,
    }
)
"""Rows in a memory of four banks: ``count`` from ``first`` on, which is row ``ring_first`` of an
even ``ring``; words of a ``pair`` of rows; a map of ``height`` x ``width``.
"""

UPSAMPLE = data.StructLayout(
    {
        "source": PLACES,
        "factor": 2,
        "bilinear": 1,
        "phase": 3,
        "row": COORDINATE_BITS,
        "rows": COORDINATE_BITS,
        "width": COORDINATE_BITS,
        "beats": 10,
        "deep": 3,
        "nibbles": 1,
        "results": 1,
    }
)
"""A map enlarged 2^``factor`` times: ``rows`` output rows of ``width`` pixels from ``phase`` of
input ``row`` on, each in ``beats`` cycles, of a source of 2^``deep`` bus words a pixel.
"""

GRID_SAMPLE = data.StructLayout(
    {
        "source": PLACES,
        "rows": COORDINATE_BITS,
        "width": COORDINATE_BITS,
        "place": WINDOW_BITS,
        "place_last": WINDOW_BITS,
        "place_zero": 16,
        "x": FACTOR,
        "y": FACTOR,
        "zero": 10,
        "top": 10,
        "results": 1,
    }
)
"""``rows`` x ``width`` samples at places from word ``place`` on, which begins again behind
``place_last``; they become texels by a factor an axis and stand off ``place_zero``.
"""

assert LAYOUT.size >= WINDOW.size, "a window takes the place of a layout in records of loads"
