"""The chart of the skin: directions from the centre of the head, flattened around the nose.

A point of the unit disc is a direction; the radius grows slower towards the back of the head, so
that the face keeps most of the area. The rim of the disc is one point at the back.
"""

import numpy as np

from esca.captures.geometry import FloatArray
from esca.subjects.procedural.sculpt import CENTRE, surface_along

_FALLOFF = 1.3
_FULL = 1 - np.exp(-np.pi / _FALLOFF)
_TILT = -0.3
_FORWARD = np.array([0.0, _TILT, 1.0]) / np.hypot(_TILT, 1)
_UP = np.array([0.0, _FORWARD[2], -_FORWARD[1]])

SLIT_DEPTH = 0.2
"""Chart distance over which the opened mouth pushes its surroundings aside."""


def to_chart(positions: FloatArray) -> FloatArray:
    """Chart points (N, 2) of skin positions (N, 3)."""
    d = positions - CENTRE
    d = d / np.linalg.norm(d, axis=1, keepdims=True)
    angle = np.arccos(np.clip(d @ _FORWARD, -1, 1))
    side, up = d[:, 0], d @ _UP
    radius = (1 - np.exp(-angle / _FALLOFF)) / _FULL
    return np.column_stack([side, up]) * (radius / np.maximum(np.hypot(side, up), 1e-12))[:, None]


def to_surface(points: FloatArray) -> FloatArray:
    """Skin positions (N, 3) of chart points (N, 2)."""
    radius = np.minimum(np.linalg.norm(points, axis=1), 1.0)
    angle = -_FALLOFF * np.log(1 - radius * _FULL)
    plane = points / np.maximum(radius, 1e-12)[:, None] * np.sin(angle)[:, None]
    directions = np.cos(angle)[:, None] * _FORWARD + plane[:, 1:] * _UP
    directions[:, 0] += plane[:, 0]
    return surface_along(np.broadcast_to(CENTRE, directions.shape), directions)


def open_slit(
    points: FloatArray, side: FloatArray, height: float, width: float, level: FloatArray
) -> FloatArray:
    """Chart points with the closed mouth opened to a lens, so that its inside finds room.

    ``side``: (N,) +1 above the slit, -1 below, 0 = by position. ``height``, ``width``: half axes of
    the lens; ``level``: (N,) chart height of the slit at each point.
    """
    opened = points.copy()
    offset = points[:, 1] - level
    sign = np.where(side != 0, side, np.where(offset >= 0, 1.0, -1.0))
    half = height * np.clip(1 - (points[:, 0] / width) ** 2, 0, None)
    distance = np.maximum(sign * offset, 0)
    near = distance < SLIT_DEPTH
    pushed = half + distance * (SLIT_DEPTH - half) / SLIT_DEPTH
    opened[:, 1] = np.where(near & (half > 0), level + sign * pushed, points[:, 1])
    return opened
