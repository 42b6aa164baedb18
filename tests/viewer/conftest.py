"""A tiny subject and its page: a bulging mask at texture 256, an avatar and two artifacts of it."""

import socket
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from tests.evaluation.conftest import SIDE, TEXELS, make_capture

from esca.avatars import Avatar, AvatarConfig, build_avatar, save_avatar
from esca.captures import Capture
from esca.quantization.calibration import decoder_graph
from esca.quantization.quantize import quantize
from esca.quantization.recipe import load_recipe
from esca.quantization.statistics import TexelMaps, collect
from esca.runtime.artifact import Artifact, save_artifact


@dataclass(frozen=True)
class Files:
    """``capture`` and its folder, ``avatar`` and its checkpoint, artifacts in ``folder``."""

    capture: Capture
    avatar: Avatar
    checkpoint: Path
    artifacts: tuple[Path, ...]


def quantized(avatar: Avatar, bits: str, folder: Path, capture: str) -> Path:
    graph = decoder_graph(avatar)
    generator = torch.Generator().manual_seed(2)
    feeds = [
        {"z": torch.randn(2, avatar.latent, generator=generator), "view": torch.eye(3)[1:]},
    ]
    statistics = collect(graph, lambda: feeds, TexelMaps(), ())
    made = quantize(graph, statistics, load_recipe("rtn", bits))
    path = folder / f"rtn-{bits}.esca"
    save_artifact(Artifact(made, {"capture": capture}), path)
    return path


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("viewer")
    capture = make_capture(folder, photos=False)
    config = AvatarConfig(texture_size=TEXELS, latent=16, vertices=SIDE * SIDE, cameras=3)
    avatar = build_avatar(config, seed=1).eval().requires_grad_(False)
    checkpoint = folder / "avatar.safetensors"
    save_avatar(avatar, checkpoint)
    inside = folder / "artifacts"
    inside.mkdir()
    artifacts = tuple(
        quantized(avatar, bits, inside, capture.root.name) for bits in ("w4a4", "w8a8")
    )
    return Files(capture, avatar, checkpoint, artifacts)


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
