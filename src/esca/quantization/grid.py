"""Integer grids of activations: affine, static, one for a whole tensor."""

from dataclasses import dataclass

import torch
from torch import Tensor

from esca.errors import EscaError

ACTIVATION_BITS = range(2, 17)


@dataclass(frozen=True)
class Grid:
    """``real = scale * (integer - zero_point)`` with integers 0 .. 2^bits - 1.

    Zero is always on the grid, so padding and missing texels are exact.
    """

    scale: float
    zero_point: int
    bits: int

    def __post_init__(self) -> None:
        if self.bits not in ACTIVATION_BITS:
            raise EscaError(f"grid: bits is {self.bits}, expected 2 to 16")
        if not self.scale > 0:
            raise EscaError(f"grid: scale is {self.scale}, expected a positive number")
        if not 0 <= self.zero_point <= self.top:
            raise EscaError(f"grid: zero_point is {self.zero_point}, expected 0 to {self.top}")

    @property
    def top(self) -> int:
        """Largest integer."""
        return int(2**self.bits - 1)

    def quantize(self, real: Tensor) -> Tensor:
        """Nearest integers (half up), clamped; int32."""
        scaled = torch.floor(real.double() / self.scale + 0.5) + self.zero_point
        return scaled.clamp(0, self.top).to(torch.int32)

    def dequantize(self, integers: Tensor) -> Tensor:
        """Real values, float32."""
        return (integers - self.zero_point).float() * self.scale

    def fake(self, real: Tensor) -> Tensor:
        """Quantize and dequantize in float32."""
        steps = torch.floor(real / self.scale + 0.5).clamp(
            -self.zero_point, self.top - self.zero_point
        )
        return steps * self.scale


def grid_of_range(low: float, high: float, bits: int) -> Grid:
    """The grid that spans [min(low, 0), max(high, 0)], or [0, 1] where both are zero."""
    if bits not in ACTIVATION_BITS:
        raise EscaError(f"grid: bits is {bits}, expected 2 to 16")
    low, high = min(low, 0.0), max(high, 0.0)
    top = 2**bits - 1
    # Steps of next to nothing would ask for requantization factors that no integer holds.
    scale = (high - low if high - low > 1e-12 else 1.0) / top
    zero_point = min(max(round(-low / scale), 0), top)
    return Grid(scale, zero_point, bits)


def search_range(
    centres: Tensor, counts: Tensor, low: float, high: float, bits: int, steps: int, power: float
) -> tuple[float, float]:
    """Clipping bounds that minimize ``sum counts |x - Q(x)|^power`` over shrunk ranges.

    ``centres``, ``counts``: (N,) histogram of the tensor. Each bound shrinks from 100% to 20% of
    its extreme: first both together, then either alone around the best (``steps`` each).
    """
    centres, counts = centres.double(), counts.double()
    factors = torch.linspace(1.0, 0.2, steps, dtype=torch.float64)

    def best(lows: Tensor, highs: Tensor) -> tuple[float, float]:
        spans = (highs - lows).clamp_min(1e-12) / (2**bits - 1)
        zero = torch.round(-lows / spans)
        integers = torch.round(centres[None] / spans[:, None]) + zero[:, None]
        clipped = integers.clamp(0, 2**bits - 1)
        restored = (clipped - zero[:, None]) * spans[:, None]
        error = ((centres[None] - restored).abs() ** power * counts[None]).sum(1)
        index = int(error.argmin())
        return float(lows[index]), float(highs[index])

    low, high = min(low, 0.0), max(high, 0.0)
    if high - low <= 0:
        return low, high
    b_low, b_high = best(low * factors, high * factors)
    b_low, b_high = best(low * factors, torch.full_like(factors, b_high))
    return best(torch.full_like(factors, b_low), high * factors)


def dobi_range(
    centres: Tensor, counts: Tensor, low: float, high: float, bits: int, steps: int = 100
) -> tuple[float, float]:
    """Bounds that minimize ``||x - Q(x)||``, both shrunk by ``i / steps`` for i in 0 .. steps - 1.

    The search of 2DQuant (arXiv 2406.06649); arguments as for :func:`search_range`.
    """
    centres, counts = centres.double(), counts.double()
    low, high = min(low, 0.0), max(high, 0.0)
    if high - low <= 0:
        return low, high
    errors = []
    factors = [1 - step / steps for step in range(steps)]
    for factor in factors:
        grid = grid_of_range(low * factor, high * factor, bits)
        errors.append(float(((centres - grid.fake(centres)) ** 2 * counts).sum()))
    best = factors[errors.index(min(errors))]
    return low * best, high * best
