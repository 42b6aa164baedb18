"""Encoder, decoder, warp field and colour correction of a MultiFace avatar."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from esca.avatars.blocks import DownStage, UpStage, lrelu
from esca.avatars.config import GROWTH, AvatarConfig
from esca.avatars.normed import NormedLinear

HIDDEN = 256
VIEW_CODE = 8
WARP_GRID = 512
"""Largest side that the warp decoder computes itself; a larger texture gets it upsampled."""


class TextureEncoder(nn.Module):
    """Average texture to features: eight halvings, then flat."""

    def __init__(self, config: AvatarConfig) -> None:
        super().__init__()
        residual = config.variant == "res"
        widths = (3, 16, 32, 64, 128)
        self.downsample = nn.Sequential(
            *(DownStage(cin, cout, residual=residual) for cin, cout in pairwise(widths))
        )

    def forward(self, texture: Tensor) -> Tensor:
        """(B, 3, T, T) to (B, 128 (T / 256)^2)."""
        features = self.downsample(texture)
        return features.reshape(features.shape[0], -1)


class Encoder(nn.Module):
    """Average texture and mesh to the parameters of the code's distribution, unscaled."""

    def __init__(self, config: AvatarConfig) -> None:
        super().__init__()
        self.latent = config.latent
        self.texture_encoder = TextureEncoder(config)
        self.texture_fc = NormedLinear(128 * config.start**2, HIDDEN)
        self.mesh_fc = NormedLinear(3 * config.vertices, HIDDEN)
        self.fc = NormedLinear(2 * HIDDEN, 2 * config.latent)

    def forward(self, texture: Tensor, mesh: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 3, T, T) and (B, 3V), both normalized, to two (B, latent)."""
        texture_code = lrelu(self.texture_fc(self.texture_encoder(texture)))
        mesh_code = lrelu(self.mesh_fc(mesh))
        code = self.fc(torch.cat((texture_code, mesh_code), 1))
        return code[:, : self.latent], code[:, self.latent :]


class TextureDecoder(nn.Module):
    """Features to texture: eight doublings."""

    def __init__(self, config: AvatarConfig) -> None:
        super().__init__()
        widths = ((config.latent, config.latent, 64), (64, 64, 32), (32, 32, 16), (16, 16, 3))
        self.upsample = nn.Sequential(
            *(
                UpStage(
                    channels,
                    config.start * 4**index,
                    texel=config.variant != "non",
                    nearest=config.variant == "bilinear",
                    residual=config.variant == "res",
                    last=index == 3,
                )
                for index, channels in enumerate(widths)
            )
        )

    def forward(self, features: Tensor) -> Tensor:
        """(B, latent, T / 256, T / 256) to (B, 3, T, T)."""
        return self.upsample(features)


class Decoder(nn.Module):
    """Code and view direction to texture and mesh."""

    def __init__(self, config: AvatarConfig) -> None:
        super().__init__()
        self.shape = (config.latent, config.start, config.start)
        self.texture_decoder = TextureDecoder(config)
        self.view_fc = NormedLinear(3, VIEW_CODE)
        self.z_fc = NormedLinear(config.latent, HIDDEN)
        self.mesh_fc = NormedLinear(HIDDEN, 3 * config.vertices)
        self.texture_fc = NormedLinear(HIDDEN + VIEW_CODE, config.latent * config.start**2)

    def forward(self, z: Tensor, view: Tensor) -> tuple[Tensor, Tensor]:
        """(B, latent) and (B, 3) to (B, 3, T, T) and (B, 3V), both normalized."""
        view_code = lrelu(self.view_fc(view))
        z_code = lrelu(self.z_fc(z))
        features = lrelu(self.texture_fc(torch.cat((view_code, z_code), 1)))
        texture = self.texture_decoder(features.reshape(-1, *self.shape))
        return texture, self.mesh_fc(z_code)


class WarpField(nn.Module):
    """Code to a field of offsets, about a texel each, that moves the decoded texture.

    ``upsample`` holds four stages from ``warp_start`` (2x2; 1x1 at 256), then at place 4 the
    upsampling to the texture's size (nothing at 256 and 512, which the stages reach themselves) and
    at place 5 a plain convolution to two channels, x and y. ``normal_grid`` (1, 2, T, T) holds
    linspace(-1, 1) along x and along y, a constant of the architecture.
    """

    normal_grid: Tensor

    def __init__(self, config: AvatarConfig) -> None:
        super().__init__()
        self.texture_size = config.texture_size
        start = config.warp_start
        self.shape = (HIDDEN, start, start)
        self.mlp = nn.Sequential(
            NormedLinear(config.latent, HIDDEN),
            nn.LeakyReLU(0.2),
            NormedLinear(HIDDEN, HIDDEN * start**2),
            nn.LeakyReLU(0.2),
        )
        widths = ((HIDDEN, 128, 128), (128, 128, 64), (64, 64, 32), (32, 32, 16))
        reached = start * GROWTH
        assert reached == min(config.texture_size, WARP_GRID)
        self.upsample = nn.Sequential(
            *(UpStage(channels, start * 4**index) for index, channels in enumerate(widths)),
            nn.Identity()
            if reached == config.texture_size
            else nn.Upsample(size=config.texture_size, mode="bilinear"),
            nn.Conv2d(16, 2, kernel_size=3, padding=1),
        )
        self.register_buffer("normal_grid", normal_grid(config.texture_size))

    def grid(self, z: Tensor) -> Tensor:
        """(B, latent) to sampling positions (B, 2, T, T), x then y, in [-1, 1] over the texture."""
        features = self.mlp(z).reshape(-1, *self.shape)
        return self.upsample(features) / self.texture_size + self.normal_grid

    def forward(self, z: Tensor, texture: Tensor) -> Tensor:
        """(B, latent) and (B, 3, T, T) to the moved texture (B, 3, T, T)."""
        grid = self.grid(z).permute(0, 2, 3, 1)
        return functional.grid_sample(
            texture, grid, mode="bilinear", padding_mode="zeros", align_corners=False
        )


def normal_grid(size: int) -> Tensor:
    """(1, 2, size, size): linspace(-1, 1) along x (channel 0) and along y (channel 1)."""
    line = torch.linspace(-1.0, 1.0, size)
    return torch.stack(torch.meshgrid(line, line, indexing="xy"))[None]


class ColourCorrection(nn.Module):
    """Affine colours per camera: ``texture * w + b``; camera 0 is anchored to (1, 0)."""

    weight_anchor: Tensor
    bias_anchor: Tensor

    def __init__(self, cameras: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(cameras - 1, 3, 1, 1))
        self.bias = nn.Parameter(torch.zeros(cameras - 1, 3, 1, 1))
        self.register_buffer("weight_anchor", torch.ones(1, 3, 1, 1))
        self.register_buffer("bias_anchor", torch.zeros(1, 3, 1, 1))

    def forward(self, texture: Tensor, camera_index: Tensor) -> Tensor:
        """(B, 3, T, T) textures and (B,) camera numbers, in the order of ``KRT``."""
        weight = torch.cat((self.weight_anchor, self.weight))[camera_index]
        bias = torch.cat((self.bias_anchor, self.bias))[camera_index]
        return torch.addcmul(bias, texture, weight)
