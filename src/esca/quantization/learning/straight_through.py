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
    """Few passes over the values each way, none through booleans, which CPUs are slow at: feature
    maps are large and the passes cost the time.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, zero: Tensor, top: int) -> Tensor:
        unit, low = float(scale), -float(torch.round(zero))
        snapped = x.div(unit).add_(0.5).floor_().clamp_(low, low + top).mul_(unit)
        ctx.save_for_backward(x, snapped)
        ctx.unit, ctx.low, ctx.high = unit, low, low + top
        ctx.shapes = scale.shape, zero.shape
        return snapped

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        x, snapped = ctx.saved_tensors
        # Beyond half a step from the nearest integer, the value was clipped.
        passed = _inside(grad, x, (ctx.low - 0.5) * ctx.unit, (ctx.high + 0.5) * ctx.unit)
        # d(scale q)/d(scale) is the rounding error inside and the bound itself outside.
        to_scale = (_dot(grad, snapped) - _dot(passed, x)) / ctx.unit
        to_zero = (passed.sum() - grad.sum()) * ctx.unit
        return passed, to_scale.reshape(ctx.shapes[0]), to_zero.reshape(ctx.shapes[1]), None


class _RoundWithin(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, limit: int) -> Tensor:
        ctx.save_for_backward(x)
        ctx.limit = limit
        return x.clamp(-limit, limit).add_(0.5).floor_()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        return _inside(grad, x, -ctx.limit, ctx.limit), None


class _SharesGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, maps: Tensor, bias: Tensor) -> Tensor:
        ctx.per_channel = bias.dim() == 1
        return maps.view_as(maps)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        last = grad.movedim(1, -1)
        if ctx.per_channel:
            places = last.reshape(-1, last.shape[-1])
            return grad, places.new_ones(len(places)) @ places
        summed = last.reshape(len(last), -1).sum(0).reshape(last.shape[1:])
        return grad, summed.movedim(-1, 0)


def _inside(grad: Tensor, x: Tensor, low: float, high: float) -> Tensor:
    """``grad`` where ``low < x < high``, else 0, in one pass."""
    made: Tensor = torch.ops.aten.hardtanh_backward(grad, x, low, high)
    return made


def _dot(one: Tensor, other: Tensor) -> Tensor:
    if one.dim() == 4 and one.is_contiguous(memory_format=torch.channels_last):
        one, other = one.permute(0, 2, 3, 1), other.permute(0, 2, 3, 1)
    return torch.dot(one.reshape(-1), other.reshape(-1))


def snap(x: Tensor, scale: Tensor, zero: Tensor, top: int) -> Tensor:
    """``x`` on the grid ``scale * (q - round(zero))`` with q in 0 .. top, half up.

    ``scale`` and ``zero`` hold one value each. Gradients as in the module's text.
    """
    result: Tensor = _Snap.apply(x, scale, zero, top)
    return result


def round_within(x: Tensor, limit: int) -> Tensor:
    """Nearest integers (half up) in -limit .. limit; the gradient of the identity inside them."""
    result: Tensor = _RoundWithin.apply(x, limit)
    return result


def with_bias_gradient(maps: Tensor, bias: Tensor) -> Tensor:
    """``maps`` (B, C, ...) as they are, which hold a detached ``bias``: it gets its gradient.

    ``bias``: (C,) or (C, ...). Autograd's own sums over batch and places are slow where channels
    lie innermost.
    """
    result: Tensor = _SharesGradient.apply(maps, bias)
    return result
