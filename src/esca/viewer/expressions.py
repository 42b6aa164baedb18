"""Expressions as a few sliders: the principal directions of the codes of a capture."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from esca.errors import EscaError


@dataclass(frozen=True, eq=False)
class Expressions:
    """Principal directions of codes.

    ``mean``: (L,). ``directions``: (K, L) orthonormal, the one of most variance first, each with
    its largest value positive. ``deviations``: (K,) standard deviation of the codes along each.
    ``shares``: (K,) part of the codes' variance.
    """

    mean: Tensor
    directions: Tensor
    deviations: Tensor
    shares: Tensor

    def offset(self, settings: Sequence[float]) -> Tensor:
        """(L,) what sliders add to a code; ``settings`` in standard deviations, K at most."""
        if len(settings) > len(self.directions):
            raise EscaError(f"sliders: {len(settings)}, expected {len(self.directions)} at most")
        amounts = torch.tensor(list(settings), dtype=self.mean.dtype)
        count = len(settings)
        return (amounts * self.deviations[:count]) @ self.directions[:count]


def expressions(codes: Tensor, count: int) -> Expressions:
    """The ``count`` strongest directions of codes (N, L), fewer where N or L holds fewer.

    EscaError for fewer than two codes. Directions along which the codes do not vary are left out.
    """
    if codes.ndim != 2 or len(codes) < 2:
        raise EscaError(f"codes: shape {tuple(codes.shape)}, expected two or more of (N, L)")
    values = codes.double()
    mean = values.mean(0)
    _, singular, directions = torch.linalg.svd(values - mean, full_matrices=False)
    variances = singular.square() / (len(values) - 1)
    total = variances.sum().clamp_min(1e-30)
    kept = int((variances[:count] > 1e-12 * total).sum())
    directions = directions[:kept]
    largest = directions.gather(1, directions.abs().argmax(1, keepdim=True))
    directions = directions * largest.sign()
    return Expressions(
        mean.float(),
        directions.float(),
        variances[:kept].sqrt().float(),
        (variances[:kept] / total).float(),
    )
