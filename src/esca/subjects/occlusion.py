"""Ambient occlusion at the vertices of a head."""

import numpy as np
from numpy.typing import NDArray

from esca.rendering.raster import Scene

Floats = NDArray[np.float32]

_START = 0.25
"""Distance (mm) above the surface at which a ray starts."""


def directions(count: int) -> Floats:
    """(count, 3) unit vectors spread evenly over the sphere (golden-angle spiral)."""
    index = np.arange(count) + 0.5
    height = 1.0 - 2.0 * index / count
    radius = np.sqrt(1.0 - height * height)
    angle = np.pi * (3.0 - np.sqrt(5.0)) * index
    return np.stack([radius * np.cos(angle), height, radius * np.sin(angle)], 1).astype(np.float32)


def openness(scene: Scene, points: Floats, normals: Floats, rays: int = 20) -> Floats:
    """(N,) cosine-weighted share of the sky that is seen from ``points`` (N, 3) along ``normals``.

    ``rays`` directions over the whole sphere, the same for all points, so that neighbours differ
    smoothly.
    """
    starts = points + _START * normals
    seen = np.zeros(len(points), np.float32)
    total = np.full(len(points), 1e-6, np.float32)
    for direction in directions(rays):
        cosine = normals @ direction
        front = np.flatnonzero(cosine > 0.05)
        towards = np.broadcast_to(direction, (len(front), 3))
        total[front] += cosine[front]
        seen[front] += cosine[front] * ~scene.occluded(starts[front], towards)
    return seen / total
