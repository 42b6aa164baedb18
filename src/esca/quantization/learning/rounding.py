"""AdaRound: weights that learn whether to round up or down (arXiv 2004.10568)."""

import torch
from torch import Tensor, nn

from esca.graph.ops import Weighted
from esca.quantization.learning.student import scale_places
from esca.quantization.weights import QuantizedWeight

STRETCH, SHIFT = 1.2, -0.1
"""The sigmoid is stretched and shifted, so that 0 and 1 are reached."""


class SoftRounding(nn.Module):
    """``scale * clamp(floor(w / scale) + h)`` with a learned h in [0, 1] for every weight.

    ``stored`` gives bits and scales, ``wanted`` the float weights. At the start h is what rounding
    down cuts off, so the soft weights are the float ones wherever the grid reaches.
    """

    def __init__(self, op: Weighted, stored: QuantizedWeight, wanted: Tensor) -> None:
        super().__init__()
        self.stored, self.limit = stored, 2 ** (stored.bits - 1) - 1
        self.unit = stored.scale.reshape(-1)[scale_places(op, stored.scale)]
        steps = wanted / self.unit
        self.below = torch.floor(steps)
        share = (steps - self.below - SHIFT) / STRETCH
        self.alpha = nn.Parameter(torch.logit(share))

    def soft(self) -> Tensor:
        """The rectified sigmoid h."""
        return (STRETCH * torch.sigmoid(self.alpha) + SHIFT).clamp(0, 1)

    def forward(self) -> Tensor:
        """Soft weights, in the operator's layout."""
        return (self.below + self.soft()).clamp(-self.limit, self.limit) * self.unit

    def regularizer(self, power: float) -> Tensor:
        """``sum(1 - |2 h - 1|^power)``: 0 where every h is 0 or 1."""
        return (1 - (2 * self.soft() - 1).abs() ** power).sum()

    @torch.no_grad()
    def frozen(self) -> QuantizedWeight:
        """The weights as they are stored: each h at the nearer of 0 and 1."""
        up = (self.soft() >= 0.5).float()
        values = (self.below + up).clamp(-self.limit, self.limit).to(torch.int8)
        return QuantizedWeight(values, self.stored.scale, self.stored.bits)


def annealed(progress: float, warm_up: float, start: float = 20.0, end: float = 2.0) -> float:
    """Power of the regularizer at a share ``progress`` of the steps: linear after the warm-up."""
    share = max(0.0, (progress - warm_up) / (1 - warm_up))
    return start + (end - start) * min(1.0, share)
