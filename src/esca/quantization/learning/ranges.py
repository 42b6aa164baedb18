"""Activation steps and clipping bounds that learn: LSQ and 2DQuant's bounds."""

import torch
from torch import Tensor, nn

from esca.graph.ops import Weighted
from esca.quantization.grid import Grid
from esca.quantization.learning.straight_through import round_within, snap
from esca.quantization.learning.student import scale_places
from esca.quantization.weights import QuantizedWeight

_LEAST = 0.05
"""Bounds and steps never shrink below this share of their start."""


class LearnedStep(nn.Module):
    """LSQ (arXiv 1902.08153): a grid whose step learns and whose zero point stays.

    ``share``: (1,), of the step at the start. Its gradient is divided by ``sqrt(N Qmax)``, N being
    the values of one sample.
    """

    def __init__(self, grid: Grid) -> None:
        super().__init__()
        self.grid = grid
        self.share = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        """``x`` on the grid."""
        share = self.share.clamp_min(_LEAST)
        factor = (x[0].numel() * self.grid.top) ** -0.5
        share = share * factor + (share * (1 - factor)).detach()
        zero = torch.full((1,), float(self.grid.zero_point))
        return snap(x, share * self.grid.scale, zero, self.grid.top)

    def frozen(self) -> Grid:
        """The grid as it is stored."""
        share = float(self.share.detach().clamp_min(_LEAST))
        return Grid(self.grid.scale * share, self.grid.zero_point, self.grid.bits)


class LearnedBounds(nn.Module):
    """2DQuant (arXiv 2406.06649): a grid whose two bounds learn. ``shares``: (2,), of the start."""

    def __init__(self, grid: Grid) -> None:
        super().__init__()
        self.grid = grid
        self.low = -grid.zero_point * grid.scale
        self.high = (grid.top - grid.zero_point) * grid.scale
        self.shares = nn.Parameter(torch.ones(2))

    def scale_and_zero(self) -> tuple[Tensor, Tensor]:
        """Step and zero point, (1,) each."""
        low, high = (self.shares.clamp_min(_LEAST) * torch.tensor([self.low, self.high])).split(1)
        scale = (high - low) / self.grid.top
        return scale, -low / scale

    def forward(self, x: Tensor) -> Tensor:
        """``x`` on the grid."""
        return snap(x, *self.scale_and_zero(), self.grid.top)

    @torch.no_grad()
    def frozen(self) -> Grid:
        """The grid as it is stored."""
        scale, zero = self.scale_and_zero()
        return Grid(float(scale), int(torch.round(zero)), self.grid.bits)


class BoundedWeight(nn.Module):
    """Weights rounded to nearest between symmetric bounds that learn, one pair a scale.

    ``shares``: of the bounds at the start, in the shape of the scales.
    """

    def __init__(self, op: Weighted, stored: QuantizedWeight, wanted: Tensor) -> None:
        super().__init__()
        self.stored, self.wanted = stored, wanted
        self.limit = 2 ** (stored.bits - 1) - 1
        self.place = scale_places(op, stored.scale)
        self.shares = nn.Parameter(torch.ones_like(stored.scale))

    def scale(self) -> Tensor:
        """Current scales, shaped like the stored ones."""
        return self.stored.scale * self.shares.clamp_min(_LEAST)

    def integers(self) -> Tensor:
        """Nearest integers, with straight-through gradients."""
        unit = self.scale().reshape(-1)[self.place]
        return round_within(self.wanted / unit, self.limit)

    def forward(self) -> Tensor:
        """Dequantized weights."""
        return self.integers() * self.scale().reshape(-1)[self.place]

    @torch.no_grad()
    def frozen(self) -> QuantizedWeight:
        """The weights as they are stored."""
        values = self.integers().round().to(torch.int8)
        return QuantizedWeight(values, self.scale().clone(), self.stored.bits)
