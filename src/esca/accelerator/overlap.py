"""Overlap-add: how sums of ``scatter`` lie in the banks of accumulators that hardware has.

An input meets all taps of a kernel, whose products belong to different outputs. The banks, as many
as columns, are ``lines`` x 4 places of a grid over the outputs of a channel, turned by the channel:

    bank(y, x, channel) = (y + channel) mod lines, (x + pixels * (channel // lines)) mod 4

so no two taps of a tile meet in one bank. The row of banks at one address holds ``pixels``
neighbouring outputs of as many channels as then have room, and is drained like the row of a mapping
that gathers. A unit's last outputs are not complete: they are drained with the others, and carried
to the unit of the same channels below.
"""

from dataclasses import dataclass
from math import ceil

from esca.accelerator.workload import WorkLayer
from esca.errors import EscaError

KERNEL = 4
"""Side of the kernels that are built."""

MOST_STRIDE = 2
"""Constants of a channel's phases are held side by side."""

COLUMNS = (4, 8, 16)
"""Columns of an array whose banks add overlaps."""

PIPELINE_PLACES = 8
"""Places that a carried line has at least, so that what is carried is written when it is read."""


@dataclass(frozen=True)
class OverlapBanks:
    """Banks of a layer of so many output ``channels`` on ``columns``; ``together``: channels of a
    row of banks, those that are not there included, a power of two.
    """

    columns: int
    channels: int
    together: int

    @property
    def lines(self) -> int:
        """Rows of the kernel in a tile, and of banks."""
        return self.columns // KERNEL

    @property
    def pixels(self) -> int:
        """Neighbouring outputs of a channel in a row of banks."""
        return self.columns // self.together

    @property
    def channel_tiles(self) -> int:
        """Tiles of a channel's taps."""
        return KERNEL // self.lines

    def turn(self, channel: int) -> tuple[int, int]:
        """By how many banks (y, x) a channel is turned."""
        return channel % self.lines, channel // self.lines * self.pixels % KERNEL

    def bank(self, y: int, x: int, channel: int) -> int:
        """Where the sum of an output lies."""
        turn_y, turn_x = self.turn(channel)
        return (y + turn_y) % self.lines * KERNEL + (x + turn_x) % KERNEL

    @staticmethod
    def carried_lines(layer: WorkLayer) -> int:
        """Lines of outputs, at most, that wait for input rows below."""
        return KERNEL - layer.stride

    def length(self, width: int) -> int:
        """Rows of banks that a line of outputs takes."""
        return ceil(width / self.pixels)


def overlap_banks(layer: WorkLayer, columns: int) -> OverlapBanks:
    """On an array of ``columns``; EscaError, by field, for what is not built."""
    channels = layer.output.channels
    together = min(columns, 1 << (channels - 1).bit_length())
    where = f"layer {layer.name!r}: mapping scatter"
    if columns not in COLUMNS:
        raise EscaError(f"{where}: array.columns is {columns}, expected one of {COLUMNS}")
    if layer.kind != "conv_transpose2d" or layer.kernel != (KERNEL, KERNEL):
        raise EscaError(f"{where} is built for transposed kernels of {KERNEL} x {KERNEL} alone")
    if layer.stride > MOST_STRIDE:
        raise EscaError(f"{where} is built for strides of 1 and 2, not {layer.stride}")
    if layer.residual is not None or layer.ramps:
        raise EscaError(f"{where} is not built with a residual or a ramp")
    made = OverlapBanks(columns, channels, together)
    if together < made.lines or (channels < together and channels != 3):
        raise EscaError(f"{where} is not built for {channels} channels on {columns} columns")
    return made
