"""Texel biases in the order in which the epilogue takes them: a row for every raster place of a
unit, a value for every column, zeros for what is cropped.
"""

from collections.abc import Sequence
from math import ceil

import numpy as np
from numpy.typing import NDArray

from esca.accelerator.axes import Ints
from esca.accelerator.hardware.formats import STORED_BITS, stored_code
from esca.accelerator.hardware.unit_drain import UnitDrain, unit_drain
from esca.accelerator.isa import Instruction
from esca.accelerator.packed import unpacked
from esca.accelerator.program import MachineProgram
from esca.accelerator.unit_outputs import Block, Raster, unit_outputs

Bytes = NDArray[np.uint8]


def drain_rows(
    blocks: Sequence[Block], raster: Raster, values: Sequence[Ints], columns: int
) -> Ints:
    """(places, columns) of a unit's ``values``, one array a block."""
    y0, y1, x0, x1 = raster
    made = np.zeros((y1 - y0, x1 - x0, columns), np.int64)
    column = 0
    for block, content in zip(blocks, values, strict=True):
        assert block.lines is not None and block.across is not None
        here = slice(column, column + len(content))
        made[block.lines[:, None], block.across, here] = content.transpose(1, 2, 0)
        column = here.stop
    return made.reshape(-1, columns)


def overlapped_rows(drained: UnitDrain, values: Ints, columns: int) -> Ints:
    """The same of the ``values`` (channels, rows, width) of a unit whose overlaps are added."""
    channel, _, across = drained.columns()
    made = np.zeros((values.shape[1], drained.length, columns), np.int64)
    for column, (c, x) in enumerate(zip(channel - channel[0], across, strict=True)):
        taken = values[c, :, x :: drained.across]
        made[:, : taken.shape[1], column] = taken
    return made.reshape(-1, columns)


def packed_drain_rows(rows: Ints, bits: int, bus_bytes: int) -> Bytes:
    """Rows (places, columns) as bytes, values of as many bits as ``bits`` are stored in, up to
    whole bus words.
    """
    size = STORED_BITS[stored_code(bits)]
    flat = rows.reshape(-1)
    if size == 4:
        packed = (flat[::2] & 15 | (flat[1::2] & 15) << 4).astype(np.uint8)
    else:
        packed = flat.astype(f"<i{size // 8}").view(np.uint8)
    room = np.zeros(ceil(len(packed) / bus_bytes) * bus_bytes, np.uint8)
    room[: len(packed)] = packed
    return room


def texel_rows(
    program: MachineProgram, instruction: Instruction, columns: int, bus_bytes: int
) -> Bytes:
    """What a ``load_biases`` brings."""
    step = program.steps[instruction.layer]
    low, high = instruction.range
    (address,), (bits,) = step.texel_biases, step.layer.texel_bias_bits
    stored = unpacked(program.image, address, bits, low, high)
    assert step.tiling is not None
    blocks = unit_outputs(step.layer, step.tiling, instruction.part, instruction.raster)
    cuts = np.cumsum([np.prod(block.shape) for block in blocks])[:-1]
    values = [
        piece.reshape(block.shape)
        for block, piece in zip(blocks, np.split(stored, cuts), strict=True)
    ]
    if step.tiling.mapping == "scatter":
        drained = unit_drain(step.tiling, instruction.part, instruction.raster)
        rows = overlapped_rows(drained, values[0], columns)
    else:
        rows = drain_rows(blocks, instruction.raster, values, columns)
    return packed_drain_rows(rows, bits, bus_bytes)
