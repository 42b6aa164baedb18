"""Multiplying integers by real factors with an integer multiply and a shift."""

from dataclasses import dataclass

import torch
from torch import Tensor

from esca.errors import EscaError

MANTISSA_BITS = 17
"""Factors are held as 17-bit magnitudes, so that an 18 x 18 multiplier takes them with sign."""

MAX_SHIFT = 62


@dataclass(frozen=True, eq=False)
class FixedPoint:
    """Real factors ``mantissa * 2^-shift``; int64 tensors of one shape, mantissa < 2^17."""

    mantissa: Tensor
    shift: Tensor

    def times(self, integers: Tensor) -> Tensor:
        """``round_half_up(integers * factor)``, int64; broadcasts."""
        half = torch.ones_like(self.shift) << (self.shift - 1)
        return (integers.long() * self.mantissa).add_(half).bitwise_right_shift_(self.shift)


def fixed_point(real: Tensor) -> FixedPoint:
    """The nearest representable factors of a float tensor; the relative error is below 2^-17.

    Raises :class:`EscaError` for factors that are not finite or not below 2^16.
    """
    factor = real.double()
    if not bool(torch.isfinite(factor).all()):
        raise EscaError("fixed point: a requantization factor is not finite")
    mantissa, exponent = torch.frexp(factor)
    scaled = torch.round(mantissa * 2**MANTISSA_BITS).long()
    shift = MANTISSA_BITS - exponent.long()
    overflow = scaled.abs() == 2**MANTISSA_BITS
    scaled = torch.where(overflow, scaled // 2, scaled)
    shift = torch.where(overflow, shift - 1, shift)
    zero = (scaled == 0) | (shift > MAX_SHIFT)
    scaled = torch.where(zero, torch.zeros_like(scaled), scaled)
    shift = torch.where(zero, torch.ones_like(shift), shift)
    if bool((shift < 1).any()):
        raise EscaError("fixed point: a requantization factor is 2^16 or more")
    return FixedPoint(scaled, shift)
