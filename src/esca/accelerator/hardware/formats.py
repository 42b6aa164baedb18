"""How values are stored: in maps, among results, and as texel biases."""

from math import ceil

from esca.accelerator.workload import TensorShape

FORMATS = ("nibbles", "bytes", "tens", "words")
"""Values as they are stored: two of 4 bits a byte, which then counts as one; 8 bits; 10 bits, three
in 32; 16 bits, where each byte counts.
"""

STORED_BITS = (0, 4, 8, 16)
"""Bits of a stored texel bias by their code in a record; 0: there are none."""

BITS = {"nibbles": 4, "bytes": 8, "words": 16}
"""Of a value as it is stored; tens lie three in a word."""


def format_of(tensor: TensorShape) -> str:
    """How a map's values are stored."""
    nibbles, small, tens, words = FORMATS
    if tensor.bits <= 4:
        return nibbles
    return small if tensor.bits <= 8 else tens if tensor.bits <= 10 else words


def row_words(tensor: TensorShape, word_bytes: int) -> int:
    """Words of a row."""
    return ceil(tensor.row_bytes / word_bytes)


def stored_code(bits: int) -> int:
    """Code of a stored texel bias of so many bits."""
    return next(code for code, size in enumerate(STORED_BITS) if size >= bits)
