"""The avatar: encoder, decoder, warp field and colour correction under one roof."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from esca.avatars.config import AvatarConfig, Variant
from esca.avatars.initialize import initialize
from esca.avatars.networks import ColourCorrection, Decoder, Encoder, WarpField

MEAN_SCALE = 0.1
LOGSTD_SCALE = 0.01


class Code(NamedTuple):
    """Distribution of the latent code: ``mean`` and ``logstd``, (B, latent) each."""

    mean: Tensor
    logstd: Tensor


class AvatarEncoder(nn.Module):
    """(average texture (B, 3, T, T), mesh (B, 3V)) to (mean, logstd), (B, latent) each, scaled."""

    def __init__(self, enc: Encoder) -> None:
        super().__init__()
        self.enc = enc

    def forward(self, average_texture: Tensor, mesh: Tensor) -> tuple[Tensor, Tensor]:
        """Normalized inputs; see the class."""
        mean, logstd = self.enc(average_texture, mesh)
        return mean * MEAN_SCALE, logstd * LOGSTD_SCALE


class AvatarDecoder(nn.Module):
    """(z (B, latent), view (B, 3)) to (texture (B, 3, T, T), mesh (B, 3V)), both normalized.

    For ``warp`` the texture is the warped one. Colour correction is no part of it.
    """

    def __init__(self, dec: Decoder, warp: WarpField | None) -> None:
        super().__init__()
        self.dec = dec
        self.warp = warp

    def forward(self, z: Tensor, view: Tensor) -> tuple[Tensor, Tensor]:
        """``view``: unit vectors to the camera, head-aligned; see the class."""
        texture, mesh = self.dec(z, view)
        if self.warp is not None:
            texture = self.warp(z, texture)
        return texture, mesh


class Avatar(nn.Module):
    """A MultiFace avatar whose state dict has the public names (without ``module.``).

    ``Avatar(config)`` makes the structure only; :func:`build_avatar` also sets first values and
    :func:`esca.avatars.load_avatar` reads them. ``warp`` exists in variant ``warp`` only.
    """

    def __init__(self, config: AvatarConfig) -> None:
        super().__init__()
        self.config = config
        self.enc = Encoder(config)
        self.dec = Decoder(config)
        self.warp = WarpField(config) if config.variant == "warp" else None
        self.cc = ColourCorrection(config.cameras)

    @property
    def variant(self) -> Variant:
        """``base``, ``res``, ``non``, ``bilinear`` or ``warp``."""
        return self.config.variant

    @property
    def texture_size(self) -> int:
        """Texels along one side."""
        return self.config.texture_size

    @property
    def latent(self) -> int:
        """Length of the code z."""
        return self.config.latent

    @property
    def vertex_values(self) -> int:
        """3V, the values of one mesh."""
        return 3 * self.config.vertices

    @property
    def camera_count(self) -> int:
        """Cameras that the colour correction knows."""
        return self.config.cameras

    @property
    def encoder(self) -> nn.Module:
        """An :class:`AvatarEncoder` that shares this avatar's parameters."""
        return AvatarEncoder(self.enc)

    @property
    def decoder(self) -> nn.Module:
        """An :class:`AvatarDecoder` that shares this avatar's parameters."""
        return AvatarDecoder(self.dec, self.warp)

    def encode(self, average_texture: Tensor, mesh: Tensor) -> Code:
        """Distribution of the code of (B, 3, T, T) and (B, 3V), both normalized."""
        return Code(*self.encoder(average_texture, mesh))

    def colour(self, texture: Tensor, camera_index: Tensor) -> Tensor:
        """Textures (B, 3, T, T) in the colours of cameras (B,), numbered in the order of KRT."""
        return self.cc(texture, camera_index)

    @torch.no_grad()
    def colour_line(self, camera: int) -> tuple[Tensor, Tensor]:
        """Factor and offset, (3, 1, 1) each, of :meth:`colour` for one camera."""
        index = torch.tensor([camera])
        # It is affine, so two textures tell all of it.
        one, zero = (self.colour(torch.full((1, 3, 1, 1), v), index)[0] for v in (1.0, 0.0))
        return one - zero, zero


def structure(config: AvatarConfig) -> Avatar:
    """An avatar on the ``meta`` device: names and shapes without values."""
    with torch.device("meta"):
        return Avatar(config)


def build_avatar(config: AvatarConfig, seed: int) -> Avatar:
    """A fresh avatar, float32 on the CPU; the same ``seed`` gives the same values."""
    avatar = structure(config).to_empty(device="cpu")
    initialize(avatar, seed)
    return avatar
