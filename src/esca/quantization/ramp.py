"""Texel biases that rise evenly, as those of sampling grids do: four integers a channel.

A grid starts from ``linspace(-1, 1)`` along both axes. Stored texel by texel it costs as much as
any other biases and is only as fine as its bits; told by its rise it costs nothing, and an epilogue
adds it up from one texel to the next instead of reading it.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

RAMP_BITS = 15
"""Fractional bits of a ramp. With values of 16 bits everything fits in int32."""


@dataclass(frozen=True, eq=False)
class Ramp:
    """Integers that rise evenly along rows and along columns.

    ``start`` and ``step``: (C, 2) int32 with RAMP_BITS fractional bits, rows first. The value at
    (y, x) is the whole part of ``start + y step`` of rows plus that of ``start + x step`` of
    columns, both rounded down.
    """

    start: Tensor
    step: Tensor

    def lines(self, height: int, width: int) -> tuple[Tensor, Tensor]:
        """What the row and what the column adds: (C, height) and (C, width), int32."""
        rows, columns = (
            (self.start[:, axis, None] + self.step[:, axis, None] * torch.arange(size)) >> RAMP_BITS
            for axis, size in enumerate((height, width))
        )
        return rows.to(torch.int32), columns.to(torch.int32)

    def values(self, height: int, width: int) -> Tensor:
        """(C, height, width) int32."""
        rows, columns = self.lines(height, width)
        return rows[:, :, None] + columns[:, None]


def fit_ramp(steps: Tensor, limit: int) -> Ramp | None:
    """The ramp that stays within one step of ``steps``, (C, H, W) reals of at most ``limit``.

    None where there is none: the values do not lie on planes.
    """
    real = steps.double()
    height, width = real.shape[1:]
    rise = [
        (real.select(axis, -1) - real.select(axis, 0)).mean(1) / max(size - 1, 1)
        for axis, size in ((1, height), (2, width))
    ]
    step = torch.stack(rise, 1)
    half_way = torch.tensor([height - 1, width - 1]) / 2
    start = -step * half_way
    start[:, 1] += real.mean((1, 2))
    one = 1 << RAMP_BITS
    # Half a step more, so that rounding down rounds to nearest.
    ramp = Ramp(
        torch.round((start + 0.5) * one).to(torch.int32), torch.round(step * one).to(torch.int32)
    )
    made = ramp.values(height, width)
    fits = int(made.abs().max()) <= limit and float((made - real).abs().max()) <= 1.0
    return ramp if fits else None
