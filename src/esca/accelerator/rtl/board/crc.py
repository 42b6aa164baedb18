"""CRC-32 of bytes, one a cycle."""

from functools import reduce
from operator import xor

from amaranth.hdl import Cat, Const, Value

POLYNOMIAL = 0xEDB88320
BITS = 32
START = 0xFFFFFFFF
"""What the register begins with; what is sent is its complement."""


def crc_step(register: int, byte: int) -> int:
    """The register behind one more byte."""
    register ^= byte
    for _ in range(8):
        register = register >> 1 ^ (POLYNOMIAL if register & 1 else 0)
    return register


def crc_next(register: Value, byte: Value) -> Value:
    """The same of signals: a step is linear, so each bit is a sum of bits."""
    inputs = [*register, *byte]
    reached = [crc_step(1 << i, 0) for i in range(BITS)] + [crc_step(0, 1 << i) for i in range(8)]
    return Cat(
        reduce(
            xor, (one for one, to in zip(inputs, reached, strict=True) if to >> bit & 1), Const(0)
        )
        for bit in range(BITS)
    )
