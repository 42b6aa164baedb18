"""Colours of the error maps, and their legends."""

from functools import cache

import numpy as np
from numba import njit
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Picture = NDArray[np.uint8]

LEVELS = 64
"""Steps of error and of grey in the tables of colours."""

_HEAT = np.array(
    [
        (0.00, 38, 46, 66),
        (0.20, 62, 76, 138),
        (0.40, 128, 62, 142),
        (0.60, 204, 70, 96),
        (0.80, 240, 138, 54),
        (1.00, 250, 232, 128),
    ]
)
"""Position and display RGB: dark blue is nothing, yellow the full scale; lightness rises evenly."""

_INK = (200, 200, 200, 255)
"""Of marks on the dark panel."""

_SIGNED = np.array([(-1.0, 46, 110, 190), (0.0, 128, 128, 128), (1.0, 214, 96, 42)])


def heat_texture(error: NDArray[np.float32], grey: Picture, full: float) -> Picture:
    """(H, W, 3) texels of an error map (H, W) over a faint grey picture (H, W) uint8.

    ``full``: the error that has the last colour.
    """
    texels: Picture = _coloured(error, grey, (LEVELS - 1) / full, _heat_table())
    return texels


@njit(cache=True, nogil=True)
def _coloured(error: NDArray, grey: NDArray, factor: float, table: NDArray) -> NDArray:
    """Rows of ``table`` (LEVELS * LEVELS, 3) by level of ``error * factor`` and of ``grey``."""
    rows, columns = error.shape
    texels = np.empty((rows, columns, 3), np.uint8)
    scale, most, half = np.float32(factor), np.float32(LEVELS - 1), np.float32(0.5)
    for row in range(rows):
        for column in range(columns):
            level = np.uint32(min(max(error[row, column] * scale + half, half), most))
            colour = table[level * LEVELS + (grey[row, column] >> 2)]
            for channel in range(3):
                texels[row, column, channel] = colour[channel]
    return texels


def signed_texture(difference: NDArray[np.float32], full: float) -> Picture:
    """(H, W, 3) texels of a signed difference (H, W): blue darker, orange brighter, grey equal."""
    level = np.clip(difference * (127 / full) + 127.5, 0, 255).astype(np.uint8)
    return _signed_table().take(level, axis=0)


def heat_colours(parts: NDArray[np.floating]) -> NDArray[np.float64]:
    """(..., 3) display colours 0 to 255 of parts of the full scale."""
    return _colours(_HEAT, parts)


def heat_legend(full: float) -> Picture:
    """A bar of the heat colours with its scale below."""
    marks = [(1.0, "1x"), (full / 2, f"{full / 2:g}x"), (full, f"{full:g}x")]
    return _legend(heat_colours(np.linspace(0, 1, 256)), [(at / full, text) for at, text in marks])


def signed_legend(full: float) -> Picture:
    """A bar of the signed colours with its scale below, in display levels."""
    bar = _colours(_SIGNED, np.linspace(-1, 1, 256))
    return _legend(bar, [(0, f"-{full:g} darker"), (0.5, "0"), (1, f"+{full:g} brighter")])


def _colours(stops: NDArray[np.float64], at: NDArray[np.floating]) -> NDArray[np.float64]:
    return np.stack([np.interp(at, stops[:, 0], stops[:, 1 + c]) for c in range(3)], axis=-1)


@cache
def _heat_table() -> Picture:
    """(LEVELS * LEVELS, 3) texels by level of error and grey."""
    parts = np.linspace(0, 1, LEVELS)
    grey = np.linspace(0, 1, LEVELS)
    # What is not wrong shows the face faintly, so that one sees where one is.
    light = 0.55 + 0.9 * grey[None, :, None]
    colours = heat_colours(parts)[:, None] * (
        light * (1 - parts)[:, None, None] + parts[:, None, None]
    )
    return _as_table(colours.reshape(-1, 3))


@cache
def _signed_table() -> Picture:
    return _as_table(_colours(_SIGNED, np.linspace(-1, 1, 256)))


def _as_table(colours: NDArray[np.floating]) -> Picture:
    return np.rint(np.clip(colours, 0, 255)).astype(np.uint8)


def _legend(bar: NDArray[np.floating], marks: list[tuple[float, str]]) -> Picture:
    """(66, 520, 4), transparent around: sharp also on a screen of high density."""
    picture = Image.new("RGBA", (520, 66))
    row = Image.fromarray(np.rint(bar).astype(np.uint8)[None])
    picture.paste(row.resize((500, 24)), (10, 4))
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(22)
    for at, text in marks:
        x = 10 + round(at * 499)
        draw.line([(x, 24), (x, 33)], fill=_INK, width=2)
        anchor, edge = ("la", 10) if at < 0.1 else ("ra", 509) if at > 0.9 else ("ma", x)
        draw.text((edge, 35), text, fill=_INK, font=font, anchor=anchor)
    return np.asarray(picture)
