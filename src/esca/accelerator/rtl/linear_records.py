"""Records of the linear engine: what it computes, and where loads put its operands."""

from amaranth.lib import data

from esca.accelerator.rtl.requantize import LAYER

MOST_INPUTS = 1024
"""Values of an operand of the linear engine."""

OPERAND_BYTES = 2048
"""Of all operands of a program that are loaded, and of those that stay on chip."""

MOST_OUTPUTS = 512
"""Outputs of one job."""

WEIGHT_BYTES = 16384
"""Of a half of the linear engine's weights."""

LOAD_LINEAR = data.StructLayout(
    {
        "dram": 32,
        "row_bytes": 16,
        "rows": 12,
        "pitch": 16,
        "weights": 1,
        "half": 1,
        "words": 12,
        "operand": 8,
    }
)
"""``weights``: into ``half``, an output a row, ``words`` bus words of weights and behind them its
constants; else an operand, one row, from word ``operand`` on, of as many bytes as there are lanes.
"""

LINEAR = data.StructLayout(
    {
        "half": 1,
        "words": 8,
        "outputs": 10,
        "layer": LAYER,
        "format": 2,
        "results": 1,
        "operand": 8,
        "on_chip": 1,
        "keep": 1,
        "kept": 9,
    }
)
"""``outputs``, each of ``words`` words of as many weights as there are lanes, from ``half``, for an
operand from word ``operand`` on of those that were loaded or are ``on_chip``; they go in a
``format`` to half ``results`` and, if ``keep``, to bus word ``kept`` of the operands on chip.
"""
