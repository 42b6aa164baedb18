"""Quantized graphs to export, made once: from the traced avatars and from the tiny decoder."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import pytest
import torch

from esca.graph import Graph
from esca.quantization.quantize import QuantizedGraph, quantize
from esca.quantization.recipe import Override, Recipe, load_recipe
from esca.quantization.statistics import TexelMaps, collect


def codes(latent: int, frames: int, seed: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    view = torch.randn(frames, 3, generator=generator)
    return {
        "z": torch.randn(frames, latent, generator=generator),
        "view": view / view.norm(dim=1, keepdim=True),
    }


def quantized_graph(graph: Graph, recipe: Recipe) -> QuantizedGraph:
    latent = graph.by_name["z"].shape[0]
    feeds = codes(latent, 4, 5)
    return quantize(graph, collect(graph, lambda: [feeds], TexelMaps(), ()), recipe)


def recipe_of(bits: str) -> Recipe:
    if bits == "mixed":
        override = Override("*upsample.3.*", 8, 8)
        return replace(load_recipe("rtn", "w4a4"), overrides=(override,))
    return load_recipe("rtn", bits)


@pytest.fixture(scope="session")
def quantized(traced_avatar) -> Callable[[str, str], QuantizedGraph]:
    """(variant, bits) -> the avatar's decoder; bits may be ``mixed``."""

    @cache
    def made(variant: str, bits: str) -> QuantizedGraph:
        return quantized_graph(traced_avatar(variant).graph, recipe_of(bits))

    return made


@pytest.fixture(scope="session")
def feeds() -> Callable[..., dict[str, torch.Tensor]]:
    return codes


@pytest.fixture(scope="session")
def made() -> Callable[[Graph, Recipe], QuantizedGraph]:
    return quantized_graph
