"""The machine's memories: they hold what was written last, and say so when it is asked for else."""

from collections.abc import Mapping
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from esca.accelerator.allocate import Region, RegionKey
from esca.accelerator.axes import Ints
from esca.accelerator.workload import TensorShape
from esca.errors import EscaError

Values = NDArray[np.uint16]
T = TypeVar("T")


class Rows:
    """Rows of one map in a ring: ``values`` (ring rows, C, W)."""

    def __init__(self, tensor: TensorShape, rows: int) -> None:
        self.tensor, self.ring = tensor, rows
        self.values = np.zeros((rows, tensor.channels, tensor.width), np.uint16)
        self.held = np.full(rows, -1)
        self.filled = np.zeros(rows, np.int64)
        self.full = tensor.channels * tensor.width

    def begin(self, row: int) -> bool:
        """Make place for a row; whether it is a new one."""
        slot = row % self.ring
        if self.held[slot] == row:
            return False
        self.held[slot], self.filled[slot] = row, 0
        return True

    def put(self, channels: tuple[int, int], rows: Ints, columns: Ints, values: Ints) -> None:
        """Write (C', rows, columns) values of rows that have been begun."""
        top = (1 << self.tensor.bits) - 1
        if values.size and not 0 <= int(values.min()) <= int(values.max()) <= top:
            raise EscaError(
                f"tensor {self.tensor.name!r}: a value is not on {self.tensor.bits} bits"
            )
        slots = rows % self.ring
        made = values.transpose(1, 0, 2).astype(np.uint16)
        if len(columns) == self.tensor.width:
            self.values[slots, channels[0] : channels[1]] = made
        else:
            step = columns[1] - columns[0] if len(columns) > 1 else 1
            span = slice(columns[0], columns[-1] + 1, step) if len(columns) else slice(0, 0)
            if len(range(*span.indices(self.tensor.width))) != len(columns):
                raise AssertionError("columns of a block are not evenly spaced")
            self.values[slots, channels[0] : channels[1], span] = made
        self.filled[slots] += made.shape[1] * made.shape[2]
        if rows.size and int(self.filled[slots].max()) > self.full:
            raise EscaError(f"tensor {self.tensor.name!r}: a row is written twice")

    def check(self, low: int, high: int) -> None:
        """EscaError unless rows from ``low`` to ``high`` are there, each as a whole."""
        rows = np.arange(low, high)
        slots = rows % self.ring
        wrong = (self.held[slots] != rows) | (self.filled[slots] != self.full)
        if wrong.any():
            row = int(rows[wrong][0])
            held = int(self.held[row % self.ring])
            state = "part of it" if held == row else f"row {held}" if held >= 0 else "nothing"
            raise EscaError(
                f"tensor {self.tensor.name!r}: row {row} is read, its place holds {state}"
            )

    def get(self, low: int, high: int) -> Values:
        """(C, rows, W) of rows from ``low`` to ``high``."""
        self.check(low, high)
        taken: Values = self.values[np.arange(low, high) % self.ring].transpose(1, 0, 2)
        return taken


class ActivationBuffer:
    """Regions in one memory of ``size`` bytes; a row is lost where another region wrote over it."""

    def __init__(
        self, size: int, regions: Mapping[RegionKey, Region], tensors: Mapping[str, TensorShape]
    ) -> None:
        self.owner = np.full(size, -1, np.int32)
        self.regions, self.numbers, self.rows = regions, {}, {}
        for number, (key, region) in enumerate(regions.items()):
            if region.address < 0 or region.end > size:
                raise EscaError(
                    f"tensor {region.tensor!r}: its region ends at byte {region.end} of the {size} "
                    "of buffers.activation_bytes"
                )
            self.numbers[key] = number
            self.rows[key] = Rows(tensors[region.tensor], region.rows)

    def _bytes(self, key: RegionKey, row: int) -> NDArray[np.int32]:
        region = self.regions[key]
        start = region.address + row % region.rows * region.row_bytes
        return self.owner[start : start + region.row_bytes]

    def put(
        self, key: RegionKey, channels: tuple[int, int], rows: Ints, columns: Ints, values: Ints
    ) -> None:
        """Write some values of some rows; a row that is new takes its place."""
        for row in rows.tolist():
            if self.rows[key].begin(row):
                self._bytes(key, row)[:] = self.numbers[key]
        self.rows[key].put(channels, rows, columns, values)

    def check(self, key: RegionKey, low: int, high: int) -> None:
        """EscaError unless whole rows from ``low`` to ``high`` are there and nobody wrote there."""
        self.rows[key].check(low, high)
        for row in range(low, high):
            if (self._bytes(key, row) != self.numbers[key]).any():
                raise EscaError(f"tensor {key[1]!r}: row {row} is read, but was overwritten")

    def get(self, key: RegionKey, low: int, high: int) -> Values:
        """(C, rows, W) of rows from ``low`` to ``high``, checked."""
        self.check(key, low, high)
        return self.rows[key].get(low, high)


class Halves(Generic[T]):
    """A double buffer: each half is filled, then emptied, in turn."""

    def __init__(self, name: str, capacity: int) -> None:
        self.name, self.capacity = name, capacity
        self.held: list[dict[Any, T]] = [{}, {}]

    def fill(self, half: int, tag: Any, content: T, size: int) -> None:
        """Write ``size`` bytes for ``tag``; EscaError where they do not fit or others are there."""
        if size > self.capacity:
            raise EscaError(f"{self.name}: {size} bytes in a half of {self.capacity}")
        if any(held[0] != tag[0] for held in self.held[half]):
            raise EscaError(f"{self.name}: half {half} is overwritten before it was read")
        self.held[half][tag] = content

    def drain(self, half: int, tag: Any) -> T:
        """Take what was written for ``tag``; EscaError where it is not there."""
        if tag not in self.held[half]:
            raise EscaError(f"{self.name}: half {half} does not hold what is read from it")
        return self.held[half].pop(tag)


class Ring:
    """The weight buffer: bytes in a ring with the key of whose they are."""

    def __init__(self, size: int) -> None:
        self.bytes = np.zeros(size, np.uint8)
        self.owner = np.full(size, -1, np.int32)
        self.keys: dict[Any, tuple[int, int, int]] = {}
        self.loads = 0

    def put(self, key: Any, address: int, piece: NDArray[np.uint8]) -> None:
        """Write a part to ``address``, wrapping around."""
        if len(piece) > len(self.bytes):
            raise EscaError(f"weights {key}: {len(piece)} bytes, the buffer has {len(self.bytes)}")
        place = (address + np.arange(len(piece))) % len(self.bytes)
        self.bytes[place], self.owner[place] = piece, self.loads
        self.keys[key] = (address, len(piece), self.loads)
        self.loads += 1

    def get(self, key: Any) -> tuple[NDArray[np.uint8], int]:
        """Bytes of a part and the number of the load that brought them; EscaError where gone."""
        if key not in self.keys:
            raise EscaError(f"weights of layer {key[0]}, part {key[1:]}: not loaded")
        address, size, load = self.keys[key]
        place = (address + np.arange(size)) % len(self.bytes)
        if (self.owner[place] != load).any():
            raise EscaError(f"weights of layer {key[0]}, part {key[1:]}: overwritten")
        return self.bytes[place], load
