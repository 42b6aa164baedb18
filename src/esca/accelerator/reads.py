"""What a tiling reads: the window of inputs around every streamed row, tile by tile of the array.

Brute force on the mapping's index tables (:mod:`esca.accelerator.axes`) gives, for each slot, the
inputs that its PEs choose among as offsets from a base that moves by ``step`` a streamed row.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

import numpy as np

from esca.accelerator.axes import Axis, Ints
from esca.accelerator.mappings import Pass, Tiling
from esca.errors import EscaError

SLOTS = 4
"""Most slots of an axis."""

CANDIDATES = 4
"""Most inputs that a slot offers on an axis."""

ELEMENTS = 8
"""Most places of a tile's window on an axis: slots times candidates, each a power of two."""


def power_above(value: int) -> int:
    """Exponent of the least power of two that is not below a positive value."""
    return (value - 1).bit_length()


@dataclass(frozen=True)
class AxisReads:
    """Inputs that an axis of a pass meets: of a slot in row r, ``r * step + offset + choice *
    spread`` for every choice below the slot's number of ``choices``, where that is in the map.

    ``rows``: streamed rows; ``size``: inputs of the axis; ``offsets``, ``choices``: one entry a
    slot.
    """

    rows: int
    size: int
    step: int
    spread: int
    offsets: tuple[int, ...]
    choices: tuple[int, ...]

    @property
    def slots(self) -> int:
        """Places on the reduction side."""
        return len(self.offsets)

    @property
    def span(self) -> int:
        """Exponent of the power of two that takes the choices of any slot."""
        return power_above(max(self.choices))

    def places(self, slots: range) -> Ints:
        """(rows, elements) inputs that some slots meet, those outside the map, too."""
        away = [
            self.offsets[slot] + choice * self.spread
            for slot in slots
            for choice in range(self.choices[slot])
        ]
        return np.arange(self.rows)[:, None] * self.step + np.array(away, np.int64)

    def choice(self, slot: int, offset: int) -> int:
        """Which of a slot's inputs lies at an offset."""
        return (offset - self.offsets[slot]) // self.spread


def axis_reads(axis: Axis, step: int, size: int, where: str) -> AxisReads:
    """Offsets of an axis from its tables; EscaError, with ``where``, for what the window is not
    made for: no slots, too many of them or of their choices, choices at uneven distances.
    """
    if not 1 <= axis.slots <= SLOTS:
        raise EscaError(f"{where}: {axis.slots} slots an axis, expected 1 to {SLOTS}")
    found = [sorted({*_offsets(axis, step, slot).tolist()}) for slot in range(axis.slots)]
    steps = {b - a for offsets in found for a, b in itertools.pairwise(offsets)}
    if len(steps) > 1 or max(steps, default=1) > 7:
        raise EscaError(f"{where}: a slot chooses among inputs at uneven distances {found}")
    choices = tuple(map(len, found))
    if max(choices) > CANDIDATES:
        raise EscaError(f"{where}: {max(choices)} inputs a slot, expected at most {CANDIDATES}")
    offsets = tuple(entry[0] for entry in found)
    made = AxisReads(axis.rows, size, step, max(steps, default=1), offsets, choices)
    _assert_equal(axis, made, where)
    return made


def _offsets(axis: Axis, step: int, slot: int) -> Ints:
    """Offsets of a slot's inputs from the base."""
    away = axis.input[:, slot] - np.arange(axis.rows)[:, None] * step
    return away[axis.input[:, slot] >= 0]


def position_offset(axis: Axis, step: int, slot: int, position: int) -> int | None:
    """Offset of the input that a slot's PEs of one output position take; None where they hold no
    weight.
    """
    rows = np.flatnonzero(axis.input[:, slot, position] >= 0)
    if axis.tap[slot, position] < 0 or not len(rows):
        return None
    return int(axis.input[rows[0], slot, position]) - int(rows[0]) * step


def _assert_equal(axis: Axis, made: AxisReads, where: str) -> None:
    """Offsets say what the tables say, wherever a product counts or would be padding."""
    for slot in range(axis.slots):
        for position in range(axis.positions):
            offset = position_offset(axis, made.step, slot, position)
            if offset is None:
                continue
            place = np.arange(axis.rows) * made.step + offset
            place[(place < 0) | (place >= made.size)] = -1
            kept = axis.output[:, position] >= 0
            if (place != axis.input[:, slot, position])[kept].any():
                raise AssertionError(f"{where}: slot {slot}, position {position}: not one offset")


@dataclass(frozen=True)
class Together:
    """Exponents of the numbers of slots that stand side by side in a tile, on either axis."""

    y: int
    x: int


def slots_together(places: int, y: AxisReads, x: AxisReads) -> Together:
    """How slots share a tile in which ``places`` pixels lie side by side: a line of slots first,
    padded to a power of two, then several lines.
    """
    whole = power_above(places)
    across = min(whole, power_above(x.slots))
    return Together(min(whole - across, power_above(y.slots)), across)


@dataclass(frozen=True)
class PassReads:
    """Both axes of a pass, and how its reduction is cut into tiles of the array.

    ``atoms``: groups of neighbouring channels that a PE takes at once; ``places``: pixels side by
    side in a tile; ``deep``: tiles that a slot's atoms take.
    """

    y: AxisReads
    x: AxisReads
    atoms: int
    places: int
    deep: int

    @property
    def together(self) -> Together:
        """Exponents of the slots in one tile."""
        return slots_together(self.places, self.y, self.x)

    def groups(self, axis: str) -> list[range]:
        """Slots of an axis, ``y`` or ``x``, as tiles take them together."""
        reads: AxisReads = getattr(self, axis)
        size = 1 << getattr(self.together, axis)
        return [range(i, min(i + size, reads.slots)) for i in range(0, reads.slots, size)]

    @property
    def k_tiles(self) -> int:
        """Tiles along the reduction: groups of slots y, then of slots x, then depth."""
        return len(self.groups("y")) * len(self.groups("x")) * self.deep

    def rows(self, array_rows: int) -> tuple[Ints, Ints, Ints]:
        """Slot y, slot x and atom that stand on every row of the array in every tile: each of
        (k_tiles, array rows), -1 in all three where nothing does.
        """
        wide, together = array_rows // self.places, self.together
        group_y, group_x, depth, row = np.meshgrid(
            *(np.arange(n) for n in (len(self.groups("y")), len(self.groups("x")), self.deep)),
            np.arange(array_rows),
            indexing="ij",
        )
        inner = row // wide
        y = (group_y << together.y) + (inner >> together.x)
        x = (group_x << together.x) + (inner & ((1 << together.x) - 1))
        atom = depth * wide + row % wide
        used = (y < self.y.slots) & (x < self.x.slots) & (atom < self.atoms)
        used &= inner >> together.x >> together.y == 0
        found = (np.where(used, table, -1).reshape(-1, array_rows) for table in (y, x, atom))
        return tuple(found)  # type: ignore[return-value]


def pass_reads(tiling: Tiling) -> Iterator[PassReads]:
    """Reads of all passes of a tiling; EscaError for what the front end refuses."""
    layer, where = tiling.layer, f"rtl: layer {tiling.layer.name!r}: {tiling.mapping}"
    if tiling.mapping == "dense":
        raise EscaError(f"{where} is not built, expected another mapping")
    atoms = ceil(layer.input.channels / tiling.macs_per_pe)
    width = atom_rows(atoms, tiling.array.rows)
    for p in tiling.passes:
        steps = input_steps(tiling)
        y = axis_reads(p.y, steps[0], layer.input.height, where)
        x = axis_reads(p.x, steps[1], layer.input.width, where)
        made = PassReads(y, x, atoms, tiling.array.rows // width, ceil(atoms / tiling.array.rows))
        for name in ("y", "x"):
            size = getattr(made, name).span + getattr(made.together, name)
            if size > power_above(ELEMENTS):
                raise EscaError(f"{where}: a window of {1 << size} places on {name}")
        yield made


def atom_rows(atoms: int, array_rows: int) -> int:
    """Rows of the array that a pixel's atoms take in one tile: a power of two, at least a quarter
    of them, at most all.
    """
    return min(array_rows, max(1 << power_above(atoms), array_rows // 4))


def input_steps(tiling: Tiling) -> tuple[int, int]:
    """Inputs (y, x) by which the window moves from one streamed row to the next."""
    stride = tiling.layer.stride
    if tiling.layer.kind == "conv_transpose2d":
        return tiling.block[0] // stride, tiling.block[1] // stride
    return tiling.block[0] * stride, tiling.block[1] * stride


def chosen(p: Pass, reads: PassReads, slot: tuple[int, int], position: tuple[int, int]) -> int:
    """Which of its row's inputs the PE of a slot and position (y, x) takes; 0 where it holds no
    weight.
    """
    numbers = []
    for axis, mine, s, q in zip((p.y, p.x), (reads.y, reads.x), slot, position, strict=True):
        offset = position_offset(axis, mine.step, s, q)
        if offset is None:
            return 0
        numbers.append(mine.choice(s, offset))
    return numbers[0] << reads.x.span | numbers[1]
