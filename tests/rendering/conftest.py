"""Small scenes whose pictures can be computed by hand."""

import numpy as np
import pytest
from numpy.typing import NDArray

from esca.captures.geometry import Camera, FloatArray, Topology


def camera(size: tuple[int, int] = (64, 48), focal: float = 230.0) -> Camera:
    """A camera 1.1 m in front of the head, looking at its origin; image y points down."""
    rows, columns = size
    intrinsics = np.array([[focal, 0, columns / 2], [0, focal, rows / 2], [0, 0, 1]])
    extrinsics = np.hstack([np.diag([1.0, -1.0, -1.0]), [[0], [0], [1100.0]]])
    return Camera("400029", intrinsics, extrinsics, np.zeros(5), size)


def turned(degrees: float) -> FloatArray:
    """A head pose turned about the vertical axis, with a small shift."""
    angle = np.deg2rad(degrees)
    rotation = np.array(
        [[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]]
    )
    return np.hstack([rotation, [[3.0], [-2.0], [5.0]]])


def icosphere(
    radius: float = 90.0, rounds: int = 3
) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """Vertices and faces (counter-clockwise from outside) of a subdivided icosahedron."""
    golden = (1 + 5**0.5) / 2
    signs = [(a, b) for a in (-1, 1) for b in (-golden, golden)]
    base = [(0, a, b) for a, b in signs] + [(a, b, 0) for a, b in signs]
    points = np.array(base + [(b, 0, a) for a, b in signs], float)
    distance = np.linalg.norm(points[:, None] - points[None], axis=2)
    near = np.isclose(distance, 2)
    faces = [
        (i, j, k)
        for i in range(12)
        for j in range(i + 1, 12)
        for k in range(j + 1, 12)
        if near[i, j] and near[j, k] and near[i, k]
    ]
    triangles = points[np.array(faces)]
    for _ in range(rounds):
        a, b, c = triangles.transpose(1, 0, 2)
        ab, bc, ca = (a + b) / 2, (b + c) / 2, (c + a) / 2
        parts = [(a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca)]
        triangles = np.concatenate([np.stack(part, axis=1) for part in parts])
    triangles *= radius / np.linalg.norm(triangles, axis=2, keepdims=True)
    outward = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    inward = (outward * triangles.sum(axis=1)).sum(axis=1) < 0
    triangles[inward] = triangles[inward][:, ::-1]
    vertices, numbers = np.unique(triangles.reshape(-1, 3).round(9), axis=0, return_inverse=True)
    return vertices, numbers.reshape(-1, 3).astype(np.int32)


def sphere_topology(vertices: NDArray[np.float64], faces: NDArray[np.int32]) -> Topology:
    """Chart of the front half, seen along z; the back half shares one corner texel."""
    uvs = (vertices[:, :2] / np.abs(vertices).max() * 0.45 + 0.5).astype(np.float32)
    front = vertices[faces][:, :, 2].min(axis=1) >= -1e-6
    spare = np.full((1, 2), 0.01, np.float32)
    uv_faces = np.where(front[:, None], faces, len(uvs)).astype(np.int32)
    return Topology(faces, np.concatenate([uvs, spare]), uv_faces)


@pytest.fixture
def head() -> tuple[NDArray[np.float64], Topology]:
    """A sphere of 90 mm with 1280 triangles."""
    vertices, faces = icosphere()
    return vertices, sphere_topology(vertices, faces)


@pytest.fixture
def square() -> tuple[NDArray[np.float64], Topology]:
    """A square of 200 mm in the plane z = 0 that the whole chart covers; v grows with y."""
    vertices = np.array([[-100, -100, 0], [100, -100, 0], [100, 100, 0], [-100, 100, 0]], float)
    uvs = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
    faces = np.array([[0, 1, 2], [0, 2, 3]], np.int32)
    return vertices, Topology(faces, uvs, faces)


@pytest.fixture
def front_camera() -> Camera:
    """64 x 48 pixels, 4.8 mm a pixel."""
    return camera()


@pytest.fixture
def upright() -> FloatArray:
    """The head pose at rest."""
    return np.hstack([np.eye(3), np.zeros((3, 1))])


@pytest.fixture
def turned_head() -> FloatArray:
    """A pose turned by 35 degrees."""
    return turned(35)
