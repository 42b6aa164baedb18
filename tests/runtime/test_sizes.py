"""What a decoder weighs, counted from shapes alone, and held against real artifacts."""

from dataclasses import replace
from math import prod

import pytest
import torch

from esca.accelerator.shapes import decoder_shapes
from esca.accelerator.workload import stored_bytes
from esca.avatars import AvatarConfig
from esca.graph import Graph
from esca.graph.ops import GridSample, Linear, TexelBias
from esca.quantization import collect, quantize
from esca.quantization.recipe import Recipe, load_recipe
from esca.quantization.statistics import TexelMaps
from esca.runtime.artifact import Artifact, artifact_bytes, load_artifact, save_artifact

SMALL = load_recipe("ffas-uv-small")
RAMP_BYTES = 16  # a start and a step for rows and columns, of each channel


def counted(graph: Graph, recipe: Recipe) -> dict[str, int]:
    """Bytes by part of the graph's artifact, one scale an output channel."""
    parts = dict.fromkeys(("convolutions", "linear", "texel_biases", "biases", "scales"), 0)
    places = {node.inputs[1] for node in graph.nodes if isinstance(node.op, GridSample)}
    for node in graph.weighted:
        op, linear = graph.weight_op(node.name), isinstance(node.op, Linear)
        bits = recipe.bits_of(node.name, linear).weights
        part = "linear" if linear else "convolutions"
        parts[part] += stored_bytes(op.weight.numel(), bits)
        parts["biases"] += 4 * node.shape[0]
        parts["scales"] += 4 * node.shape[0]
    for node in graph.nodes:
        if isinstance(node.op, TexelBias):
            size = stored_bytes(prod(node.shape), recipe.texel_bias)
            parts["texel_biases"] += RAMP_BYTES * node.shape[0] if node.name in places else size
            parts["scales"] += 4 * node.shape[0]
    return parts


@pytest.mark.parametrize("variant", ["base", "warp"])
def test_the_count_is_that_of_an_artifact(variant: str, traced_avatar, tmp_path) -> None:
    graph = traced_avatar(variant).graph
    feeds = {"z": torch.randn(1, 16), "view": torch.randn(1, 3)}
    statistics = collect(graph, lambda: [feeds], TexelMaps(), hessians=())
    plain = Recipe("plain", range="minmax", weight_range="minmax")
    fields = ("smoothing", "rounding", "range", "weight_range")
    recipe = replace(SMALL, **{name: getattr(plain, name) for name in fields})
    quantized = quantize(graph, statistics, recipe)
    save_artifact(Artifact(quantized, {}), tmp_path / "a.esca")
    found = artifact_bytes(load_artifact(tmp_path / "a.esca").quantized)
    assert found == artifact_bytes(quantized) == counted(graph, recipe)
    shapes = decoder_shapes(AvatarConfig(variant, 256, 16, 50, 3))
    assert counted(shapes, recipe) == found
    # The rest of the file says what is where: names, shapes, grids, observed ranges.
    assert sum(found.values()) < (tmp_path / "a.esca").stat().st_size < sum(found.values()) + 60_000


@pytest.mark.parametrize(("variant", "bound"), [("base", 9.0e6), ("warp", 14.0e6)])
def test_bounds_at_1024(variant: str, bound: float) -> None:
    parts = counted(decoder_shapes(AvatarConfig(variant, 1024, 256, 7306, 38)), SMALL)
    assert sum(parts.values()) + 100_000 < bound
