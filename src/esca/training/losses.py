"""MultiFace's four losses, as pure functions; all in units of the normalized data."""

import torch
from torch import Tensor
from torch.nn import functional


def vertex_loss(predicted: Tensor, target: Tensor) -> Tensor:
    """Mean squared error of normalized vertices (B, 3V)."""
    return functional.mse_loss(predicted, target)


def texture_loss(predicted: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Mean over all texels of ``((predicted - target) mask)^2``, (B, 3, T, T) each."""
    return functional.mse_loss(predicted * mask, target * mask)


def kl_divergence(mean: Tensor, logstd: Tensor) -> Tensor:
    """KL of N(mean, exp(logstd)^2) from N(0, 1), averaged over (B, latent)."""
    return (torch.exp(2 * logstd) + mean.square() - 1 - 2 * logstd).mean() / 2


def screen_loss(predicted: Tensor, photo: Tensor, weight: Tensor, std: float, size: int) -> Tensor:
    """Mean over a picture of ``weight ((predicted - photo) / std)^2``.

    ``predicted`` and ``photo``: (P, 3) colours, 0 to 255, of the pixels that see the head;
    ``weight``: (P, 1). ``size``: pixels of the whole picture, whose background weighs 0.
    """
    return (((predicted - photo) / std).square() * weight).sum() / (3 * size)
