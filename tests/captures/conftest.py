"""A tiny rig, head and capture, written once and copied for each test that damages it."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from esca.captures import AVERAGE, Camera, FrameId, Topology, write_capture

SIZE = 16
PHOTO = (24, 20)
NAME = "m--20250102--0304--000000007--GHS"
IDS = ("400029", "400012", "400017")
FRAMES = (
    FrameId("E001_Neutral_Eyes_Open", "000102"),
    FrameId("E001_Neutral_Eyes_Open", "000105"),
    FrameId("E001_Neutral_Eyes_Open", "000114"),
    FrameId("EXP_ROM07_Facial_Expressions", "000201"),
    FrameId("EXP_ROM07_Facial_Expressions", "000204"),
)


def rotation(rng: np.random.Generator) -> NDArray[np.float64]:
    q, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    return q * np.sign(np.linalg.det(q))


def make_camera(id: str, seed: int, size: tuple[int, int] = PHOTO) -> Camera:
    rng = np.random.default_rng(seed)
    focal, cx, cy = rng.uniform(7600, 7800), size[1] / 2, size[0] / 2
    return Camera(
        id=id,
        intrinsics=np.array([[focal, 0, cx], [0, focal * 1.001, cy], [0, 0, 1]]),
        extrinsics=np.hstack([rotation(rng), rng.normal(size=(3, 1)) * 1000]),
        distortion=np.zeros(5),
        size=size,
    )


def make_topology() -> Topology:
    """A 3 x 3 grid with a seam: more texture coordinates than vertices."""
    quads = [(r * 3 + c, r * 3 + c + 1, r * 3 + c + 4, r * 3 + c + 3) for r, c in np.ndindex(2, 2)]
    faces = np.array([t for a, b, c, d in quads for t in ((a, b, c), (a, c, d))], dtype=np.int32)
    uvs = np.random.default_rng(3).uniform(size=(12, 2)).astype(np.float32)
    uv_faces = faces.copy()
    uv_faces[-1] = (9, 10, 11)
    return Topology(faces, uvs, uv_faces)


@dataclass(frozen=True)
class Recorded:
    """What went into the capture, to compare with what comes out."""

    root: Path
    frames: tuple[FrameId, ...]
    ids: tuple[str, ...]
    topology: Topology
    cameras: tuple[Camera, ...]
    vertices: dict[FrameId, NDArray[np.float32]]
    transforms: dict[FrameId, NDArray[np.float64]]
    textures: dict[tuple[FrameId, str], NDArray[np.uint8]]
    photos: dict[tuple[FrameId, str], NDArray[np.uint8]]
    regions: dict[str, NDArray[np.bool_]]
    loss_weight: NDArray[np.float64]


def record(root: Path, ids: tuple[str, ...] = IDS) -> Recorded:
    rng = np.random.default_rng(0)
    base = rng.normal(size=(9, 3)) * 80
    recorded = Recorded(
        root=root,
        frames=FRAMES,
        ids=ids,
        topology=make_topology(),
        cameras=tuple(make_camera(id, seed) for seed, id in enumerate(ids)),
        vertices={f: (base + rng.normal(size=(9, 3))).astype(np.float32) for f in FRAMES},
        transforms={f: np.hstack([rotation(rng), rng.normal(size=(3, 1)) * 10]) for f in FRAMES},
        textures={
            (f, camera): rng.integers(0, 3, (SIZE, SIZE, 3), dtype=np.uint8) * np.uint8(70)
            for f in FRAMES
            for camera in (AVERAGE, *ids)
        },
        photos={
            (f, camera): rng.integers(0, 256, (*PHOTO, 3), dtype=np.uint8)
            for f in FRAMES
            for camera in ids
        },
        regions={"eyes": rng.random((SIZE, SIZE)) > 0.7, "mouth": rng.random((SIZE, SIZE)) > 0.7},
        loss_weight=np.round(rng.random((SIZE, SIZE)) * 4 + 1),
    )
    with write_capture(root, recorded.topology, recorded.cameras, SIZE) as writer:
        for frame in FRAMES:
            writer.write_frame(frame, recorded.vertices[frame], recorded.transforms[frame])
        for (frame, camera), texture in recorded.textures.items():
            writer.write_texture(frame, camera, texture)
        for (frame, camera), photo in recorded.photos.items():
            writer.write_photo(frame, camera, photo)
        writer.write_regions(recorded.regions)
        writer.write_loss_weight(recorded.loss_weight)
        writer.write_readme("A grid.\n")
    return recorded


@pytest.fixture
def new_camera() -> Callable[..., Camera]:
    """``make_camera(id, seed, size)``."""
    return make_camera


@pytest.fixture
def topology() -> Topology:
    """A small grid of 9 vertices."""
    return make_topology()


@pytest.fixture
def new_capture() -> Callable[..., Recorded]:
    """``record(root, ids)``."""
    return record


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """Written once; tests only read it."""
    return record(tmp_path_factory.mktemp("captures") / NAME)


@pytest.fixture
def damaged(recorded: Recorded, tmp_path: Path) -> Path:
    """A copy that a test may break."""
    return Path(shutil.copytree(recorded.root, tmp_path / NAME))
