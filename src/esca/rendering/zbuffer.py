"""Which triangle each pixel sees, by a depth buffer: for pictures that are wanted at display rate.

Embree needs about 70 ms for the head in a picture of 330 x 500, building its scene included, and
holds Python's interpreter lock meanwhile; this takes a few and holds nothing. Compiled by numba.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

_EDGE = 1e-6
"""Pixels by which triangles reach beyond their edges, so that rounding leaves no cracks."""


@njit(cache=True, nogil=True, error_model="numpy")
def _narrowed(
    low: float, high: float, weight: float, slope: float, per: float
) -> tuple[float, float]:
    """The part of a row, from ``low`` to ``high``, where a corner's weight is not negative.

    ``weight``: at column 0; ``slope``: along the row; ``per``: ``-1 / slope``. A weight that does
    not change along the row leaves it whole or empty.
    """
    if slope > 0:
        return max(low, weight * per - _EDGE), high
    if slope < 0:
        return low, min(high, weight * per + _EDGE)
    return low, high if weight >= 0 else -1.0


@njit(cache=True, nogil=True, error_model="numpy")
def visible(corners: NDArray, faces: NDArray, rows: int, columns: int) -> NDArray:
    """(rows, columns) int32 face that the centre of each pixel sees, -1 for none.

    ``corners``: (V, 3) homogeneous pixels ``(w x, w y, w)``, w the depth; see
    :func:`esca.rendering.raster.project`. ``faces``: (F, 3). Both sides of a triangle are seen; one
    that reaches behind the camera is left out.
    """
    triangle = np.full((rows, columns), -1, np.int32)
    nearness = np.zeros((rows, columns), np.float32)
    for face in range(len(faces)):
        a, b, c = corners[faces[face, 0]], corners[faces[face, 1]], corners[faces[face, 2]]
        if min(a[2], b[2], c[2]) <= 0:
            continue
        ax, ay, bx, by, cx, cy = (
            a[0] / a[2], a[1] / a[2], b[0] / b[2], b[1] / b[2], c[0] / c[2], c[1] / c[2],
        )  # fmt: skip
        area = (bx - ax) * (cy - ay) - (cx - ax) * (by - ay)
        if area == 0 or not np.isfinite(area):
            continue
        # Bounded before they are made whole numbers: a corner near the camera's plane lies far out.
        top = int(np.ceil(max(min(ay, by, cy) - 0.5, 0.0)))
        bottom = int(np.floor(min(max(ay, by, cy) - 0.5, rows - 1.0)))
        # Weights of the first two corners, and 1 / w, are linear in the picture.
        first_x, first_y = (by - cy) / area, (cx - bx) / area
        second_x, second_y = (cy - ay) / area, (ax - cx) / area
        first_0 = (bx * cy - cx * by) / area
        second_0 = (cx * ay - ax * cy) / area
        to_a, to_b, far = 1 / a[2] - 1 / c[2], 1 / b[2] - 1 / c[2], 1 / c[2]
        slope = first_x * to_a + second_x * to_b
        third_x = -first_x - second_x
        # Where the weights' zeros move per unit of weight.
        first_per = -1 / first_x if first_x != 0 else 0.0
        second_per = -1 / second_x if second_x != 0 else 0.0
        third_per = -1 / third_x if third_x != 0 else 0.0
        for row in range(top, bottom + 1):
            y = row + 0.5
            first, second = first_y * y + first_0, second_y * y + second_0
            third = 1 - first - second
            low, high = 0.5, columns - 0.5
            low, high = _narrowed(low, high, first, first_x, first_per)
            low, high = _narrowed(low, high, second, second_x, second_per)
            low, high = _narrowed(low, high, third, third_x, third_per)
            start, end = int(np.ceil(low - 0.5)), int(np.floor(high - 0.5))
            at = far + first * to_a + second * to_b + slope * 0.5
            for column in range(start, end + 1):
                near = np.float32(at + slope * column)
                if near > nearness[row, column]:
                    nearness[row, column] = near
                    triangle[row, column] = face
    return triangle
