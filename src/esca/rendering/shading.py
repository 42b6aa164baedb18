"""Pictures of a textured mesh at display rate: compiled passes over triangles, texels and pixels.

Array operations would write and read every intermediate value of every pixel and spend most of
their time on that; so numba compiles these. A texture holds steps of any meaning, a table tells
their colours: display values in 8 bits, or raw values, sampled before they are transformed as
:mod:`esca.rendering.shade` does.
"""

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from esca.captures.geometry import Topology
from esca.rendering.display import BLACK, GAINS, OFFSET, SLOPE, to_display
from esca.rendering.zbuffer import visible

_GAINS = (GAINS / 255).astype(np.float32)
PLAIN = np.tile(np.arange(256, dtype=np.uint8), (3, 1))
"""Table of textures that hold display values."""

RAW_STEPS = 64
"""Steps of a raw level, of 255, in raw textures: a tenth of a display level where it is darkest."""

_LEVELS = np.arange(255 * RAW_STEPS + 1, dtype=np.float32) / np.float32(255 * RAW_STEPS)
RAW = np.rint(255 * to_display(np.tile(_LEVELS[:, None], 3))).astype(np.uint8).T.copy()
"""Table of raw textures."""

_BLACK, _SLOPE, _OFFSET = np.float32(BLACK), np.float32(SLOPE), np.float32(OFFSET)


def texel_corners(topology: Topology, side: int) -> NDArray[np.float64]:
    """(F, 3, 2) columns and rows of the faces' corners in a texture of ``side``, whole numbers at
    texel centres.
    """
    return topology.uvs[topology.uv_faces].astype(np.float64) * side - 0.5


def draw(
    picture: NDArray[np.uint8],
    corners: NDArray[np.float64],
    faces: NDArray[np.int64],
    uvs: NDArray[np.float64],
    texture: NDArray[np.unsignedinteger],
    table: NDArray[np.uint8] = PLAIN,
    columns: tuple[int, int] | None = None,
) -> None:
    """Draw a mesh into ``picture`` (H, W, 3), over what is there; both sides of a triangle show.

    ``corners``: (V, 3) homogeneous pixels. ``faces``: (F, 3). ``uvs``: see
    :func:`texel_corners`, for ``texture`` (T, T, 3). ``table``: (3, L) display value of each of its
    steps. ``columns``: first column to draw into, and first not to.
    """
    left, right = columns or (0, picture.shape[1])
    top, bottom = 0, len(picture)
    if corners[:, 2].min() > 0:  # else it reaches behind the camera, and anywhere
        across, down = (corners[:, axis] / corners[:, 2] for axis in (0, 1))
        left, right = max(left, math.floor(across.min())), min(right, math.ceil(across.max()))
        top, bottom = max(top, math.floor(down.min())), min(bottom, math.ceil(down.max()))
    if left >= right or top >= bottom:
        return
    # Only the part of the picture that the mesh can touch: coordinates begin at its corner.
    moved = corners - corners[:, 2:] * (left, top, 0)
    part = picture[top:bottom, left:right]
    seen = visible(moved, faces, bottom - top, right - left)
    paint(part, seen, texel_planes(moved, faces, uvs), texture, table)


def raw_texture(
    texels: NDArray[np.float32], offset: NDArray[np.float32], scale: NDArray[np.float32]
) -> NDArray[np.uint16]:
    """(T, T, 3) steps of raw values, 0 to 255: ``texels * scale + offset``; see :data:`RAW`.

    ``texels``, ``offset``: (T, T, 3), ``scale``: (3,).
    """
    rows, columns = texels.shape[:2]
    values, means = (np.ascontiguousarray(one).reshape(rows, -1) for one in (texels, offset))
    steps: NDArray[np.uint16] = _stepped(values, means, np.tile(scale, columns))
    return steps.reshape(rows, columns, 3)


@njit(cache=True, nogil=True, error_model="numpy")
def _stepped(texels: NDArray, offset: NDArray, scale: NDArray) -> NDArray:
    """Rows (R, C) of channels in turn, ``scale`` (C,)."""
    rows, columns = texels.shape
    steps = np.empty((rows, columns), np.uint16)
    for row in range(rows):
        for at in range(columns):
            value = texels[row, at] * scale[at] + offset[row, at]
            value = min(max(value, np.float32(0)), np.float32(255))
            steps[row, at] = np.uint16(value * np.float32(RAW_STEPS) + np.float32(0.5))
    return steps


@njit(cache=True, nogil=True, error_model="numpy")
def display_texture(texels: NDArray, offset: NDArray, scale: NDArray) -> NDArray:
    """(T, T, 3) uint8 display values of raw ones, 0 to 255: ``texels * scale + offset``.

    ``texels``, ``offset``: (3, T, T) float32, ``scale``: (3,). The same as
    :func:`esca.rendering.display.to_display`.
    """
    _, rows, columns = texels.shape
    shown = np.empty((rows, columns, 3), np.uint8)
    line = np.empty((3, columns), np.uint8)
    for row in range(rows):
        for channel in range(3):
            values, means = texels[channel, row], offset[channel, row]
            factor, gain = scale[channel], _GAINS[channel]
            for at in range(columns):
                value = values[at] * factor + means[at]
                value = min(max(value, np.float32(0)), np.float32(255)) * gain - _BLACK
                value = np.sqrt(min(max(value, np.float32(0)), np.float32(2)) * _SLOPE) - _OFFSET
                value = min(max(value, np.float32(0)), np.float32(1))
                line[channel, at] = np.uint8(value * np.float32(255) + np.float32(0.5))
        for at in range(columns):
            for channel in range(3):
                shown[row, at, channel] = line[channel, at]
    return shown


@njit(cache=True, nogil=True, error_model="numpy")
def bleed(texels: NDArray, targets: NDArray, sources: NDArray) -> None:
    """Copy rows ``sources`` of ``texels`` (T T, 3) to rows ``targets``, in place."""
    for one in range(len(targets)):
        for channel in range(3):
            texels[targets[one], channel] = texels[sources[one], channel]


@njit(cache=True, nogil=True, error_model="numpy")
def texel_planes(corners: NDArray, faces: NDArray, uvs: NDArray) -> NDArray:
    """(F, 9) float64: column, row and 1, each times one common factor, as linear functions of a
    pixel's x, y and 1 on each of F triangles.

    ``corners``: (V, 3) homogeneous pixels. ``faces``: (F, 3). ``uvs``: (F, 3, 2) columns and rows
    of the corners in the texture. Texture coordinates are quotients of such functions because a
    corner's weight is one; see :func:`esca.rendering.raster.barycentrics`.
    """
    planes = np.empty((len(faces), 9))
    for face in range(len(faces)):
        for of in range(3):
            column, row, one = 0.0, 0.0, 0.0
            for corner in range(3):
                first = corners[faces[face, (corner + 1) % 3]]
                second = corners[faces[face, (corner + 2) % 3]]
                a, b = (of + 1) % 3, (of + 2) % 3
                weight = first[a] * second[b] - first[b] * second[a]
                column += weight * uvs[face, corner, 0]
                row += weight * uvs[face, corner, 1]
                one += weight
            planes[face, 3 * of] = column
            planes[face, 3 * of + 1] = row
            planes[face, 3 * of + 2] = one
    return planes


@njit(cache=True, nogil=True, error_model="numpy")
def paint(
    picture: NDArray, triangle: NDArray, planes: NDArray, texture: NDArray, table: NDArray
) -> None:
    """Draw a texture (T, T, 3) of the steps of ``table`` (3, L) into a picture (H, W, 3) uint8.

    ``triangle``: (H, W) face of each pixel, -1 leaves it as it is. ``planes``: (F, 9) of all faces.
    Bilinear, clamped at the border.
    """
    side = len(texture)
    last, line = np.float64(side - 1), np.uintp(3 * side)
    texels = texture.reshape(-1)
    for y in range(len(triangle)):
        shown, seen = picture[y], triangle[y]
        down = y + 0.5
        for x in range(len(seen)):
            if seen[x] < 0:
                continue
            plane = planes[seen[x]]
            across = x + 0.5
            share = 1 / (plane[2] * across + plane[5] * down + plane[8])
            column = (plane[0] * across + plane[3] * down + plane[6]) * share
            row = (plane[1] * across + plane[4] * down + plane[7]) * share
            # Written so that NaN, on a triangle without any area, becomes 0.
            column = min(column, last) if column > 0 else 0.0
            row = min(row, last) if row > 0 else 0.0
            begin, top = np.uint32(column), np.uint32(row)
            sideways, downwards = np.float32(column - begin), np.float32(row - top)
            a = np.uintp(top) * line + np.uintp(3) * np.uintp(begin)
            right_of = np.uintp(3 if begin < side - 1 else 0)
            below = line if top < side - 1 else np.uintp(0)
            for channel in range(3):
                here = a + np.uintp(channel)
                beside = here + right_of
                upper = np.float32(texels[here])
                upper += (np.float32(texels[beside]) - upper) * sideways
                lower = np.float32(texels[here + below])
                lower += (np.float32(texels[beside + below]) - lower) * sideways
                step = upper + (lower - upper) * downwards + np.float32(0.5)
                shown[x, channel] = table[channel, np.uintp(np.uint32(step))]
