"""Weights as the array takes them: words of one atom a column.

An *atom* is what a PE holds of one input place in a tile: its weights for neighbouring input
channels, one or two bytes. A slot's taps differ from column to column where a tile of outputs has
several positions; a part holds one word for each pattern of taps along y, pattern along x, and
atom of the channels, in this order.
"""

from dataclasses import dataclass
from functools import cached_property
from math import ceil

import numpy as np
from numpy.typing import NDArray

from esca.accelerator.axes import Ints
from esca.accelerator.mappings import Tiling
from esca.accelerator.weights import Part, split_columns, tile_weights

Bytes = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class TileWords:
    """Words of one tile of outputs on an array of ``array_columns``.

    ``channels``: output channel of each column; ``taps_y`` (patterns, columns), ``taps_x``: taps of
    all columns, -1 for none; ``slot_y`` (slots,), ``slot_x``: the pattern of a slot. ``atom``
    weights of ``bits`` in a word of each column; ``atoms`` of a place's channels.
    """

    array_columns: int
    channels: Ints
    taps_y: Ints
    taps_x: Ints
    slot_y: Ints
    slot_x: Ints
    atom: int
    bits: int
    atoms: int

    @property
    def atom_bytes(self) -> int:
        """Bytes of a word in each column."""
        return self.atom * self.bits // 8

    @cached_property
    def key(self) -> bytes:
        """Equal for tiles of a layer that have the same words."""
        sizes = np.array([len(self.taps_y), len(self.taps_x)])
        return b"".join(a.tobytes() for a in (sizes, self.channels, self.taps_y, self.taps_x))

    @property
    def rows(self) -> int:
        """Rows of the weight ring, of two bytes a column."""
        words = len(self.taps_y) * len(self.taps_x) * self.atoms
        return ceil(words * self.atom_bytes / 2)

    def packed(self, matrix: NDArray[np.int8]) -> Bytes:
        """Bytes of all words, whole rows of the ring, of a tile's (slots, input channels, columns)
        matrix.
        """
        y, x = (_first(slots) for slots in (self.slot_y, self.slot_x))
        whole = matrix.reshape(len(self.slot_y), len(self.slot_x), *matrix.shape[1:])
        taken = whole[np.ix_(y, x)].astype(np.int64)
        room = np.zeros((len(y), len(x), self.atoms * self.atom, self.array_columns), np.int64)
        room[:, :, : taken.shape[2], : taken.shape[3]] = taken
        room = room.reshape(-1, self.atom, self.array_columns) & ((1 << self.bits) - 1)
        shifts = self.bits * np.arange(self.atom)
        words = (room << shifts[None, :, None]).sum(1)
        made = np.zeros(self.rows * 2 * self.array_columns, np.uint8)
        stored = words.astype("<u2" if self.atom_bytes == 2 else "u1").view("u1").ravel()
        made[: len(stored)] = stored
        return made


def _first(patterns: Ints) -> Ints:
    """A slot of each pattern."""
    return np.unique(patterns, return_index=True)[1]


def tile_words(tiling: Tiling, part: Part) -> TileWords:
    """The words of one tile of outputs."""
    p = tiling.passes[part[0]]
    low = p.first_columns[part[1]]
    columns = np.arange(low, low + p.tile_columns[part[1]])
    channels, y, x = split_columns(p, columns, tiling.mapping == "scatter")
    taps_y, slot_y = np.unique(p.y.tap[:, y], axis=0, return_inverse=True)
    taps_x, slot_x = np.unique(p.x.tap[:, x], axis=0, return_inverse=True)
    macs = tiling.macs_per_pe
    return TileWords(
        tiling.array.columns,
        channels,
        taps_y,
        taps_x,
        slot_y.reshape(-1),
        slot_x.reshape(-1),
        macs,
        tiling.widths[0],
        ceil(p.in_channels / macs),
    )


def packed_tile(tiling: Tiling, part: Part, values: NDArray[np.int8]) -> Bytes:
    """Bytes of a tile's words, of the ``values`` (pairs, input channels) that
    :func:`esca.accelerator.weights.tile_weights` stores.
    """
    return tile_words(tiling, part).packed(tile_weights(tiling, part).matrix(values))
