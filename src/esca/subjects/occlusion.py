"""Ambient occlusion at the vertices of a head."""

import numpy as np
from numpy.typing import NDArray

from esca.rendering.raster import Scene

Floats = NDArray[np.float32]

_FORWARD = 0.15
_START = 0.25
"""Distance (mm) above the surface at which a ray starts."""


def directions(count: int) -> Floats:
    """(count, 3) unit vectors spread evenly over the sphere (golden-angle spiral)."""
    index = np.arange(count) + 0.5
    height = 1.0 - 2.0 * index / count
    radius = np.sqrt(1.0 - height * height)
    angle = np.pi * (3.0 - np.sqrt(5.0)) * index
    return np.stack([radius * np.cos(angle), height, radius * np.sin(angle)], 1).astype(np.float32)


def openness(
    scene: Scene,
    points: Floats,
    normals: Floats,
    rays: int = 20,
    enclosed: NDArray[np.bool_] | None = None,
) -> Floats:
    """(N,) cosine-weighted share of the sky that is seen from ``points`` (N, 3) along ``normals``.

    ``rays`` directions over the whole sphere, the same for all points, so that neighbours differ
    smoothly. Points that are ``enclosed``, (N,), can only see out forwards, where the eyes and the
    mouth open; their other rays are taken as blocked.
    """
    starts = points + _START * normals
    seen = np.zeros(len(points), np.float32)
    total = np.full(len(points), 1e-6, np.float32)
    for direction in directions(rays):
        cosine = normals @ direction
        facing = cosine > 0.05
        total[facing] += cosine[facing]
        if enclosed is not None and direction[2] < _FORWARD:
            facing &= ~enclosed
        front = np.flatnonzero(facing)
        towards = np.broadcast_to(direction, (len(front), 3))
        seen[front] += cosine[front] * ~scene.occluded(starts[front], towards)
    return seen / total
