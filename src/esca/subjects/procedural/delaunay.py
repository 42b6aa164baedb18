"""Delaunay triangulation of a plane point set by incremental insertion (Bowyer 1981, Watson 1981)."""

import numpy as np
from numpy.typing import NDArray

from esca.captures.geometry import FloatArray


def _circles(points: FloatArray, triangles: NDArray[np.int64]) -> FloatArray:
    """Circumcentre x, y and squared radius of each triangle, (T, 3)."""
    a, b, c = (points[triangles[:, i]] for i in range(3))
    ab, ac = b - a, c - a
    twice = 2 * (ab[:, 0] * ac[:, 1] - ab[:, 1] * ac[:, 0])
    twice = np.where(np.abs(twice) < 1e-18, 1e-18, twice)
    b2, c2 = (ab**2).sum(1), (ac**2).sum(1)
    ux = (ac[:, 1] * b2 - ab[:, 1] * c2) / twice
    uy = (ab[:, 0] * c2 - ac[:, 0] * b2) / twice
    return np.column_stack([a[:, 0] + ux, a[:, 1] + uy, ux**2 + uy**2])


def delaunay(points: FloatArray) -> NDArray[np.int64]:
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
    triangles: NDArray[np.int64], plane: FloatArray, surface: FloatArray, sweeps: int = 6
) -> NDArray[np.int64]:
    """The triangles with edges flipped until they suit the surface that the plane points map to.

    An edge flips where the angles facing it sum to more than half a turn on ``surface`` (N, 3) and
    the result stays counter-clockwise in ``plane`` (N, 2).
    """
    faces = triangles.copy()

    def facing(a: int, b: int, apex: int) -> float:
        u, v = surface[a] - surface[apex], surface[b] - surface[apex]
        length = np.sqrt((u @ u) * (v @ v))
        return float(np.arccos(np.clip(u @ v / length, -1, 1))) if length > 1e-9 else 0.0

    def turn(a: int, b: int, c: int) -> float:
        (ax, ay), (bx, by), (cx, cy) = plane[a], plane[b], plane[c]
        return float((bx - ax) * (cy - ay) - (by - ay) * (cx - ax))

    for _ in range(sweeps):
        owners: dict[tuple[int, int], int] = {}
        for number, (a, b, c) in enumerate(faces):
            owners[a, b], owners[b, c], owners[c, a] = number, number, number
        touched: set[int] = set()
        for (a, b), first in owners.items():
            second = owners.get((b, a))
            if a > b or second is None or first in touched or second in touched:
                continue
            c = int(faces[first].sum() - a - b)
            d = int(faces[second].sum() - a - b)
            if (surface[c] == surface[d]).all():
                continue
            if facing(a, b, c) + facing(a, b, d) < np.pi * 1.01:
                continue
            if turn(c, a, d) > 1e-9 and turn(c, d, b) > 1e-9:
                faces[first], faces[second] = (c, a, d), (c, d, b)
                touched |= {first, second}
        if not touched:
            break
    return faces
