"""Decoders of whole avatars with random weights, quantized: layers of real sizes to run."""

from dataclasses import replace

import torch

from esca.avatars import AvatarConfig, build_avatar
from esca.avatars.initialize import randomize_biases
from esca.quantization import Recipe, TexelMaps, collect, quantize
from esca.quantization.calibration import decoder_graph
from esca.quantization.quantize import QuantizedGraph
from esca.quantization.recipe import load_recipe

MIXED = "ffas-uv-distill-mixed"
"""The recipe that says where ``mixed`` bits, else w4a4, have activations of 8 bits."""


def random_avatar(config: AvatarConfig, bits: str, seed: int = 0) -> QuantizedGraph:
    """``bits``: ``w4a8``-like, of convolutions, or ``mixed``. EscaError for anything else."""
    recipe = Recipe(
        "random", range="minmax", weight_range="minmax", granularity="channel_phase"
    ).with_bits("w4a4" if bits == "mixed" else bits)
    if bits == "mixed":
        recipe = replace(recipe, overrides=load_recipe(MIXED, "w4a4").overrides)
    avatar = build_avatar(config, seed).eval().requires_grad_(False)
    generator = torch.Generator().manual_seed(seed)
    randomize_biases(avatar, generator)
    graph = decoder_graph(avatar)
    shapes = {"z": (avatar.latent,), "view": (3,)}
    feeds = {name: torch.randn(2, *shape, generator=generator) for name, shape in shapes.items()}
    return quantize(graph, collect(graph, lambda: [feeds], TexelMaps(), hessians=()), recipe)
