"""Carrying the pictures of a glTF head over into its atlas."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from esca.captures.geometry import FloatArray
from esca.subjects.atlas_layout import GUTTER, Rectangle

Floats = NDArray[np.float32]


def to_linear(coded: NDArray[np.floating]) -> Floats:
    """Linear values of sRGB-coded ones in [0, 1]."""
    low = coded / 12.92
    high = ((coded + 0.055) / 1.055) ** 2.4
    return np.where(coded <= 0.04045, low, high).astype(np.float32)


def place(uvs: FloatArray, bounds: tuple[FloatArray, FloatArray], into: Rectangle) -> Floats:
    """Chart coordinates (N, 2) moved: ``bounds`` (low, high) fill ``into`` less its gutter."""
    scale, shift = _affine(bounds, into)
    return (uvs * scale + shift).astype(np.float32)


def bake(
    picture: Floats,
    bounds: tuple[FloatArray, FloatArray],
    into: Rectangle,
    size: int,
) -> Floats:
    """(h, w, C) texels of the rectangle in an atlas of ``size``, from ``picture`` (H, W, C).

    Each texel averages the source pixels below it (a triangle filter as wide as the reduction).
    The gutter continues the picture. Charts that leave the unit square wrap around; others are
    clamped at the picture's edge.
    """
    rows, columns = into.texels(size)
    height, width = rows.stop - rows.start, columns.stop - columns.start
    scale, shift = _affine(bounds, into)
    corner = (np.array([into.u, into.v]) - shift) / scale
    extent = np.array([into.width, into.height]) / scale
    low, high = bounds
    wraps = bool((low < -1e-3).any() or (high > 1 + 1e-3).any())
    source_rows, top, bottom = _window(picture.shape[0], corner[1], extent[1], wraps)
    source_columns, left, right = _window(picture.shape[1], corner[0], extent[0], wraps)
    window = np.ascontiguousarray(picture[np.ix_(source_rows, source_columns)])
    channels = [
        np.asarray(
            Image.fromarray(window[..., channel]).resize(
                (width, height), Image.Resampling.BILINEAR, box=(left, top, right, bottom)
            )
        )
        for channel in range(window.shape[2])
    ]
    return np.stack(channels, axis=-1)


def _affine(
    bounds: tuple[FloatArray, FloatArray], into: Rectangle
) -> tuple[FloatArray, FloatArray]:
    """Scale and shift from the part's own chart to the atlas."""
    low, high = bounds
    gutter = min(GUTTER, into.width / 4, into.height / 4)
    inner = np.array([into.width, into.height]) - 2 * gutter
    scale = inner / np.maximum(high - low, 1e-9)
    return scale, np.array([into.u, into.v]) + gutter - low * scale


def _window(
    pixels: int, start: float, extent: float, wraps: bool
) -> tuple[NDArray[np.intp], float, float]:
    """Source pixels needed along one axis, and the wanted interval counted from the first."""
    begin, end = start * pixels, (start + extent) * pixels
    first, last = int(np.floor(begin)) - 2, int(np.ceil(end)) + 2
    index = np.arange(first, last)
    index = index % pixels if wraps else np.clip(index, 0, pixels - 1)
    return index, begin - first, end - first
