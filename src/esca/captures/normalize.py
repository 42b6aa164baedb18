"""Normalization of textures and vertices, as avatars take them: pure functions on tensors.

Textures are (..., 3, T, T) in array orientation with values 0 to 255; vertices are (..., V, 3) or
(..., 3V) in mm. The mean has the shape of one element and the standard deviation is a scalar.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional


def channels_first(image: NDArray[np.generic]) -> Tensor:
    """(H, W, C) array of any type as a float32 (C, H, W) tensor; values stay as they are."""
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1), dtype=np.float32))


def resize(image: Tensor, size: int) -> Tensor:
    """(..., C, H, W) to (..., C, size, size), bilinear.

    Half-pixel centres, clamped at the border, no smoothing when shrinking: what the dataset's own
    reader does (OpenCV's ``INTER_LINEAR``).
    """
    if image.shape[-2:] == (size, size):
        return image
    flat = image.reshape(-1, *image.shape[-3:])
    resized = functional.interpolate(flat, (size, size), mode="bilinear", align_corners=False)
    return resized.reshape(*image.shape[:-2], size, size)


def normalize_texture(
    texture: Tensor, mean: Tensor, std: float, size: int | None = None
) -> tuple[Tensor, Tensor]:
    """Normalized texture and its mask, both (..., 3, size, size) float32.

    ``(texture - mean) / std``, where values that were exactly 0 (unseen) become 0, then resized to
    ``size`` (default: as it is). The mask is ``1 - resize(texture == 0)``, channel by channel: 1
    where a value was seen, 0 where not, between at resized borders.
    """
    values = texture.float()
    unseen = values == 0
    normalized = ((values - mean) / std).masked_fill(unseen, 0.0)
    mask = 1.0 - unseen.float()
    if size is None:
        return normalized, mask
    return resize(normalized, size), resize(mask, size)


def denormalize_texture(normalized: Tensor, mean: Tensor, std: float) -> Tensor:
    """Values 0 to 255 again (not clipped); ``mean`` is resized to the texture where it differs."""
    return normalized * std + resize(mean, normalized.shape[-1])


def normalize_vertices(vertices: Tensor, mean: Tensor, std: float) -> Tensor:
    """``(vertices - mean) / std`` in the shape of ``vertices``; ``mean`` holds 3V values."""
    return (vertices - _shaped(mean, vertices)) / std


def denormalize_vertices(normalized: Tensor, mean: Tensor, std: float) -> Tensor:
    """mm again, in the shape of ``normalized``; ``mean`` holds 3V values."""
    return normalized * std + _shaped(mean, normalized)


def _shaped(mean: Tensor, like: Tensor) -> Tensor:
    return mean.reshape(-1, 3) if like.shape[-1] == 3 else mean.reshape(-1)
