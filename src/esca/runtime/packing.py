"""Signed integers in as few whole nibbles as they need."""

import torch
from torch import Tensor

from esca.errors import EscaError


def pack(values: Tensor, bits: int) -> Tensor:
    """Flat storage of signed integers of at most ``bits`` bits.

    Up to 4 bits: uint8, two values a byte, the first in the low nibble. Up to 8: int8. Up to 16:
    int16.
    """
    flat = values.reshape(-1)
    if bits > 8:
        return flat.to(torch.int16)
    if bits > 4:
        return flat.to(torch.int8)
    nibbles = (flat & 0xF).to(torch.uint8)
    if len(nibbles) % 2:
        nibbles = torch.cat([nibbles, nibbles.new_zeros(1)])
    return nibbles[0::2] | (nibbles[1::2] << 4)


def unpack(stored: Tensor, bits: int, shape: tuple[int, ...], name: str) -> Tensor:
    """Inverse of :func:`pack`; int32 of ``shape``. ``name`` is for the error message."""
    count = 1
    for side in shape:
        count *= side
    expected = (count + 1) // 2 if bits <= 4 else count
    if stored.numel() != expected:
        raise EscaError(f"artifact: {name} holds {stored.numel()} values, expected {expected}")
    if bits > 4:
        return stored.to(torch.int32).reshape(shape)
    both = torch.stack([stored & 0xF, stored >> 4], dim=1).reshape(-1)[:count].to(torch.int32)
    return torch.where(both > 7, both - 16, both).reshape(shape)
