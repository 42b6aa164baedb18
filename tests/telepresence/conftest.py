"""A small person made by hand: a wavy sheet before a camera, and codes that a grid can hold."""

import numpy as np
import pytest
import torch

from esca.captures.geometry import Camera, Topology
from esca.quantization.grid import Grid
from esca.rendering.atlas import border_texels, rasterize_uv
from esca.telepresence.codec import model_of
from esca.telepresence.persona import Persona

LATENT = 12
TEXTURE = 32
SIDE = 9


def sheet() -> tuple[np.ndarray, Topology]:
    """(V, 3) mm and the triangles of a square that bulges towards the camera."""
    line = np.linspace(-1, 1, SIDE)
    x, y = (axis.ravel() for axis in np.meshgrid(line, line))
    vertices = np.stack([100 * x, 100 * y, 40 * np.cos(1.2 * x) * np.cos(1.2 * y)], 1)
    number = np.arange(SIDE * SIDE).reshape(SIDE, SIDE)
    a, b, c, d = (part.ravel() for part in (
        number[:-1, :-1], number[:-1, 1:], number[1:, :-1], number[1:, 1:]))  # fmt: skip
    faces = np.concatenate([np.stack([a, b, c], 1), np.stack([b, d, c], 1)]).astype(np.int32)
    uvs = np.stack([0.5 + 0.45 * x, 0.5 + 0.45 * y], 1).astype(np.float32)
    return vertices.astype(np.float32), Topology(faces, uvs, faces)


def texels(texture: torch.Tensor) -> np.ndarray:
    """A texture (3, T, T) as the renderer takes it, in memory of its own."""
    return texture.movedim(0, 2).numpy().copy(order="C")


@pytest.fixture(scope="session")
def persona() -> Persona:
    vertices, topology = sheet()
    generator = torch.Generator().manual_seed(0)
    codes = torch.randn(30, LATENT, generator=generator)
    intrinsics = np.array([[900.0, 0, 128], [0, 900, 150], [0, 0, 1]])
    extrinsics = np.array([[1.0, 0, 0, 3], [0, -1, 0, -5], [0, 0, -1, 1000]])
    foreground = rasterize_uv(topology, TEXTURE).foreground
    return Persona(
        codes=model_of(codes, Grid(0.05, 120, 8)),
        texture_scale=torch.tensor([20.0, 22.0, 24.0]).reshape(3, 1, 1),
        texture_offset=100 + 10 * torch.randn(3, TEXTURE, TEXTURE, generator=generator),
        vertex_mean=torch.from_numpy(vertices.reshape(-1)),
        vertex_std=2.0,
        topology=topology,
        border=border_texels(foreground, 2),
        camera=Camera("400001", intrinsics, extrinsics, np.zeros(5), (300, 256)),
        transform=np.eye(4)[:3],
    )
