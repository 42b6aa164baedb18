"""Ports of a component as numpy arrays: which bits of a cycle's words hold which integers."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

import numpy as np
from amaranth.hdl import Shape
from amaranth.lib import data, wiring
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Words = NDArray[np.uint32]
WORD = 32


@dataclass(frozen=True, eq=False)
class Field:
    """Equal integers in a port: of ``width`` bits, ``signed`` or not; ``places`` (*shape): the
    first bit of each among the bits of all ports of a direction.

    ``name``: the port's, and behind two underscores the member's where the port is a struct.
    """

    name: str
    width: int
    signed: bool
    places: Ints

    def put(self, bits: NDArray[np.uint8], values: Ints) -> None:
        """Write (cycles, *shape) integers into (cycles, bits)."""
        flat = np.asarray(values, np.int64).reshape(len(values), -1)
        where = (self.places.reshape(-1, 1) + np.arange(self.width)).reshape(-1)
        spread = (flat[:, :, None] >> np.arange(self.width)) & 1
        bits[:, where] = spread.reshape(len(flat), -1)

    def get(self, bits: NDArray[np.uint8]) -> Ints:
        """Inverse of :meth:`put`."""
        weights = np.left_shift(np.int64(1), np.arange(self.width, dtype=np.int64))
        if self.signed:
            weights[-1:] = -weights[-1:]
        where = self.places.reshape(-1, 1) + np.arange(self.width)
        found: Ints = bits[:, where].astype(np.int64) @ weights
        return found.reshape(len(bits), *self.places.shape)


@dataclass(frozen=True)
class Port:
    """A port by ``name``: ``words`` of 32 bits from word ``first`` of its direction on."""

    name: str
    first: int
    words: int
    fields: tuple[Field, ...]


def ports(component: wiring.Component, flow: wiring.Flow) -> tuple[Port, ...]:
    """Ports of one direction, in order."""
    found: list[Port] = []
    first = 0
    for path, member, _ in component.signature.flatten(component):
        if member.flow != flow:
            continue
        name = "__".join(map(str, path))
        words = ceil(Shape.cast(member.shape).width / WORD)
        fields = tuple(_fields(member.shape, name, np.array(first * WORD)))
        found.append(Port(name, first, words, fields))
        first += words
    return tuple(found)


def _fields(shape: object, name: str, places: Ints) -> Iterator[Field]:
    match shape:
        case data.ArrayLayout():
            step = Shape.cast(shape.elem_shape).width
            inner = places[..., None] + step * np.arange(shape.length)
            yield from _fields(shape.elem_shape, name, inner)
        case data.StructLayout():
            for key, field in shape:
                yield from _fields(field.shape, f"{name}__{key}", places + field.offset)
        case _:
            plain = Shape.cast(shape)
            yield Field(name, plain.width, plain.signed, places)


def to_words(bits: NDArray[np.uint8]) -> Words:
    """(cycles, words) of (cycles, 32 words) bits."""
    return np.packbits(bits, axis=1, bitorder="little").view("<u4")


def to_bits(words: Words) -> NDArray[np.uint8]:
    """Inverse of :func:`to_words`."""
    stored = np.ascontiguousarray(words).view(np.uint8)
    return np.unpackbits(stored, axis=1, bitorder="little")
