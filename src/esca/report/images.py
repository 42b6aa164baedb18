"""Pictures of the page: files as data URIs, amplified errors, overlays on the texture."""

import base64
import io
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from esca.errors import EscaError
from esca.report.extra import needed

Bytes = NDArray[np.uint8]
Floats = NDArray[np.floating]

Value = TypeVar("Value", bound=np.generic)

ERROR_GAIN = 8
"""How much differences are amplified."""

ERROR_MAP = "inferno"
HEAT_MAP = "viridis"
MASK_TINT = np.array([230, 120, 0], np.float32)


@dataclass(frozen=True)
class Picture:
    """An image ready for a page: ``uri`` holds the file itself, ``alt`` says what is seen."""

    uri: str
    width: int
    height: int
    alt: str


def data_uri(content: bytes, kind: str) -> str:
    """``content`` as a ``data:`` URI of media type ``kind``."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def picture(pixels: Bytes, alt: str, quality: int | None = 90) -> Picture:
    """WebP of (H, W, 3) uint8 RGB; lossless without a quality. EscaError for anything else."""
    check_frame(pixels, alt)
    buffer = io.BytesIO()
    options = {"lossless": True} if quality is None else {"quality": quality}
    Image.fromarray(pixels).save(buffer, "WEBP", method=4, **options)
    return Picture(data_uri(buffer.getvalue(), "image/webp"), pixels.shape[1], pixels.shape[0], alt)


def reduced(pixels: Bytes, most_rows: int) -> Bytes:
    """(H, W, 3) area-averaged to at most ``most_rows`` rows; as it is where that is enough."""
    if pixels.shape[0] <= most_rows:
        return pixels
    columns = max(round(pixels.shape[1] * most_rows / pixels.shape[0]), 1)
    return np.asarray(Image.fromarray(pixels).resize((columns, most_rows), Image.Resampling.BOX))


def check_frame(pixels: Bytes, name: str) -> None:
    """EscaError unless ``pixels`` is (H, W, 3) uint8."""
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8 or not pixels.size:
        raise EscaError(
            f"report: {name}: expected (H, W, 3) uint8, got {pixels.shape} {pixels.dtype}"
        )


def coloured(values: Floats, name: str) -> Bytes:
    """Values in [0, 1], any shape, to RGB of the colour map ``name``; appends an axis of 3."""
    colours = needed("matplotlib").colormaps[name]
    rgb: Bytes = colours(np.clip(values, 0, 1), bytes=True)[..., :3]
    return rgb


def gradient(name: str, stops: int = 9) -> str:
    """CSS colour stops of the colour map ``name``, from low to high."""
    rgb = coloured(np.linspace(0, 1, stops), name)
    return ", ".join(f"rgb({r} {g} {b})" for r, g, b in rgb.tolist())


def error_map(picture_a: Bytes, picture_b: Bytes) -> Bytes:
    """Largest difference of the three channels, amplified by ERROR_GAIN, as colours.

    Two (..., H, W, 3) uint8 arrays of one shape; the colour map's top means a difference of
    255 / ERROR_GAIN levels or more.
    """
    if picture_a.shape != picture_b.shape:
        raise EscaError(
            f"report: pictures of {picture_a.shape} and {picture_b.shape}, expected one shape"
        )
    return error_colours(np.abs(picture_a.astype(np.int16) - picture_b).max(-1))


def error_colours(levels: NDArray[Any]) -> Bytes:
    """Differences in grey levels (..., H, W), amplified by ERROR_GAIN, as colours."""
    return coloured(levels * (ERROR_GAIN / 255), ERROR_MAP)


def top_level() -> int:
    """Difference in 8-bit levels at which the error map's colours end."""
    return round(255 / ERROR_GAIN)


def upright(texture: NDArray[Value], size: int) -> NDArray[Value]:
    """A (T, T, ...) map from array orientation to the way a texture file shows it.

    Thinned or repeated to ``size`` texels along a side by nearest neighbours.
    """
    rows = (np.arange(size) + 0.5) * texture.shape[0] // size
    columns = (np.arange(size) + 0.5) * texture.shape[1] // size
    return texture[::-1][rows.astype(int)][:, columns.astype(int)]


def heat_overlay(texture: Bytes, values: Floats) -> tuple[Bytes, float]:
    """``values`` (T, T) >= 0 as colours over the grey texture (T, T, 3); zero stays plain grey.

    Returns the picture and the value of the brightest colour: the 99th percentile of what is not
    zero (0 if all is zero).
    """
    present = values[values > 0]
    top = float(np.percentile(present, 99)) if present.size else 0.0
    grey = texture.astype(np.float32).mean(-1, keepdims=True)
    heat = coloured(values / top if top else values, HEAT_MAP).astype(np.float32)
    mixed = np.where(values[..., None] > 0, 0.62 * heat + 0.38 * grey, 0.55 * grey)
    return mixed.astype(np.uint8), top


def mask_overlay(texture: Bytes, mask: Floats) -> Bytes:
    """The texture (T, T, 3), tinted where ``mask`` (T, T) in [0, 1] is set and dimmed elsewhere."""
    share = np.clip(mask, 0, 1)[..., None].astype(np.float32)
    pixels = texture.astype(np.float32)
    inside = 0.6 * pixels + 0.4 * MASK_TINT
    outside = 0.7 * pixels.mean(-1, keepdims=True)
    return (share * inside + (1 - share) * outside).astype(np.uint8)
