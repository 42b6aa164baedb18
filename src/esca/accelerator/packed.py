"""Integers as they lie packed in DRAM and in the weight buffer; residuals as they lie in rows."""

import numpy as np
import torch
from numpy.typing import NDArray

from esca.accelerator.axes import Ints
from esca.accelerator.memory import Rows
from esca.accelerator.unit_outputs import Block
from esca.errors import EscaError
from esca.runtime.packing import unpack


def residual_of(rows: Rows, block: Block) -> Ints:
    """What a block adds of a map; EscaError where a row of it is not there."""
    slots = rows.held[block.rows % rows.ring]
    if (slots != block.rows).any():
        raise EscaError(f"tensor {rows.tensor.name!r}: a residual's row is not there")
    taken = rows.values[block.rows % rows.ring, slice(*block.channels)][:, :, block.columns]
    return taken.transpose(1, 0, 2).astype(np.int64)


def as_int32(piece: NDArray[np.uint8]) -> Ints:
    """Little-endian int32 values."""
    return np.frombuffer(piece.tobytes(), "<i4").astype(np.int64)


def unpacked(image: NDArray[np.uint8], address: int, bits: int, low: int, high: int) -> Ints:
    """Values ``low`` to ``high`` of packed signed integers from ``address`` on."""
    if bits > 4:
        size = 2 if bits > 8 else 1
        piece = image[address + low * size : address + high * size]
        return np.frombuffer(piece.tobytes(), f"<i{size}").astype(np.int64)
    start = low // 2 * 2
    piece = image[address + start // 2 : address + -(-high // 2)]
    values = unpack(torch.from_numpy(piece.copy()), bits, (high - start,), "image").numpy()
    return values[low - start :].astype(np.int64)
