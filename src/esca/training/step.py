"""The losses of one batch."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from esca.avatars import Avatar
from esca.captures import Topology
from esca.captures.normalize import (
    denormalize_texture,
    denormalize_vertices,
    normalize_texture,
    normalize_vertices,
)
from esca.rendering.differentiable import screen_colours
from esca.rendering.raster import rasterize
from esca.training.config import TrainConfig
from esca.training.data import Batch, Statistics
from esca.training.losses import kl_divergence, screen_loss, texture_loss, vertex_loss


class Losses(NamedTuple):
    """The weighted sum and its four terms before weighting; ``screen`` is None when off."""

    total: Tensor
    vertices: Tensor
    texture: Tensor
    screen: Tensor | None
    kl: Tensor


def batch_losses(
    avatar: Avatar,
    batch: Batch,
    statistics: Statistics,
    topology: Topology,
    config: TrainConfig,
    noise: Tensor,
) -> Losses:
    """Losses of ``batch``; ``noise``: (B, latent) standard normal, for ``mean + std * noise``."""
    size = config.texture_size
    mean, std = statistics.texture_mean, statistics.texture_std
    average, _ = normalize_texture(batch.average, mean, std, size)
    target, mask = normalize_texture(batch.texture, mean, std, size)
    mesh = normalize_vertices(batch.vertices, statistics.vertex_mean, statistics.vertex_std)

    code = avatar.encode(average, mesh)
    z = code.mean + code.logstd.exp() * noise
    texture, predicted_mesh = avatar.decoder(z, batch.view)
    texture = avatar.colour(texture, batch.camera)

    vertices = vertex_loss(predicted_mesh, mesh)
    texels = texture_loss(texture, target, mask)
    kl = kl_divergence(code.mean, code.logstd)
    total = config.vertex_weight * vertices + config.texture_weight * texels + config.kl_weight * kl
    screen = None
    if config.screen:
        screen = _batch_screen_loss(texture, predicted_mesh, batch, statistics, topology)
        total = total + config.screen_weight * screen
    return Losses(total, vertices, texels, screen, kl)


def bled(texture: Tensor, border: Tensor) -> Tensor:
    """(B, C, T, T) with the texels ``border[0]`` replaced by those numbered ``border[1]``.

    Bilinear lookups at a chart's border then mix in nothing that the texture loss never saw; the
    gradient goes to the sources.
    """
    flat = texture.flatten(2)
    return flat.index_copy(2, border[0], flat[:, :, border[1]]).reshape(texture.shape)


def _batch_screen_loss(
    texture: Tensor, mesh: Tensor, batch: Batch, statistics: Statistics, topology: Topology
) -> Tensor:
    """Mean over the batch of the screen loss, with visibility from the predicted vertices."""
    std = statistics.texture_std
    colours = bled(denormalize_texture(texture, statistics.texture_mean, std), statistics.border)
    positions = denormalize_vertices(mesh, statistics.vertex_mean, statistics.vertex_std)
    positions = positions.reshape(len(mesh), -1, 3)
    if not positions.isfinite().all():
        return positions.new_tensor(math.nan)  # the trainer says at which step
    terms = []
    for index, photo in enumerate(batch.photo):
        rows, columns = photo.shape[1:]
        projection = batch.projection[index]
        raster = rasterize(
            positions[index].detach().cpu().double().numpy(),
            topology.faces,
            projection.cpu().numpy(),
            (rows, columns),
        )
        seen = torch.from_numpy(raster.triangle).to(photo.device)
        where = (seen >= 0).nonzero()
        triangles = seen[where[:, 0], where[:, 1]]
        pixels = where.flip(1) + 0.5
        rendered = screen_colours(
            colours[index], positions[index], triangles, pixels, projection, topology
        )
        with torch.no_grad():
            weight = screen_colours(
                statistics.weight, positions[index], triangles, pixels, projection, topology
            )
        truth = photo[:, where[:, 0], where[:, 1]].T.float()
        terms.append(screen_loss(rendered, truth, weight, std, rows * columns))
    return torch.stack(terms).mean()
