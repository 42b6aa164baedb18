"""Tracked meshes as Wavefront obj: ``v``, ``vt`` and triangles ``f a/b``, numbers from 1."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from esca.captures.geometry import Topology
from esca.captures.plain import read_text
from esca.errors import EscaError


def read_obj(path: Path) -> tuple[NDArray[np.float32], Topology]:
    """Vertices (V, 3) in mm and topology.

    Other statements than ``v``, ``vt`` and ``f`` are ignored. ``EscaError`` where a line cannot be
    read, a face is no triangle, a corner has no texture coordinate or points outside the mesh.
    """
    vertices: list[list[float]] = []
    uvs: list[list[float]] = []
    faces: list[list[int]] = []
    uv_faces: list[list[int]] = []
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        keyword, *words = line.split() or [""]
        try:
            if keyword == "v":
                x, y, z, *_ = map(float, words)
                vertices.append([x, y, z])
            elif keyword == "vt":
                u, v, *_ = map(float, words)
                uvs.append([u, v])
            elif keyword == "f":
                a, b, c = (corner.split("/") for corner in words)
                faces.append([int(a[0]), int(b[0]), int(c[0])])
                uv_faces.append([int(a[1]), int(b[1]), int(c[1])])
        except (ValueError, IndexError) as error:
            raise EscaError(
                f"{path}, line {number}: {line.strip()[:60]!r}, expected 'v x y z', 'vt u v' or a "
                "triangle 'f a/b a/b a/b'"
            ) from error
    return np.array(vertices, dtype=np.float32).reshape(-1, 3), Topology(
        faces=_corners(path, "vertex", faces, len(vertices)),
        uvs=np.array(uvs, dtype=np.float32).reshape(-1, 2),
        uv_faces=_corners(path, "texture coordinate", uv_faces, len(uvs)),
    )


def _corners(path: Path, what: str, rows: list[list[int]], count: int) -> NDArray[np.int32]:
    if not rows:
        raise EscaError(f"{path}: holds no triangles, expected lines 'f a/b a/b a/b'")
    numbers = np.array(rows, dtype=np.int64)
    if numbers.min() < 1 or numbers.max() > count:
        wrong = int(numbers.min() if numbers.min() < 1 else numbers.max())
        raise EscaError(f"{path}: a face uses {what} {wrong}, expected 1 to {count}")
    return (numbers - 1).astype(np.int32)


def vertex_text(vertices: NDArray[np.floating]) -> str:
    """``v`` lines of (V, 3) vertices; nine digits bring every float32 back exactly."""
    return ("v %.9g %.9g %.9g\n" * len(vertices)) % tuple(np.asarray(vertices).ravel().tolist())


def topology_text(topology: Topology) -> str:
    """``vt`` and ``f`` lines: the same for every frame of a capture."""
    uvs = ("vt %.9g %.9g\n" * len(topology.uvs)) % tuple(topology.uvs.ravel().tolist())
    corners = np.stack([topology.faces, topology.uv_faces], axis=-1) + 1
    return uvs + ("f %d/%d %d/%d %d/%d\n" * len(corners)) % tuple(corners.ravel().tolist())


def write_obj(path: Path, vertices: NDArray[np.floating], topology: Topology) -> None:
    """Write vertices (V, 3) and topology."""
    path.write_text(vertex_text(vertices) + topology_text(topology), encoding="utf-8")
