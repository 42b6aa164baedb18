"""Undoing the tone mapping of the page, so that a texture is shown with its own display values.

The page's renderer (three.js) maps all colours through a fit of the ACES filmic curve by Stephen
Hill, also those of unlit materials, and offers no switch. The fit is invertible except near white:
textures are sent through its inverse. ``FACTOR`` is what the material multiplies them by, since
bright display values need more light than a texel can hold; up to 240 of 255 come out as they are.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating]

FACTOR = 2.0
"""Factor of the material. A larger one reaches closer to white and leaves coarser steps below."""

_EXPOSURE = 1 / 0.6
_IN = np.array(
    [[0.59719, 0.35458, 0.04823], [0.07600, 0.90834, 0.01566], [0.02840, 0.13383, 0.83777]]
)
_OUT = np.array(
    [[1.60475, -0.53108, -0.07367], [-0.10208, 1.10813, -0.00605], [-0.00327, -0.07276, 1.07602]]
)
# The curve is (v (v + A) - B) / (v (C v + D) + E).
_A, _B, _C, _D, _E = 0.0245786, 0.000090537, 0.983729, 0.4329510, 0.238081
_BRIGHTEST = 0.985
"""Linear values above are clipped: the curve's inverse grows without bound towards 1 / C."""


def shown(texels: FloatArray) -> FloatArray:
    """Display values in [0, 1] that the page shows for texels (..., 3) in [0, 1], both sRGB."""
    value = linear(texels) * FACTOR * _EXPOSURE @ _IN.T
    value = (value * (value + _A) - _B) / (value * (_C * value + _D) + _E)
    return encoded(np.clip(value @ _OUT.T, 0, 1))


def texels_for(display: FloatArray) -> FloatArray:
    """Texels (..., 3) in [0, 1] that the page shows as ``display``; the inverse of :func:`shown`.

    Clipped where no texel can: the brightest grey is 242 of 255.
    """
    value = np.clip(linear(display) @ np.linalg.inv(_OUT).T, 0, _BRIGHTEST)
    a, b, c = 1 - _C * value, _A - _D * value, -(_B + _E * value)
    value = (-b + np.sqrt(b * b - 4 * a * c)) / (2 * a)
    return encoded(np.clip(value @ np.linalg.inv(_IN).T / (_EXPOSURE * FACTOR), 0, 1))


def as_texels(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """:func:`texels_for` of a picture (H, W, 3) uint8, as (H, W, 4) of which the last is unused.

    Through a table of seven bits a channel, so that it takes a few milliseconds; a level off.
    """
    index = picture[..., 0].astype(np.uint32)
    for channel in (1, 2):
        index &= 0xFFFFFFFE
        index <<= 7
        index |= picture[..., channel]
    index >>= 1
    return _table().take(index).view(np.uint8).reshape(*picture.shape[:2], 4)


def linear(encoded: FloatArray) -> FloatArray:
    """Linear light of sRGB values in [0, 1]."""
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


def encoded(linear: FloatArray) -> FloatArray:
    """SRGB values of linear light in [0, 1]."""
    light = np.clip(linear, 0, None)
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


@cache
def _table() -> NDArray[np.uint32]:
    """(2^21,) texels, a byte a channel and one unused, by seven bits each of red, green, blue."""
    axis = (np.arange(128) * 2 + 0.5) / 255
    texels = np.zeros((128, 128, 128, 4), np.uint8)
    for number, red in enumerate(axis):
        green, blue = np.meshgrid(axis, axis, indexing="ij")
        display = np.stack([np.full_like(green, red), green, blue], axis=-1)
        texels[number, ..., :3] = np.rint(texels_for(display) * 255)
    return texels.view(np.uint32).ravel()
