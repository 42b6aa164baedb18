"""Where each part lies in the texture. The skin takes the middle, the rest the corners."""

import numpy as np

from esca.captures.geometry import FloatArray

SKIN_CENTRE = np.array([0.5, 0.593])
SKIN_AXES = np.array([0.494, 0.4])

Box = tuple[float, float, float, float]

BOXES: dict[str, Box] = {
    "eye_L": (0.77, 0.006, 0.994, 0.23),
    "eye_R": (0.006, 0.006, 0.23, 0.23),
    "ear_L": (0.868, 0.897, 0.994, 0.994),
    "ear_R": (0.006, 0.897, 0.132, 0.994),
    "upper_teeth": (0.375, 0.096, 0.755, 0.172),
    "lower_teeth": (0.375, 0.006, 0.755, 0.082),
    "tongue": (0.245, 0.006, 0.36, 0.172),
}
"""Left, bottom, right and top of each island, in uv."""


def place_skin(points: FloatArray) -> FloatArray:
    """Atlas coordinates of chart points (unit disc)."""
    return SKIN_CENTRE + SKIN_AXES * points


def place(name: str, local: FloatArray) -> FloatArray:
    """Atlas coordinates of a small part's local coordinates in [0, 1]^2."""
    left, bottom, right, top = BOXES[name]
    return np.array([left, bottom]) + local * [right - left, top - bottom]


def locate(name: str, uvs: FloatArray) -> FloatArray:
    """Local coordinates in [0, 1]^2 of a small part's atlas coordinates."""
    left, bottom, right, top = BOXES[name]
    return (uvs - [left, bottom]) / [right - left, top - bottom]
