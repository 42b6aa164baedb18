from dataclasses import replace

import pytest
import torch

from esca.graph import evaluate
from esca.graph.ops import Conv2d, ConvTranspose2d
from esca.quantization.learning.units import units


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("variant", ["base", "res", "bilinear", "warp"])
def test_blocks_hold_every_convolution_once_and_compute_what_the_graph_does(
    traced_avatar, variant: str, layers: int
) -> None:
    graph = traced_avatar(variant).graph.leading_to(("texture",))
    blocks = units(graph, layers)
    convolutions = [n.name for n in graph.weighted if isinstance(n.op, Conv2d | ConvTranspose2d)]
    assert sorted(name for block in blocks for name in block.weighted) == sorted(convolutions)
    assert max(len(block.weighted) for block in blocks) <= layers
    if variant == "base":
        assert len(blocks) == len(convolutions) // layers
    generator = torch.Generator().manual_seed(4)
    feeds = {
        "z": torch.randn(1, 16, generator=generator),
        "view": torch.randn(1, 3, generator=generator),
    }
    wanted = {name for block in blocks for name in (block.target, *block.inputs)}
    known = evaluate(replace(graph, outputs={name: name for name in wanted}), feeds)
    for block in blocks:
        got = evaluate(block.graph, {name: known[name] for name in block.inputs})
        assert torch.allclose(got[block.target], known[block.target], atol=1e-5)
        assert set(block.read) <= {node.name for node in block.graph.nodes}


def test_only_transposed_convolutions_where_they_are_asked_for(decoder) -> None:
    blocks = units(decoder("residual"), 1, transposed_only=True)
    assert [block.weighted for block in blocks] == [("conv1",), ("conv2",), ("conv3",)]


def test_what_others_read_ends_a_block(decoder) -> None:
    # The residual layer reads what conv1 writes, and the sum reads it as well.
    blocks = units(decoder("residual"), 3)
    assert [block.weighted for block in blocks] == [("conv1",), ("res", "conv2", "conv3")]
