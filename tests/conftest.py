"""Graphs for all rooms: traced avatars, made once, and a tiny decoder made by hand."""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import pytest
import torch
from hypothesis import settings

from esca.avatars import Avatar, AvatarConfig, build_avatar
from esca.graph import Graph, Node, trace
from esca.graph.ops import (
    Add,
    Concat,
    Conv2d,
    ConvTranspose2d,
    Input,
    LeakyRelu,
    Linear,
    Reshape,
    TexelBias,
    Upsample,
)

# The same examples in every run: a suite that fails must fail again when it is run again.
settings.register_profile("esca", derandomize=True, deadline=None, print_blob=True)
settings.load_profile("esca")


class TracedAvatar(NamedTuple):
    avatar: Avatar
    graph: Graph


@cache
def _traced(variant: str) -> TracedAvatar:
    avatar = (
        build_avatar(AvatarConfig(variant, 256, 16, 50, 3), seed=3).eval().requires_grad_(False)
    )
    generator = torch.Generator().manual_seed(11)
    for name, parameter in avatar.named_parameters():
        if name.endswith("bias"):
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.1)
        elif name.endswith(".g"):
            parameter.mul_(1 + 0.2 * torch.rand(parameter.shape, generator=generator))
    shapes = {"z": (avatar.latent,), "view": (3,)}
    return TracedAvatar(avatar, trace(avatar.decoder, shapes, ("texture", "mesh")))


@pytest.fixture(scope="session")
def traced_avatar() -> Callable[[str], TracedAvatar]:
    """Variant -> an avatar of texture 256, latent 16 and 50 vertices, and its decoder's graph."""
    torch.set_num_threads(1)
    return _traced


def decoder_graph(variant: str = "plain", side: int = 2) -> Graph:
    """z, view -> texture (2, 8 side, 8 side), mesh (5,): like an avatar's decoder, but tiny.

    ``residual`` adds a residual convolution, ``upsample`` puts an enlargement behind the reshape.
    """
    generator = torch.Generator().manual_seed(7)

    def rand(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator) * 0.5

    nodes = [Node("z", Input(), (), (6,)), Node("view", Input(), (), (3,))]

    def add(name: str, op: object, inputs: str, *shape: int) -> str:
        nodes.append(Node(name, op, tuple(inputs.split()), shape))
        return name

    add("join", Concat(), "z view", 9)
    add("fc", Linear(rand(4 * side * side, 9), rand(4 * side * side)), "join", 4 * side * side)
    add("fc.act", LeakyRelu(0.2), "fc", 4 * side * side)
    last = add("map", Reshape((4, side, side)), "fc.act", 4, side, side)
    h = side
    if variant == "upsample":
        h *= 2
        last = add("up", Upsample(2, "nearest"), last, 4, h, h)
        add("conv1", Conv2d(rand(5, 4, 3, 3), rand(5), 1, 1), last, 5, h, h)
    else:
        h *= 2
        add("conv1", ConvTranspose2d(rand(4, 5, 4, 4), rand(5), 2, 1), last, 5, h, h)
    add("bias1", TexelBias(rand(5, h, h)), "conv1", 5, h, h)
    last = add("act1", LeakyRelu(0.2), "bias1", 5, h, h)
    if variant == "residual":
        add("res", Conv2d(rand(5, 5, 3, 3), rand(5), 1, 1), last, 5, h, h)
        add("sum", Add(), "res act1", 5, h, h)
        last = add("act.sum", LeakyRelu(0.2), "sum", 5, h, h)
    h *= 2
    add("conv2", ConvTranspose2d(rand(5, 3, 4, 4), rand(3), 2, 1), last, 3, h, h)
    last = add("act2", LeakyRelu(0.2), "conv2", 3, h, h)
    h *= 2
    add("conv3", ConvTranspose2d(rand(3, 2, 4, 4), rand(2), 2, 1), last, 2, h, h)
    last = add("texture", TexelBias(rand(2, h, h)), "conv3", 2, h, h)
    add("mesh", Linear(rand(5, 9), rand(5)), "join", 5)
    return Graph(tuple(nodes), {"texture": last, "mesh": "mesh"})


def feeds(frames: int, seed: int = 0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        "z": torch.randn(frames, 6, generator=generator),
        "view": torch.randn(frames, 3, generator=generator),
    }


@pytest.fixture(scope="session")
def decoder() -> Callable[..., Graph]:
    return decoder_graph


@pytest.fixture(scope="session")
def frames() -> Callable[..., dict[str, torch.Tensor]]:
    return feeds
