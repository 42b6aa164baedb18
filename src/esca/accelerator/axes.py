"""One raster axis of a mapping: which input, tap and output every place of the array meets.

A mapping treats height and width alike and independently, so two of these objects say everything.
Along an axis there are `rows` (streamed one after the other), `slots` (places on the reduction
side) and `positions` (places on the output side).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
NOTHING = -1
"""Entry for a structural zero, padding, or an output that is cropped."""


@dataclass(frozen=True, eq=False)
class Axis:
    """Index tables of one axis; -1 stands for nothing.

    ``tap`` (slots, positions): kernel tap whose weight stands there. ``input`` (rows, slots,
    positions): input index that is multiplied. ``output`` (rows, positions): output index that is
    added to. ``candidates``: most inputs among which the PEs of one slot choose.
    """

    tap: Ints
    input: Ints
    output: Ints
    candidates: int = 1

    @property
    def rows(self) -> int:
        """Streamed rows."""
        return self.input.shape[0]

    @property
    def slots(self) -> int:
        """Places on the reduction side."""
        return self.tap.shape[0]

    @property
    def positions(self) -> int:
        """Places on the output side."""
        return self.tap.shape[1]

    @cached_property
    def useful(self) -> int:
        """Triples (row, slot, position) whose product counts."""
        valid = (self.input >= 0) & (self.tap >= 0) & (self.output >= 0)[:, None, :]
        return int(valid.sum())

    @cached_property
    def whole(self) -> bool:
        """Whether nothing is cropped: every pair (row, position) is an output."""
        return bool((self.output >= 0).all())

    @cached_property
    def outputs(self) -> int:
        """Pairs (row, position) that are an output."""
        return int((self.output >= 0).sum())


def _met(axis: Axis) -> Axis:
    """The axis without inputs whose product is cropped; without taps that then meet nothing in any
    row, and without slots in which none is left: such weights are not stored, loaded or streamed
    past.
    """
    valid = (axis.input >= 0) & (axis.output >= 0)[:, None, :] & (axis.tap >= 0)
    met = np.any(valid, axis=0)
    used = np.any(met, axis=1)
    tap, place = np.where(met, axis.tap, NOTHING), np.where(valid, axis.input, NOTHING)
    return Axis(tap[used], place[:, used], axis.output, axis.candidates)


def block_axis(
    inputs: int,
    outputs: int,
    block: int,
    slots: int,
    run: Callable[[int], list[tuple[int, int]]],
    step: int,
) -> Axis:
    """Blocks of ``block`` neighbouring outputs, computed together.

    ``run(position)``: pairs (tap, input offset from the block's base) that the output at
    ``position`` takes; neighbouring offsets, at most ``slots``. The base moves by ``step`` inputs
    a block. An offset goes to slot ``offset mod slots``, so a run never meets itself, and the
    offsets of one slot lie ``slots`` apart, which keeps the choice of each PE small.
    """
    tap = np.full((slots, block), NOTHING)
    offset = np.zeros((slots, block), dtype=np.int64)
    for position in range(block):
        for used, away in run(position):
            tap[away % slots, position] = used
            offset[away % slots, position] = away
    rows = np.arange(-(-outputs // block))
    place = rows[:, None, None] * step + offset
    place[(place < 0) | (place >= inputs) | (tap < 0)] = NOTHING
    output = rows[:, None] * block + np.arange(block)
    output[output >= outputs] = NOTHING
    choices = [len({*offset[slot][tap[slot] >= 0].tolist()}) for slot in range(slots)]
    return _met(Axis(tap, place, output, max(1, *choices)))


def conv_axis(
    inputs: int, outputs: int, kernel: int, stride: int, padding: int, block: int
) -> Axis:
    """Outputs of a convolution in blocks; a block of one is plain im2col."""

    def run(position: int) -> list[tuple[int, int]]:
        first = position * stride - padding
        return [(tap, first + tap) for tap in range(kernel)]

    return block_axis(inputs, outputs, block, kernel, run, block * stride)


def transposed_axis(
    inputs: int, outputs: int, kernel: int, stride: int, padding: int, block: int
) -> Axis:
    """Outputs of a transposed convolution in blocks of whole phases (``block`` a multiple of
    ``stride``), without the zeros between inputs.
    """

    def run(position: int) -> list[tuple[int, int]]:
        return [
            (tap, (position + padding - tap) // stride)
            for tap in range(kernel)
            if (position + padding - tap) % stride == 0
        ]

    return block_axis(inputs, outputs, block, -(-kernel // stride), run, block // stride)


def phase_axis(
    inputs: int, outputs: int, kernel: int, stride: int, padding: int, phase: int
) -> Axis:
    """Outputs ``y = phase (mod stride)`` of a transposed convolution, one a row.

    Has no slots where no tap reaches the phase (stride above kernel): its outputs are empty sums.
    Has no rows where it has no output.
    """
    taps = np.arange((phase + padding) % stride, kernel, stride)
    rows = np.arange(-(-(outputs - phase) // stride))
    place = rows[:, None, None] + ((phase + padding - taps) // stride)[None, :, None]
    place[(place < 0) | (place >= inputs)] = NOTHING
    return _met(Axis(taps[:, None], place, (rows * stride + phase)[:, None]))


def zero_inserted_axis(inputs: int, outputs: int, kernel: int, stride: int, padding: int) -> Axis:
    """Every output and every tap of a transposed convolution, zeros between inputs included."""
    taps = np.arange(kernel)
    reach = np.arange(outputs)[:, None] + padding - taps
    place = reach // stride
    place[(reach % stride != 0) | (place < 0) | (place >= inputs)] = NOTHING
    return _met(Axis(taps[:, None], place[:, :, None], np.arange(outputs)[:, None]))


def scatter_axis(
    inputs: int, outputs: int, kernel: int, stride: int, padding: int, transposed: bool
) -> Axis:
    """Every input is streamed once and meets all taps, whose products go to different outputs.

    A tap without any output leaves its column without a weight.
    """
    taps, rows = np.arange(kernel), np.arange(inputs)
    output = (
        rows[:, None] * stride + taps - padding if transposed else rows[:, None] + padding - taps
    )
    output[(output < 0) | (output >= outputs)] = NOTHING
    taps = np.where((output >= 0).any(0), taps, NOTHING)
    place = np.broadcast_to(rows[:, None, None], (inputs, 1, kernel))
    return Axis(taps[None, :], place, output)
