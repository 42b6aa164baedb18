"""Plain files of a capture: text, numbers in text, raw float32 arrays, PNG images.

Every reader turns whatever is wrong with a file into one ``EscaError`` that names it.
"""

import zlib
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from esca.errors import EscaError

PNG_STRATEGY = zlib.Z_RLE
"""Runs only: as fast as zlib's level 1, and on photos and textures no larger than its level 6."""


def read_text(path: Path) -> str:
    """A UTF-8 text file."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise EscaError(f"{path}: missing") from error
    except (OSError, UnicodeDecodeError) as error:
        raise EscaError(f"{path}: not a readable text file ({error})") from error


def parse_numbers(text: str) -> NDArray[np.float64]:
    """White-space separated finite numbers; ``ValueError`` where one is not."""
    values = np.array([float(word) for word in text.split()])
    if not np.isfinite(values).all():
        raise ValueError("a number is not finite")
    return values


def read_numbers(path: Path, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Exactly as many numbers as ``shape`` holds, row by row."""
    text, expected = read_text(path), int(np.prod(shape))
    try:
        values = parse_numbers(text)
    except ValueError as error:
        raise EscaError(f"{path}: {error}; expected {expected} finite numbers") from error
    if values.size != expected:
        raise EscaError(f"{path}: holds {values.size} numbers, expected {expected}")
    return values.reshape(shape)


def read_variance(path: Path) -> float:
    """One positive number."""
    variance = float(read_numbers(path, (1,))[0])
    if variance <= 0:
        raise EscaError(f"{path}: the variance is {variance:g}, expected a positive number")
    return variance


def read_float32(path: Path, count: int | None = None) -> NDArray[np.float32]:
    """A raw little-endian float32 file of ``count`` values (any number if None), all finite."""
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise EscaError(f"{path}: missing") from error
    except OSError as error:
        raise EscaError(f"{path}: cannot be read ({error})") from error
    if count is not None and len(data) != 4 * count:
        raise EscaError(
            f"{path}: holds {len(data)} bytes, expected {4 * count} ({count} float32 values)"
        )
    if len(data) % 4 or not data:
        raise EscaError(f"{path}: holds {len(data)} bytes, expected float32 values")
    values = np.frombuffer(data, dtype="<f4").astype(np.float32)
    if not np.isfinite(values).all():
        raise EscaError(f"{path}: holds NaN or infinity, expected finite values")
    return values


def write_float32(path: Path, values: NDArray[np.floating]) -> None:
    """Write raw little-endian float32 values."""
    path.write_bytes(np.ascontiguousarray(values, dtype="<f4").tobytes())


def read_png(path: Path, mode: Literal["RGB", "L"] = "RGB") -> NDArray[np.uint8]:
    """Decode a PNG, rows from top to bottom as in the file.

    ``mode`` "RGB" gives (H, W, 3) and asks for an 8-bit RGB file, so that no value is ever
    converted unseen. "L" gives (H, W) and takes any image, as masks are drawn in many formats.
    """
    try:
        with Image.open(path, formats=["PNG"]) as image:
            if mode == "RGB" and image.mode != "RGB":
                raise EscaError(f"{path}: is of mode {image.mode}, expected an 8-bit RGB PNG")
            return np.asarray(image if image.mode == mode else image.convert(mode))
    except FileNotFoundError as error:
        raise EscaError(f"{path}: missing") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise EscaError(f"{path}: not a readable PNG ({error})") from error


def png_size(path: Path) -> tuple[int, int]:
    """(rows, columns) of a PNG, from its header alone."""
    try:
        with Image.open(path, formats=["PNG"]) as image:
            return image.height, image.width
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise EscaError(f"{path}: not a readable PNG ({error})") from error


def write_png(path: Path, image: NDArray[np.uint8]) -> None:
    """Write (H, W, 3) RGB or (H, W) grey uint8, rows from top to bottom."""
    picture = Image.fromarray(np.ascontiguousarray(image))
    picture.save(path, format="PNG", compress_type=PNG_STRATEGY)
