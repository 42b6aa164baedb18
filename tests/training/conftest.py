"""A tiny capture: a patch of a face, seen by three cameras, in two segments."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from esca.captures import AVERAGE, Camera, Capture, FrameId, Topology, open_capture, write_capture
from esca.training import TrainConfig

SIZE = 32
PHOTO = (48, 32)
SIDE = 4
IDS = ("400002", "400012", "400029")
TRAINED = tuple(FrameId("E001_Neutral", f"{n:06d}") for n in (2, 3, 7))
HELD_OUT = (FrameId("EXP_ROM07_Faces", "000011"),)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def make_camera(id: str, angle: float) -> Camera:
    """A metre away, turned around the head's vertical axis; 60 mm fill the picture's width."""
    c, s = np.cos(angle), np.sin(angle)
    rotation = np.array([[c, 0, -s], [0, -1, 0], [-s, 0, -c]])
    intrinsics = np.array([[500.0, 0, PHOTO[1] / 2], [0, 500.0, PHOTO[0] / 2], [0, 0, 1]])
    extrinsics = np.hstack([rotation, [[0], [0], [1000.0]]])
    return Camera(id, intrinsics, extrinsics, np.zeros(5), PHOTO)


def make_topology() -> Topology:
    corners = [(r * SIDE + c, SIDE) for r, c in np.ndindex(SIDE - 1, SIDE - 1)]
    faces = [t for a, n in corners for t in ((a, a + n, a + 1), (a + 1, a + n, a + n + 1))]
    uvs = np.stack(np.meshgrid(np.linspace(0, 1, SIDE), np.linspace(0, 1, SIDE)), -1)
    triangles = np.array(faces, np.int32)
    return Topology(triangles, uvs.reshape(-1, 2).astype(np.float32), triangles)


def make_vertices(rng: np.random.Generator) -> NDArray[np.float32]:
    grid = np.stack(np.meshgrid(np.linspace(-20, 20, SIDE), np.linspace(25, -25, SIDE)), -1)
    depth = rng.normal(size=(SIDE * SIDE, 1)) * 2
    return np.hstack([grid.reshape(-1, 2), depth]).astype(np.float32)


@pytest.fixture(scope="session")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Capture:
    root = tmp_path_factory.mktemp("captures") / "m--20250102--0304--000000007--GHS"
    rng = np.random.default_rng(0)
    cameras = tuple(make_camera(id, angle) for id, angle in zip(IDS, (-0.3, 0.3, 0.0), strict=True))
    base = rng.integers(60, 160, (SIZE, SIZE, 3))
    with write_capture(root, make_topology(), cameras, SIZE) as writer:
        for frame in TRAINED + HELD_OUT:
            writer.write_frame(frame, make_vertices(rng), np.eye(4)[:3])
            for camera in (AVERAGE, *IDS):
                texture = (base + rng.integers(-20, 20, 3)).astype(np.uint8)
                texture[:4] = 0
                writer.write_texture(frame, camera, texture)
            for camera in IDS:
                photo = rng.integers(60, 160, (*PHOTO, 3), dtype=np.uint8)
                writer.write_photo(frame, camera, photo)
        writer.write_loss_weight(np.linspace(0.2, 1, SIZE * SIZE).reshape(SIZE, SIZE))
    return open_capture(root)


@pytest.fixture
def small() -> TrainConfig:
    """Six steps of a small avatar, screen loss included."""
    return TrainConfig(
        texture_size=256, latent=4, steps=6, batch=2, warmup=2, screen_scale=0.5, device="cpu"
    )
