"""A fast stand-in for a visible-difference metric: where on a texture an error would be seen.

The luminance difference of two display textures is split into frequency bands; each band is divided
by the local luminance (contrast) and weighted with the eye's contrast sensitivity at its frequency;
then the bands are joined. 1 means that a difference of this contrast, alone on a plain surface, is
about to be seen. This is NOT FovVideoVDP: no masking by the face's own detail, no colour, no
motion, no gaze, and texels instead of pixels, so seams of the chart are not crossed.
"""

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from esca.errors import EscaError

BANDS = 5

PEAK_LUMINANCE = 200.0
"""cd/m² of display white: FovVideoVDP's own display ``standard_fhd``."""

BLACK_LUMINANCE = 0.5
"""cd/m² that a black pixel still sends out, panel and reflections together."""

VIEWING_DISTANCE_MM = 1000.0
"""From eye to face: two people who talk to each other."""

_FIRST_PEAK, _SECOND_PEAK = 0.5, 0.14
"""Cycles a texel at which the finest band and the one below it are most sensitive."""

LUMA = (0.2126, 0.7152, 0.0722)
"""Parts of red, green and blue in luminance (Rec. 709)."""


def texels_per_degree(millimetres: float, distance: float = VIEWING_DISTANCE_MM) -> float:
    """Texels in a degree of visual angle, for texels of ``millimetres`` seen from ``distance``."""
    return distance * math.tan(math.radians(1)) / millimetres


def band_frequency(band: int) -> float:
    """Cycles a texel at which a band responds most; 0 is the finest."""
    return _FIRST_PEAK if band == 0 else _SECOND_PEAK * 2.0 ** (1 - band)


def sensitivity(frequency: float, luminance: float, field: float = 10.0) -> float:
    """Contrast sensitivity at ``frequency`` in cycles a degree.

    ``luminance``: cd/m². ``field``: side of what is looked at, in degrees. Barten, "Formula for the
    contrast sensitivity of the human eye", Proc. SPIE 5294, 2003.
    """
    square = frequency * frequency
    optics = 5200 * math.exp(-0.0016 * square * (1 + 100 / luminance) ** 0.08)
    noise = 63 / luminance**0.83 + 1 / (1 - math.exp(-0.02 * square))
    return optics / math.sqrt((1 + 144 / field**2 + 0.64 * square) * noise)


def luminance(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(H, W) cd/m² of a display picture (H, W, 3)."""
    total: NDArray[np.float32] = _added(picture, _LUMINANCES)
    return total


def visible_error(
    test: NDArray[np.floating],
    reference: NDArray[np.floating],
    texels_per_degree: float,
    count: int = BANDS,
) -> NDArray[np.floating]:
    """(H, W) how far above the threshold of sight two luminance pictures (H, W) differ.

    In multiples of the threshold. A band is what averaging 2 x 2 pixels loses, where averages are
    brought back bilinearly; ``count`` bands add up as the root of their squares. EscaError unless H
    and W are multiples of ``2^count``.
    """
    rows, columns = reference.shape
    if rows % 2**count or columns % 2**count:
        raise EscaError(f"texture: {rows} x {columns}, expected multiples of {2**count}")
    adapted = float(reference.mean()) + BLACK_LUMINANCE
    fine = [(test - reference, reference)]
    for _ in range(count):
        difference, base = fine[-1]
        fine.append((_halved(difference), _halved(base)))
    total = np.zeros_like(fine[-1][0])
    for band in reversed(range(count)):
        weight = sensitivity(band_frequency(band) * texels_per_degree, adapted)
        total = _energy(fine[band][0], *fine[band + 1], total, weight)
    return np.sqrt(total, out=total)


@njit(cache=True, nogil=True)
def _added(picture: NDArray, tables: NDArray) -> NDArray:
    """What the ``tables`` (3, 256) say of a pixel's channels, added up."""
    rows, columns, _ = picture.shape
    total = np.empty((rows, columns), np.float32)
    for row in range(rows):
        for column in range(columns):
            red, green, blue = picture[row, column]
            total[row, column] = tables[0, red] + tables[1, green] + tables[2, blue]
    return total


@njit(cache=True, nogil=True)
def _halved(fine: NDArray) -> NDArray:
    """Means of 2 x 2 values."""
    rows, columns = fine.shape
    coarse = np.empty((rows // 2, columns // 2), fine.dtype)
    quarter = fine.dtype.type(0.25)
    for row in range(rows // 2):
        upper, lower = fine[2 * row], fine[2 * row + 1]
        for column in range(columns // 2):
            here = 2 * column
            coarse[row, column] = quarter * (
                upper[here] + upper[here + 1] + lower[here] + lower[here + 1]
            )
    return coarse


@njit(cache=True, nogil=True, error_model="numpy")
def _energy(
    difference: NDArray, coarse: NDArray, ground: NDArray, below: NDArray, weight: float
) -> NDArray:
    """Squares of a band's visible contrast, and the sum ``below`` it.

    ``difference``: (H, W). The difference's averages ``coarse``, those of the reference ``ground``
    and ``below``: (H/2, W/2), brought to (H, W) bilinearly.
    """
    rows, columns = difference.shape
    near, far = difference.dtype.type(0.75), difference.dtype.type(0.25)
    factor = difference.dtype.type(weight)
    black, zero = difference.dtype.type(BLACK_LUMINANCE), difference.dtype.type(0)
    energy = np.empty_like(difference)
    lines = np.empty((3, columns // 2), difference.dtype)
    for row in range(rows):
        here = row // 2
        other = min(max(here + (1 if row % 2 else -1), 0), rows // 2 - 1)
        for part, values in enumerate((coarse, ground, below)):
            for column in range(columns // 2):
                lines[part, column] = near * values[here, column] + far * values[other, column]
        for column in range(columns):
            here = column // 2
            other = min(max(here + (1 if column % 2 else -1), 0), columns // 2 - 1)
            low = near * lines[0, here] + far * lines[0, other]
            light = max(near * lines[1, here] + far * lines[1, other], zero) + black
            seen = (difference[row, column] - low) / light * factor
            energy[row, column] = seen * seen + near * lines[2, here] + far * lines[2, other]
    return energy


def _linear(encoded: NDArray[np.floating]) -> NDArray[np.floating]:
    """Linear light of sRGB values in [0, 1]."""
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


_LUMINANCES = np.stack(
    [PEAK_LUMINANCE * weight * _linear(np.arange(256) / 255) for weight in LUMA]
).astype(np.float32)
