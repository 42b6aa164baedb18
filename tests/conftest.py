"""Avatars of every variant and their traced decoders, made once for all rooms."""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import pytest
import torch

from esca.avatars import Avatar, AvatarConfig, build_avatar
from esca.graph import Graph, trace


class TracedAvatar(NamedTuple):
    avatar: Avatar
    graph: Graph


@cache
def _traced(variant: str) -> TracedAvatar:
    avatar = build_avatar(AvatarConfig(variant, 256, 16, 50, 3), seed=3).eval().requires_grad_(False)
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
