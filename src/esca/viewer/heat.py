"""A fast stand-in for a visible-difference metric: where on a texture an error would be seen.

The luminance difference of two display textures is split into frequency bands; each band is divided
by the local luminance (contrast) and weighted with the eye's contrast sensitivity at its frequency;
then the bands are joined. 1 means that a difference of this contrast, alone on a plain surface, is
about to be seen. This is NOT FovVideoVDP: no masking by the face's own detail, no colour, no
motion, no gaze, and texels instead of pixels, so seams of the chart are not crossed.
"""

import math

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

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

_WEIGHTS = (0.2126, 0.7152, 0.0722)


def texels_per_degree(millimetres: float, distance: float = VIEWING_DISTANCE_MM) -> float:
    """Texels in a degree of visual angle, for texels of ``millimetres`` seen from ``distance``."""
    return distance * math.tan(math.radians(1)) / millimetres


def band_frequency(band: int) -> float:
    """Cycles a texel at which a band of :func:`bands` responds most; 0 is the finest."""
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


def luminance(picture: NDArray[np.uint8]) -> Tensor:
    """(H, W) float32 cd/m² of a display picture (H, W, 3)."""
    return torch.from_numpy(_added(picture, _LUMINANCES))


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


def bands(values: Tensor, count: int = BANDS) -> tuple[list[Tensor], list[Tensor]]:
    """Band-pass and low-pass pictures of (N, H, W): what averaging 2 x 2 pixels loses, repeatedly.

    Band k has a side of ``H / 2^k``; its low-pass picture is the average, brought back to that side
    bilinearly. ``H`` and ``W`` must be multiples of ``2^count``.
    """
    rows, columns = values.shape[-2:]
    if rows % 2**count or columns % 2**count:
        raise EscaError(f"texture: {rows} x {columns}, expected multiples of {2**count}")
    passed, low = [], []
    fine = values[None]
    for _ in range(count):
        # Bilinear at half the size is the mean of 2 x 2, and several times as fast as pooling.
        coarse = _resized(fine, 0.5)
        back = _resized(coarse, 2)
        passed.append((fine - back)[0])
        low.append(back[0])
        fine = coarse
    return passed, low


def visible_error(
    test: Tensor, reference: Tensor, texels_per_degree: float, count: int = BANDS
) -> Tensor:
    """(H, W) how far above the threshold of sight two luminance pictures (H, W) differ.

    In multiples of the threshold; bands add up as the root of their squares.
    """
    passed, low = bands(torch.stack([test - reference, reference]), count)
    adapted = float(reference.mean()) + BLACK_LUMINANCE
    total = torch.zeros(())
    for band in reversed(range(count)):
        weight = sensitivity(band_frequency(band) * texels_per_degree, adapted)
        seen = passed[band][0] / (low[band][1].clamp_min(0) + BLACK_LUMINANCE) * weight
        energy = seen.square()
        if band < count - 1:
            energy += _resized(total[None, None], 2)[0, 0]
        total = energy
    return total.sqrt_()


def _resized(values: Tensor, factor: float) -> Tensor:
    return functional.interpolate(values, scale_factor=factor, mode="bilinear", align_corners=False)


def _linear(encoded: NDArray[np.floating]) -> NDArray[np.floating]:
    """Linear light of sRGB values in [0, 1]."""
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


_LUMINANCES = np.stack(
    [PEAK_LUMINANCE * weight * _linear(np.arange(256) / 255) for weight in _WEIGHTS]
).astype(np.float32)
