"""Delaunay triangulation of a plane point set by insertion (Bowyer 1981, Watson 1981)."""

import numpy as np
from numpy.typing import NDArray

from esca.captures.geometry import FloatArray


def _circles(points: FloatArray, triangles: NDArray[np.integer]) -> FloatArray:
    """Circumcentre x, y and squared radius of each triangle, (T, 3)."""
    a, b, c = (points[triangles[:, i]] for i in range(3))
    ab, ac = b - a, c - a
    twice = 2 * (ab[:, 0] * ac[:, 1] - ab[:, 1] * ac[:, 0])
    twice = np.where(np.abs(twice) < 1e-18, 1e-18, twice)
    b2, c2 = (ab**2).sum(1), (ac**2).sum(1)
    ux = (ac[:, 1] * b2 - ab[:, 1] * c2) / twice
    uy = (ab[:, 0] * c2 - ac[:, 0] * b2) / twice
    return np.column_stack([a[:, 0] + ux, a[:, 1] + uy, ux**2 + uy**2])


def delaunay(points: FloatArray) -> NDArray[np.integer]:
    """Triangles, counter-clockwise, of (N, 2) distinct points: (T, 3) point numbers."""
    count = len(points)
    low, span = points.min(0), np.ptp(points, axis=0).max()
    frame = low + span * np.array([[-40.0, -40.0], [81.0, -40.0], [0.5, 81.0]])
    everything = np.vstack([points, frame])
    triangles = np.array([[count, count + 1, count + 2]], np.int64)
    circles = _circles(everything, triangles)
    for number, (x, y) in enumerate(points):
        hit = (circles[:, 0] - x) ** 2 + (circles[:, 1] - y) ** 2 < circles[:, 2] * (1 - 1e-12)
        edges = triangles[hit][:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
        key = edges[:, 0] * (count + 3) + edges[:, 1]
        border = edges[~np.isin(key, edges[:, 1] * (count + 3) + edges[:, 0])]
        fresh = np.column_stack([border, np.full(len(border), number)])
        triangles = np.vstack([triangles[~hit], fresh])
        circles = np.vstack([circles[~hit], _circles(everything, fresh)])
    return triangles[(triangles < count).all(1)]


def flipped(
    triangles: NDArray[np.integer], plane: FloatArray, surface: FloatArray, sweeps: int = 30
) -> NDArray[np.integer]:
    """The triangles with edges flipped until they suit the surface that the plane points map to.

    An edge flips where the angles facing it sum to more than half a turn on ``surface`` (N, 3) and
    the result stays counter-clockwise in ``plane`` (N, 2).
    """
    faces = triangles.copy()
    for _ in range(sweeps):
        touched = np.zeros(len(faces), bool)
        for first, second, a, b, c, d in _unsuitable(faces, plane, surface):
            if not (touched[first] or touched[second]):
                faces[first], faces[second] = (c, a, d), (c, d, b)
                touched[[first, second]] = True
        if not touched.any():
            break
    return faces


def _unsuitable(
    faces: NDArray[np.integer], plane: FloatArray, surface: FloatArray
) -> list[tuple[int, int, int, int, int, int]]:
    """Edges to flip: both triangles, the edge's ends a and b, and the corners c and d facing it."""
    ends = faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    apex = faces[:, [2, 0, 1]].ravel()
    owner = np.repeat(np.arange(len(faces)), 3)
    span = int(faces.max()) + 1
    key, twin = ends[:, 0] * span + ends[:, 1], ends[:, 1] * span + ends[:, 0]
    order = np.argsort(key)
    place = np.minimum(np.searchsorted(key[order], twin), len(key) - 1)
    other = order[place]
    edge = np.flatnonzero((key[other] == twin) & (ends[:, 0] < ends[:, 1]))
    (a, b), c, d = ends[edge].T, apex[edge], apex[other[edge]]

    def facing(corner: NDArray[np.integer]) -> FloatArray:
        u, v = surface[a] - surface[corner], surface[b] - surface[corner]
        length = np.sqrt((u * u).sum(1) * (v * v).sum(1))
        return np.arccos(np.clip((u * v).sum(1) / np.maximum(length, 1e-12), -1, 1))

    def turn(p: NDArray[np.integer], q: NDArray[np.integer], r: NDArray[np.integer]) -> FloatArray:
        s, t = plane[q] - plane[p], plane[r] - plane[p]
        return s[:, 0] * t[:, 1] - s[:, 1] * t[:, 0]

    apart = (surface[c] != surface[d]).any(1)
    wrong = apart & (facing(c) + facing(d) > np.pi * 1.01)
    wrong &= (turn(c, a, d) > 1e-9) & (turn(c, d, b) > 1e-9)
    rows = (owner[edge], owner[other[edge]], a, b, c, d)
    return list(zip(*(row[wrong].tolist() for row in rows), strict=True))
