"""The canonical head as a signed distance, sculpted from smoothly joined ellipsoids and cones.

Millimetres, head-aligned axes. Values are approximate distances, negative inside. Proportions
follow common anthropometry: 230 mm from chin to crown, eyes half-way, face in equal thirds.
"""

import numpy as np
from numpy.typing import ArrayLike

from esca.captures.geometry import FloatArray

CENTRE = np.array([0.0, -5.0, 15.0])
"""Every point of the skin is seen from here, so a direction names it."""

EYE = np.array([31.0, 0.0, 72.6])
"""Centre of the subject's left eyeball; the right one mirrors it."""

EYE_RADIUS = 13.0
LID_RADIUS = 14.5


def _ellipsoid(p: FloatArray, centre: ArrayLike, radii: ArrayLike) -> FloatArray:
    offset = (p - np.asarray(centre, float)) / np.asarray(radii, float)
    reach = np.sqrt((offset**2).sum(-1)) + 1e-9
    slope = np.sqrt(((offset / np.asarray(radii, float)) ** 2).sum(-1)) + 1e-9
    return reach * (reach - 1) / slope


def _cone(p: FloatArray, start: ArrayLike, end: ArrayLike, r0: float, r1: float) -> FloatArray:
    a, b = np.asarray(start, float), np.asarray(end, float)
    along = np.clip((p - a) @ (b - a) / ((b - a) @ (b - a)), 0, 1)
    return np.linalg.norm(p - a - along[..., None] * (b - a), axis=-1) - (r0 + (r1 - r0) * along)


def _join(a: FloatArray, b: FloatArray, blend: float) -> FloatArray:
    overlap = np.maximum(blend - np.abs(a - b), 0) / blend
    return np.minimum(a, b) - overlap**3 * blend / 6


def _carve(a: FloatArray, b: FloatArray, blend: float) -> FloatArray:
    return -_join(-a, b, blend)


def head_distance(points: FloatArray) -> FloatArray:
    """Signed distance of the neutral skin, lips and ears left out: (..., 3) -> (...)."""
    p = np.asarray(points, float).copy()
    p[..., 0] = np.abs(p[..., 0])
    d = _ellipsoid(p, (0, 31, -12), (74, 84, 87))
    d = _join(d, _ellipsoid(p, (0, 48, 30), (63, 55, 61)), 26)
    d = _join(d, _ellipsoid(p, (0, -26, 34), (58, 66, 54)), 26)
    d = _join(d, _ellipsoid(p, (0, -34, 14), (61, 46, 52)), 24)
    d = _join(d, _ellipsoid(p, (0, -66, 42), (41, 40, 46)), 22)
    d = _join(d, _cone(p, (43, -62, 8), (10, -98, 75), 12, 12), 26)
    d = _join(d, _ellipsoid(p, (42, -20, 53), (19, 13, 20)), 26)
    d = _join(d, _ellipsoid(p, (30, -56, 56), (19, 24, 24)), 24)
    d = _join(d, _cone(p, (52, -14, 36), (61, -8, 2), 8, 8), 24)
    d = _join(d, _ellipsoid(p, (0, -99, 81), (16, 13, 19)), 18)
    d = _join(d, _neck(p), 22)
    d = _join(d, _ellipsoid(p, (0, -66, 73), (31, 25, 29)), 18)
    d = _join(d, _ellipsoid(p, (22, 17, 79), (25, 8, 14)), 16)
    d = _join(d, _ellipsoid(p, (45, 11, 65), (10, 12, 11)), 20)
    d = _carve(d, _ellipsoid(p, (31, -1, 95), (17, 13, 14)), 18)
    d = _join(d, _ellipsoid(p, EYE, (LID_RADIUS,) * 3), 6)
    return _nose(p, d)


def _neck(p: FloatArray) -> FloatArray:
    d = _cone(p, (0, -40, -16), (0, -180, -32), 44, 50)
    muscle = _cone(p, (46, -60, -20), (15, -190, 12), 8, 9)
    return _join(_join(d, muscle, 16), _cone(p, (0, -130, 18), (0, -170, 12), 8, 12), 22)


def _nose(p: FloatArray, d: FloatArray) -> FloatArray:
    d = _join(d, _cone(p, (0, 7, 86), (0, -29, 103.5), 6.5, 8.5), 18)
    d = _join(d, _ellipsoid(p, (0, -34, 106.5), (10.5, 9.5, 11)), 9)
    d = _join(d, _ellipsoid(p, (11.5, -39.5, 97), (6.6, 6.6, 10)), 7)
    d = _join(d, _cone(p, (0, -40, 107), (0, -45.5, 98), 3.6, 4.5), 5)
    d = _carve(d, _cone(p, (6.6, -46, 105), (5.2, -39, 101), 3.0, 2.0), 2.5)
    return _carve(d, _cone(p, (0, -48, 108), (0, -59, 108.5), 2.6, 3.2), 6)


def surface_along(origins: FloatArray, directions: FloatArray, reach: float = 240.0) -> FloatArray:
    """Outermost skin point on each ray, (N, 3): marched inwards from ``reach`` mm to the origin."""
    travel = np.full(len(directions), reach)
    active = np.arange(len(directions))
    for _ in range(120):
        step = head_distance(origins[active] + travel[active, None] * directions[active])
        travel[active] -= 0.8 * step
        active = active[np.abs(step) > 1e-3]
        if not len(active):
            break
    return origins + travel[:, None] * directions


def surface_front(xy: FloatArray) -> FloatArray:
    """Foremost skin point at each frontal position: (N, 2) -> (N, 3)."""
    origins = np.column_stack([xy, np.zeros(len(xy))])
    return surface_along(origins, np.broadcast_to([0.0, 0.0, 1.0], origins.shape), 150.0)
