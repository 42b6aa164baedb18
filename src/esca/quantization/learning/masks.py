"""POCA's mask: texels that are seen and whose channels do not deviate most."""

import torch
from torch import Tensor

from esca.quantization.statistics import resized


def seen(visibility: Tensor, size: tuple[int, int]) -> Tensor:
    """(H, W) bool: whether a view sees any part of a texel; ``visibility`` is (T, T)."""
    return resized(visibility, size) > 0


def outlier_free(maps: Tensor, share: float) -> Tensor:
    """(B, H, W) bool: all texels of each sample but the ``share`` of the largest deviation.

    ``maps``: (B, C, H, W). The deviation is the standard deviation across channels.
    """
    deviation = maps.std(1, unbiased=False).flatten(1)
    kept = deviation.shape[1] - round(share * deviation.shape[1])
    order = torch.argsort(deviation, dim=1, stable=True)[:, :kept]
    mask = torch.zeros_like(deviation, dtype=torch.bool)
    return mask.scatter_(1, order, True).reshape(len(maps), *maps.shape[2:])
