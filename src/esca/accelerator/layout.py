"""Where a map lies in the banks of activations, so that no tile ever needs one of them twice a
cycle.

Each row of the array has a bank of four *sub-banks* of 16 bits. An *atom* is what a PE takes in a
cycle: neighbouring channels of a pixel, one or two bytes. A pixel's *colour*, a hash of either
coordinate, says in which sub-bank its atoms lie; the rest of the coordinates is their address.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import ceil

import numpy as np
from numpy.typing import NDArray

from esca.accelerator.axes import Ints
from esca.accelerator.mappings import Tiling
from esca.accelerator.reads import AxisReads, PassReads, atom_rows, pass_reads, power_above
from esca.accelerator.workload import TensorShape
from esca.errors import EscaError

SUB_BANKS = 4
"""Words that a bank gives in a cycle, each from an address of its own."""

WORD_BYTES = 2

Banks = NDArray[np.uint16]
"""(array rows, sub-banks, words)."""


@dataclass(frozen=True)
class AxisHash:
    """Colour of a coordinate v: its ``bits`` bits from ``shift`` on; with ``skew`` the highest of
    these is inverted where the next bit of v is set.
    """

    bits: int
    shift: int
    skew: int

    @property
    def period(self) -> int:
        """Coordinates that lie so far apart have the same colour."""
        return 1 << (self.bits + self.shift + self.skew)

    def colour(self, v: Ints) -> Ints:
        """Colours of coordinates."""
        low = v >> self.shift & ((1 << self.bits) - 1)
        return low ^ ((v >> (self.shift + self.bits) & self.skew) << max(self.bits - 1, 0))

    def address(self, v: Ints) -> Ints:
        """What tells coordinates of one colour apart."""
        return v >> (self.shift + self.bits) << self.shift | v & ((1 << self.shift) - 1)

    def addresses(self, size: int) -> int:
        """Addresses that the coordinates below ``size`` take."""
        return int(self.address(np.arange(size)).max()) + 1

    def parts(self, reads: AxisReads, slots: range) -> bool:
        """Whether no two inputs that some slots meet in a row have one colour."""
        places = reads.places(slots)
        inside = (places >= 0) & (places < reads.size)
        apart = -1 - np.arange(places.shape[1])  # those outside meet nobody
        colours = np.sort(np.where(inside, self.colour(places), apart), axis=1)
        return not (colours[:, 1:] == colours[:, :-1]).any()


HASHES = tuple(
    AxisHash(bits, shift, skew)
    for bits, shift, skew in product(range(4), range(3), (0, 1))
    if bits or not shift + skew
)


@dataclass(frozen=True)
class Layout:
    """A map's place: ``atom`` channels in ``atom_bytes``; hashes of its coordinates; ``ring_rows``
    rows that are held at once; ``base``, the first word of its sub-banks.
    """

    tensor: TensorShape
    array_rows: int
    atom: int
    atom_bytes: int
    y: AxisHash
    x: AxisHash
    ring_rows: int
    base: int = 0

    @property
    def value_bits(self) -> int:
        """Bits that a value takes."""
        return 8 * self.atom_bytes // self.atom

    @property
    def atoms(self) -> int:
        """Atoms of a pixel."""
        return ceil(self.tensor.channels / self.atom)

    @property
    def rows(self) -> int:
        """Banks that a pixel's atoms take side by side."""
        return atom_rows(self.atoms, self.array_rows)

    @property
    def deep(self) -> int:
        """Atoms of a pixel in one sub-bank: a power of two."""
        return 1 << power_above(ceil(self.atoms / self.array_rows))

    @property
    def row_pitch(self) -> int:
        """Places of one row in a sub-bank: a power of two; atoms of one byte fill whole words."""
        pitch = 1 << power_above(self.x.addresses(self.tensor.width))
        return max(pitch, 2) if self.atom_bytes == 1 and self.deep == 1 else pitch

    def holding(self, rows: int) -> "Layout":
        """The same for a ring of ``rows`` rows, or of the few more that its hash needs."""
        return replace(self, ring_rows=ceil(rows / self.y.period) * self.y.period)

    @property
    def words(self) -> int:
        """Words of every sub-bank that the map takes."""
        places = self.y.addresses(self.ring_rows) * self.row_pitch * self.deep
        return places * self.atom_bytes // 2

    def record(self) -> dict[str, object]:
        """Fields of :data:`esca.accelerator.rtl.records.LAYOUT`."""
        return {
            "base": self.base,
            "ring_rows": self.ring_rows,
            "row_pitch": power_above(self.row_pitch),
            "groups": power_above(self.deep),
            "two_bytes": self.atom_bytes == 2,
            "nibbles": self.value_bits == 4,
            "hash_y": {"bits": self.y.bits, "shift": self.y.shift, "skew": self.y.skew},
            "hash_x": {"bits": self.x.bits, "shift": self.x.shift, "skew": self.x.skew},
        }

    def places(self, rows: Ints, columns: Ints, atoms: Ints) -> tuple[Ints, Ints, Ints, Ints]:
        """Bank, sub-bank, word and byte (0 for atoms of two) of atoms of pixels; the arguments are
        broadcast.
        """
        rows = rows % self.ring_rows
        colour = self.y.colour(rows) << self.x.bits | self.x.colour(columns)
        bank = colour // SUB_BANKS * self.rows + atoms % self.rows
        place = self.y.address(rows) * self.row_pitch + self.x.address(columns)
        place = place * self.deep + atoms // self.rows
        byte = place * self.atom_bytes
        return bank, colour % SUB_BANKS, self.base + byte // 2, byte % 2

    def _everything(self, rows: Ints) -> tuple[Ints, Ints, Ints, Ints]:
        atoms, columns = np.arange(self.atoms), np.arange(self.tensor.width)
        return self.places(rows[None, :, None], columns[None, None], atoms[:, None, None])

    def put(self, banks: Banks, rows: Ints, values: Ints) -> None:
        """Write (channels, rows, width) values of some rows; what fills an atom up is 0."""
        room = np.zeros((self.atoms * self.atom, *values.shape[1:]), np.int64)
        room[: len(values)] = values
        room = room.reshape(self.atoms, self.atom, *values.shape[1:])
        shifts = self.value_bits * np.arange(self.atom)
        made = (room << shifts[None, :, None, None]).sum(1)
        bank, sub, word, byte = self._everything(rows)
        if self.atom_bytes == 2:
            banks[bank, sub, word] = made
        else:
            banks.view("u1").reshape(*banks.shape, 2)[bank, sub, word, byte] = made

    def get(self, banks: Banks, rows: Ints) -> Ints:
        """Inverse of :meth:`put`."""
        bank, sub, word, byte = self._everything(rows)
        made = banks[bank, sub, word].astype(np.int64) >> 8 * byte
        shifts = self.value_bits * np.arange(self.atom)
        split = made[:, None] >> shifts[None, :, None, None] & ((1 << self.value_bits) - 1)
        return split.reshape(-1, *made.shape[1:])[: self.tensor.channels]


def empty_banks(array_rows: int, words: int) -> Banks:
    """Banks without anything in them."""
    return np.zeros((array_rows, SUB_BANKS, words), np.uint16)


def find_layout(tensor: TensorShape, readers: Sequence[Tiling], ring_rows: int) -> Layout:
    """The first hashes under which no reader on the array ever meets a sub-bank twice in a row of
    its stream, rows of the ring that are used again included. ``ring_rows``: rows that have to be
    held; the layout holds that many or a few more.

    EscaError where there are none, or readers want the map in different atoms.
    """
    where = f"rtl: tensor {tensor.name!r}"
    shapes = {(t.array.rows, t.macs_per_pe, t.widths[1]) for t in readers}
    if len(shapes) != 1:
        raise EscaError(f"{where}: readers take {sorted(shapes)} (rows, values, bits), not one")
    ((array_rows, atom, bits),) = shapes
    reads = [p for tiling in readers for p in pass_reads(tiling)]
    fitting = {
        axis: [made for made in HASHES if all(_parts(made, p, axis) for p in reads)]
        for axis in ("y", "x")
    }
    needed = power_above(SUB_BANKS * reads[0].places)
    pairs = [(y, x) for y, x in product(fitting["y"], fitting["x"]) if y.bits + x.bits == needed]
    if not pairs:
        raise EscaError(f"{where}: no layout in {1 << needed} sub-banks keeps its readers apart")
    y, x = min(pairs, key=lambda pair: (pair[0].period, pair[1].period))
    return Layout(tensor, array_rows, atom, atom * bits // 8, y, x, 0).holding(ring_rows)


def _parts(made: AxisHash, p: PassReads, axis: str) -> bool:
    return all(made.parts(getattr(p, axis), slots) for slots in p.groups(axis))
