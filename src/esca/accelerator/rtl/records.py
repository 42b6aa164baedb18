"""Records: what the queues of the machine are told, defined once for encoder and hardware.

A record is a header and a payload, little-endian bit fields that fill 32-bit words. The header has
the instruction's ``number`` in program order, ``background``, and for each source that its queue
may wait for (:mod:`esca.accelerator.rtl.commands`) whether and for which count of it.
"""

from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any

from amaranth.hdl import Shape
from amaranth.lib import data

from esca.errors import EscaError

WORD_BITS = 32
"""Bits of a word of the record streams."""

COUNT_BITS = 14
"""Jobs of one queue in a frame are counted with these."""

NUMBER_BITS = 20
"""Instructions of a frame are numbered with these."""

HASH = data.StructLayout({"bits": 2, "shift": 2, "skew": 1})
"""Colour of a place on one axis: see :mod:`esca.accelerator.layout`."""

LAYOUT = data.StructLayout(
    {
        "base": 12,
        "ring_rows": 12,
        "row_pitch": 4,
        "groups": 4,
        "two_bytes": 1,
        "nibbles": 1,
        "hash_y": HASH,
        "hash_x": HASH,
    }
)
"""A map in the activation banks: ``base`` in words of a sub-bank, ``row_pitch`` and ``groups`` as
powers of two, atoms of one or ``two_bytes``, values as ``nibbles``.
"""

LOAD_WEIGHTS = data.StructLayout({"dram": 32, "bytes": 20, "ring": 16})
"""To row ``ring`` of the weight ring and those behind it."""

LOAD_ROWS = data.StructLayout(
    {
        "dram": 32, "row_bytes": 16, "rows": 12, "pitch": 16, "first_row": 12, "pixel_words": 10,
        "engine": 2, "layout": LAYOUT,
    }
)  # fmt: skip
"""``first_row`` in the map's ring; ``pixel_words``: bus words of a pixel. ``engine``: 0 for the
banks of activations; else into the memory of move (1) or upsample (2), where the bits of ``layout``
are :data:`esca.accelerator.rtl.engine_records.WINDOW`.
"""

LOAD_EXTRAS = data.StructLayout(
    {
        "dram": 32, "row_bytes": 20, "rows": 12, "pitch": 16, "half": 1,
        "residual": 1, "first": 12, "part": 3, "nibbles": 1,
    }
)  # fmt: skip
"""Texel biases (one row), or the ``residual`` of raster places of a unit from ``first`` on: a row
and a bus word each, of which ``part`` is meant, values as ``nibbles`` or bytes.
"""


def header(sources: int) -> data.StructLayout:
    """Header of a queue whose jobs may wait for that many sources."""
    wait = data.StructLayout({"valid": 1, "count": COUNT_BITS})
    return data.StructLayout(
        {
            "number": NUMBER_BITS,
            "background": 1,
            "waits": data.ArrayLayout(wait, sources),
        }
    )


def record(sources: int, payload: data.StructLayout) -> data.StructLayout:
    """Header and payload."""
    return data.StructLayout({"header": header(sources), "payload": payload})


def record_words(layout: data.Layout) -> int:
    """Words that a record takes."""
    return ceil(layout.size / WORD_BITS)


def pack(layout: data.Layout, values: Any, where: str = "record") -> int:
    """Bits of nested values; EscaError names the field that is missing, unknown or out of range.

    Structures are mappings, arrays are sequences.
    """
    fields: list[tuple[Any, data.Field]] = list(layout)
    if isinstance(layout, data.ArrayLayout):
        if not isinstance(values, Sequence) or len(values) != layout.length:
            raise EscaError(f"{where}: expected {layout.length} values, got {values!r}")
    elif not isinstance(values, Mapping) or {*values} != {name for name, _ in fields}:
        names = ", ".join(str(name) for name, _ in fields)
        raise EscaError(f"{where}: expected exactly the fields {names}, got {values!r}")
    bits = 0
    for name, field in fields:
        value, here = values[name], f"{where}.{name}"
        if isinstance(field.shape, data.Layout):
            placed = pack(field.shape, value, here)
        else:
            placed = _integer(Shape.cast(field.shape), int(value), here)
        bits |= placed << field.offset
    return bits


def _integer(shape: Shape, value: int, where: str) -> int:
    low = -(1 << (shape.width - 1)) if shape.signed else 0
    high = low + (1 << shape.width)
    if not low <= value < high:
        raise EscaError(f"{where}: is {value}, expected {low} to {high - 1}")
    return value & ((1 << shape.width) - 1)


def unpack(layout: data.Layout, bits: int) -> Any:
    """Inverse of :func:`pack`: dictionaries and lists of integers."""
    found = {}
    for name, field in layout:
        mine = bits >> field.offset & ((1 << field.width) - 1)
        if isinstance(field.shape, data.Layout):
            found[name] = unpack(field.shape, mine)
        else:
            sign = Shape.cast(field.shape).signed and mine >> (field.width - 1)
            found[name] = mine - (1 << field.width) if sign else mine
    return list(found.values()) if isinstance(layout, data.ArrayLayout) else found


def to_words(layout: data.Layout, bits: int) -> list[int]:
    """A packed record in words of the stream, the lowest first."""
    mask = (1 << WORD_BITS) - 1
    return [bits >> (WORD_BITS * i) & mask for i in range(record_words(layout))]
