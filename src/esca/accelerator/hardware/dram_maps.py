"""Maps in DRAM: rows of pixels, all channels of a pixel together, every row on a bus word."""

from math import ceil

import numpy as np
from numpy.typing import NDArray

from esca.accelerator.axes import Ints
from esca.accelerator.workload import TensorShape

Bytes = NDArray[np.uint8]


def row_pitch(tensor: TensorShape, bus: int) -> int:
    """Bytes from one row to the next, whole words of ``bus`` bytes."""
    return ceil(tensor.row_bytes / bus) * bus


def packed_rows(tensor: TensorShape, values: Ints, bus: int) -> Bytes:
    """(rows, pitch) bytes of (C, rows, W) integers. Up to 4 bits: two a byte, the first in the low
    nibble; 9 and 10 bits: three in 32, the first in the low ones; up to 8 bits a byte, else two.
    """
    flat = values.transpose(1, 2, 0).reshape(values.shape[1], -1)
    made = np.zeros((len(flat), row_pitch(tensor, bus)), np.uint8)
    if tensor.bits <= 4:
        stored = _joined(flat, 2, 4).astype("u1")
    elif tensor.bits in (9, 10):
        stored = _joined(flat, 3, 10).astype("<u4").view(np.uint8)
    else:
        stored = np.ascontiguousarray(flat.astype("u1" if tensor.bits <= 8 else "<u2")).view("u1")
    made[:, : stored.shape[1]] = stored
    return made


def unpacked_rows(tensor: TensorShape, stored: Bytes) -> Ints:
    """Inverse of :func:`packed_rows`."""
    held = np.ascontiguousarray(stored[:, : tensor.row_bytes])
    if tensor.bits <= 4:
        flat = _split(held, 2, 4)
    elif tensor.bits in (9, 10):
        flat = _split(held.view("<u4"), 3, 10)
    else:
        flat = held.view("u1" if tensor.bits <= 8 else "<u2").astype(np.int64)
    flat = flat[:, : tensor.width * tensor.channels]
    return flat.reshape(len(flat), tensor.width, tensor.channels).transpose(2, 0, 1)


def _joined(flat: Ints, count: int, bits: int) -> Ints:
    """``count`` neighbours a word, ``bits`` each."""
    room = np.zeros((len(flat), ceil(flat.shape[1] / count) * count), np.int64)
    room[:, : flat.shape[1]] = flat
    joined: Ints = (room.reshape(len(flat), -1, count) << bits * np.arange(count)).sum(2)
    return joined


def _split(words: NDArray[np.unsignedinteger], count: int, bits: int) -> Ints:
    apart = words.astype(np.int64)[:, :, None] >> bits * np.arange(count)
    return (apart & ((1 << bits) - 1)).reshape(len(words), -1)
