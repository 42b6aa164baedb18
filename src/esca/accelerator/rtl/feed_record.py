"""The record of the weight feed: which words of the weight ring a unit's tiles take, row by row."""

from typing import Any

import numpy as np
from amaranth.lib import data

from esca.accelerator.axes import Axis, Ints
from esca.accelerator.hardware.weight_words import TileWords
from esca.accelerator.mappings import Tiling
from esca.accelerator.reads import SLOTS, AxisReads, PassReads, position_offset, power_above
from esca.accelerator.weights import Part, split_columns
from esca.errors import EscaError

CHOICE_BITS = 2
"""Bits that choose among the inputs of a row, of which there are four at most."""


def feed_record(columns: int) -> data.StructLayout:
    """For an array of ``columns``.

    ``ring``: row of the weight ring in which the part begins; ``ty``, ``tx``: words from there to
    those of a slot's taps; ``choose_y``, ``choose_x``: what columns choose, or-ed for a slot of
    either axis. Of the 2^``places`` pixels side by side in a tile ``atoms`` are taken ``deep``
    tiles; slots stand in ``groups_y`` x ``groups_x`` groups of 2^``together``. A word is
    ``two_bytes`` a column or one, of ``nibbles`` or bytes; PEs are in mode ``wide`` and ``widest``.
    """
    choices = data.ArrayLayout(data.ArrayLayout(CHOICE_BITS, columns), SLOTS)
    return data.StructLayout(
        {
            "ring": 16,
            "ty": data.ArrayLayout(16, SLOTS),
            "tx": data.ArrayLayout(16, SLOTS),
            "choose_y": choices,
            "choose_x": choices,
            "atoms": 10,
            "deep": 10,
            "places": 2,
            "slots_y": 3,
            "slots_x": 3,
            "together_y": 2,
            "together_x": 2,
            "groups_y": 3,
            "groups_x": 3,
            "two_bytes": 1,
            "nibbles": 1,
            "wide": 1,
            "widest": 1,
        }
    )


def feed_values(
    tiling: Tiling, reads: PassReads, words: TileWords, part: Part, ring: int
) -> dict[str, Any]:
    """Fields of :func:`feed_record` for a tile of outputs whose ``words`` begin in a row of the
    ring. EscaError where a word takes longer to the array than a row of it.
    """
    if tiling.load_cycles != tiling.array.rows:
        raise EscaError(
            f"rtl: layer {tiling.layer.name!r}: a tile's weights take {tiling.load_cycles} cycles, "
            f"expected one for each of {tiling.array.rows} rows (array.weight_port_bytes_per_cycle)"
        )
    p = tiling.passes[part[0]]
    low = p.first_columns[part[1]]
    columns = np.arange(low, low + p.tile_columns[part[1]])
    _, y, x = split_columns(p, columns, tiling.mapping == "scatter")
    bits, together = tiling.widths[0], reads.together
    return {
        "ring": ring,
        "ty": _filled([int(at) * len(words.taps_x) * words.atoms for at in words.slot_y], 0),
        "tx": _filled([int(at) * words.atoms for at in words.slot_x], 0),
        "choose_y": _choices(tiling, p.y, reads.y, y, reads.x.span),
        "choose_x": _choices(tiling, p.x, reads.x, x, 0),
        "atoms": reads.atoms,
        "deep": reads.deep,
        "places": power_above(reads.places),
        "slots_y": reads.y.slots,
        "slots_x": reads.x.slots,
        "together_y": together.y,
        "together_x": together.x,
        "groups_y": len(reads.groups("y")),
        "groups_x": len(reads.groups("x")),
        "two_bytes": words.atom_bytes == 2,
        "nibbles": bits == 4,
        "wide": tiling.mode != "4x4",
        "widest": tiling.mode == "8x8",
    }


def _choices(
    tiling: Tiling, axis: Axis, reads: AxisReads, positions: Ints, shift: int
) -> list[list[int]]:
    """By slot and column."""
    made = []
    for slot in range(reads.slots):
        offsets = [position_offset(axis, reads.step, slot, int(at)) for at in positions]
        chosen = [0 if away is None else reads.choice(slot, away) << shift for away in offsets]
        made.append(chosen + [0] * (tiling.array.columns - len(chosen)))
    return _filled(made, [0] * tiling.array.columns)


def _filled(values: list, rest: object) -> list:
    """As many entries as there may be slots."""
    return [*values, *[rest] * (SLOTS - len(values))]
