"""First values of an avatar's parameters."""

import math

import torch
from torch import nn

from esca.avatars.blocks import SLOPE, Doubling
from esca.avatars.networks import ColourCorrection, Decoder, Encoder, WarpField, normal_grid
from esca.avatars.normed import NormedConv2d, NormedConvTranspose2d, NormedLinear

Weighted = nn.Linear | nn.Conv2d | nn.ConvTranspose2d

GAIN = math.sqrt(2 / (1 + SLOPE**2))


def initialize(module: nn.Module, seed: int) -> None:
    """Set every parameter and buffer of ``module`` in place, from ``seed`` alone.

    Glorot uniform with the gain of LeakyReLU(0.2), or 1 where no activation follows; a transposed
    convolution starts with four equal taps per 2x2 group, so as nearest upsampling does; gains
    ``g`` start at the weight's norm, so that the effective weight is the weight itself.
    """
    generator = torch.Generator().manual_seed(seed)
    plain = {id(layer) for layer in _without_activation(module)}
    with torch.no_grad():
        for layer in module.modules():
            if isinstance(layer, Weighted):
                gain = 1.0 if id(layer) in plain else GAIN
                _glorot(layer, gain, generator)
            elif isinstance(layer, Doubling):
                layer.bias.zero_()
            elif isinstance(layer, ColourCorrection):
                layer.weight.fill_(1)
                layer.bias.zero_()
                layer.weight_anchor.fill_(1)
                layer.bias_anchor.zero_()
            elif isinstance(layer, WarpField):
                layer.normal_grid.copy_(normal_grid(layer.texture_size))


def _without_activation(module: nn.Module) -> list[nn.Module]:
    """Layers whose output no activation follows and that start with gain 1.

    The texture's last convolution keeps the gain of the others, as in the public models.
    """
    found: list[nn.Module] = []
    for layer in module.modules():
        if isinstance(layer, Encoder):
            found.append(layer.fc)
        elif isinstance(layer, Decoder):
            found.append(layer.mesh_fc)
        elif isinstance(layer, WarpField):
            found.append(layer.upsample[5])
    return found


def _glorot(layer: Weighted, gain: float, generator: torch.Generator) -> None:
    """Uniform weights of variance ``2 gain^2 / ((fan in + fan out) taps)``, bias 0."""
    weight = layer.weight
    taps = math.prod(weight.shape[2:])
    if isinstance(layer, nn.ConvTranspose2d):
        taps //= 4  # of its 4x4 taps, each output texel sees 2x2
    bound = gain * math.sqrt(6 / ((weight.shape[0] + weight.shape[1]) * taps))
    weight.uniform_(-bound, bound, generator=generator)
    if isinstance(layer, nn.ConvTranspose2d):
        weight.copy_(weight[:, :, ::2, ::2].repeat_interleave(2, 2).repeat_interleave(2, 3))
    assert layer.bias is not None
    layer.bias.zero_()
    if isinstance(layer, NormedLinear | NormedConv2d | NormedConvTranspose2d):
        layer.g.fill_(float(weight.square().sum().sqrt()))


def randomize_biases(module: nn.Module, generator: torch.Generator) -> None:
    """Add a tenth of normal noise to every bias, in place: first values are zeros, which would test
    nothing.
    """
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if name.endswith("bias"):
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
