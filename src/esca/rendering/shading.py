"""One pass over the pixels of a picture: where each lies on its triangle, and the colour there.

:func:`shade` reads decoded textures, :func:`paint` ready display textures.

Compiled by numba, since array operations would write and read every intermediate value of every
pixel and spend most of their time on that.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from esca.rendering.display import BLACK, GAINS, OFFSET, SLOPE

BLOCK = 512
"""Pixels whose texels are fetched before the first of them is shaded."""

_GAINS = tuple(np.float32(gain / 255) for gain in GAINS)
_BLACK, _SLOPE, _OFFSET = np.float32(BLACK), np.float32(SLOPE), np.float32(OFFSET)


@njit(cache=True, nogil=True, error_model="numpy")
def bleed(texels: NDArray, targets: NDArray, sources: NDArray) -> None:
    """Copy rows ``sources`` of ``texels`` (T T, 3) to rows ``targets``, in place."""
    for one in range(len(targets)):
        for channel in range(3):
            texels[targets[one], channel] = texels[sources[one], channel]


@njit(cache=True, nogil=True, error_model="numpy")
def texel_planes(corners: NDArray, faces: NDArray, uvs: NDArray) -> NDArray:
    """(S, 9) float64: column, row and 1, each times one common factor, as linear functions of a
    pixel's x, y and 1 on each of S triangles.

    ``corners``: (V, 3) homogeneous pixels. ``faces``: (S, 3). ``uvs``: (S, 3, 2) columns and rows
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
def shade(
    picture: NDArray,
    pixels: NDArray,
    place: NDArray,
    planes: NDArray,
    texels: NDArray,
    offset: NDArray,
    scale: NDArray,
) -> float:
    """Write the display colours of ``pixels`` into ``picture`` (H, W, 3) uint8.

    ``pixels``: (P,) flat numbers, ascending. ``place``: (P,) which of the ``planes`` each lies on.
    ``texels``: (T, T, 3) float32. Raw values 0 to 255 are ``texels * scale + offset``, with
    ``offset`` (T, T, 3) and ``scale`` (3,), sampled bilinearly, clamped at the border; then
    :func:`esca.rendering.display.to_display`. What is returned means nothing.
    """
    width, side = picture.shape[1], len(texels)
    shown, colours, means = picture.reshape(-1), texels.reshape(-1), offset.reshape(-1)
    last, line = np.float64(side - 1), 3 * side
    columns, rows = np.empty(BLOCK), np.empty(BLOCK)
    y, begin, touched = 0, 0, np.float32(0)
    for first in range(0, len(pixels), BLOCK):
        count = min(BLOCK, len(pixels) - first)
        for one in range(count):
            pixel = pixels[first + one]
            while pixel >= begin + width:  # their order spares a division each
                y, begin = y + 1, begin + width
            plane = planes[place[first + one]]
            across, down = pixel - begin + 0.5, y + 0.5
            share = 1 / (plane[2] * across + plane[5] * down + plane[8])
            column = (plane[0] * across + plane[3] * down + plane[6]) * share
            row = (plane[1] * across + plane[4] * down + plane[7]) * share
            # Written so that NaN, on a triangle without any area, becomes 0.
            columns[one] = min(column, last) if column > 0 else 0.0
            rows[one] = min(row, last) if row > 0 else 0.0
            # What is read here waits nearby below, instead of every pixel for its own.
            here = np.uintp(np.uint32(rows[one]) * line + np.uint32(columns[one]) * 3)
            below = here + np.uintp(line if rows[one] < last else 0)
            touched += colours[here] + colours[below] + means[here] + means[below]
        for one in range(count):
            column, row = columns[one], rows[one]
            left, top = np.uint32(column), np.uint32(row)
            sideways, downwards = np.float32(column - left), np.float32(row - top)
            low_right = sideways * downwards
            high_right = sideways - low_right
            low_left = downwards - low_right
            high_left = np.float32(1) - sideways - low_left
            here = np.uintp(top * line + left * 3)
            beside = here + np.uintp(3 if left < side - 1 else 0)
            step = np.uintp(line if top < side - 1 else 0)
            at = np.uintp(3 * pixels[first + one])
            for channel in range(3):
                a, b = here + np.uintp(channel), beside + np.uintp(channel)
                c, d = a + step, b + step
                value = (
                    colours[a] * high_left
                    + colours[b] * high_right
                    + colours[c] * low_left
                    + colours[d] * low_right
                ) * scale[channel] + (
                    means[a] * high_left
                    + means[b] * high_right
                    + means[c] * low_left
                    + means[d] * low_right
                )
                value = min(max(value, np.float32(0)), np.float32(255)) * _GAINS[channel] - _BLACK
                value = np.sqrt(min(max(value, np.float32(0)), np.float32(2)) * _SLOPE) - _OFFSET
                value = min(max(value, np.float32(0)), np.float32(1))
                value = value * np.float32(255) + np.float32(0.5)
                shown[at + np.uintp(channel)] = np.uint8(value)
    return float(touched)


@njit(cache=True, nogil=True, error_model="numpy")
def display_texture(texels: NDArray, offset: NDArray, scale: NDArray) -> NDArray:
    """(T, T, 3) uint8 display texture of a decoded one (3, T, T) float32.

    Raw values 0 to 255 are ``texels * scale + offset``, ``offset`` (3, T, T) and ``scale`` (3,).
    """
    side = texels.shape[1]
    shown = np.empty((side, side, 3), np.uint8)
    for row in range(side):
        for channel in range(3):
            gain = _GAINS[channel]
            for column in range(side):
                value = texels[channel, row, column] * scale[channel] + offset[channel, row, column]
                value = min(max(value, np.float32(0)), np.float32(255)) * gain - _BLACK
                value = np.sqrt(min(max(value, np.float32(0)), np.float32(2)) * _SLOPE) - _OFFSET
                value = min(max(value, np.float32(0)), np.float32(1))
                shown[row, column, channel] = np.uint8(value * np.float32(255) + np.float32(0.5))
    return shown


@njit(cache=True, nogil=True, error_model="numpy")
def paint(picture: NDArray, triangle: NDArray, planes: NDArray, texture: NDArray) -> None:
    """Draw a display texture (T, T, 3) uint8 into a picture (H, W, 3) uint8.

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
                shown[x, channel] = np.uint8(upper + (lower - upper) * downwards + np.float32(0.5))
