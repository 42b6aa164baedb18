"""Decoders of whole avatars with random weights, quantized: layers of real sizes to run."""

from dataclasses import replace

import torch

from esca.avatars import AvatarConfig, build_avatar
from esca.graph import trace
from esca.quantization import Recipe, TexelMaps, collect, quantize
from esca.quantization.quantize import QuantizedGraph
from esca.quantization.recipe import Override

MIXED = tuple(
    Override(f"*texture_decoder.upsample.{layer}.deconv", activations=8)
    for layer in ("0.conv1", "0.conv2", "1.conv1", "2.conv2", "3.conv2")
)
"""Where ``mixed`` bits, else w4a4, have activations of 8 bits."""


def random_avatar(config: AvatarConfig, bits: str, seed: int = 0) -> QuantizedGraph:
    """``bits``: ``w4a8``-like, of convolutions, or ``mixed``. EscaError for anything else."""
    recipe = Recipe(
        "random", range="minmax", weight_range="minmax", granularity="channel_phase"
    ).with_bits("w4a4" if bits == "mixed" else bits)
    if bits == "mixed":
        recipe = replace(recipe, overrides=MIXED)
    avatar = build_avatar(config, seed).eval().requires_grad_(False)
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in avatar.named_parameters():
        if name.endswith("bias"):  # first values are zeros, which would test nothing
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    shapes = {"z": (avatar.latent,), "view": (3,)}
    graph = trace(avatar.decoder, shapes, ("texture", "mesh"))
    feeds = {name: torch.randn(2, *shape, generator=generator) for name, shape in shapes.items()}
    return quantize(graph, collect(graph, lambda: [feeds], TexelMaps(), hessians=()), recipe)
