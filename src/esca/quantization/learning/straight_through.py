"""Rounding that lets gradients pass: the differentiable side of every grid.

LSQ (arXiv 1902.08153) and LSQ+ (arXiv 2004.09576): values inside the grid pass their gradient,
clipped values do not; the step learns from the rounding error inside and from the bound outside;
the zero point learns from clipped values alone.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


class _Snap(torch.autograd.Function):
    """One pass over the values each way; feature maps are large and the passes cost the time."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, zero: Tensor, top: int) -> Tensor:
        low = -torch.round(zero)
        steps = x / scale
        rounded = torch.floor(steps + 0.5).clamp_(low, low + top)
        ctx.save_for_backward(steps, rounded, scale)
        return rounded * scale

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        steps, rounded, scale = ctx.saved_tensors
        error = rounded - steps
        # Beyond half a step from the nearest integer, the value was clipped.
        inside = error.abs() <= 0.5
        passed = grad * inside
        # Inside d(scale q)/d(scale) is the rounding error, outside it is the bound itself.
        to_scale = (grad * torch.where(inside, error, rounded)).sum()
        to_zero = (passed.sum() - grad.sum()) * scale
        return passed, to_scale.reshape_as(scale), to_zero.reshape_as(scale), None


def snap(x: Tensor, scale: Tensor, zero: Tensor, top: int) -> Tensor:
    """``x`` on the grid ``scale * (q - round(zero))`` with q in 0 .. top, half up.

    ``scale`` and ``zero`` hold one value each. Gradients as in the module's text.
    """
    result: Tensor = _Snap.apply(x, scale, zero, top)
    return result


def round_through(x: Tensor) -> Tensor:
    """Nearest integers (half up) with the gradient of the identity."""
    return x + (torch.floor(x + 0.5) - x).detach()
