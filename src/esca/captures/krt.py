"""Camera calibrations: the ``KRT`` file.

Nine lines a camera: its id; three rows of K in pixels; five distortion values; three rows of
``[R|t]``, world to camera, in mm; a blank line.
"""

from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from esca.captures.geometry import PHOTO_SIZE, Camera
from esca.captures.plain import parse_numbers, read_text
from esca.errors import EscaError

LINES = 9
_ROWS = (3, 3, 3, 5, 4, 4, 4)
"""Values on each line after the id."""

_ORTHONORMAL = 1e-2
"""Largest accepted entry of ``R R^T - I``: printed rotations are rounded, garbage is far off."""


def parse_krt(
    text: str, size: tuple[int, int] = PHOTO_SIZE
) -> tuple[tuple[Camera, ...], tuple[str, ...]]:
    """All cameras that can be read, in file order, and one message for each that cannot.

    ``size``: (rows, columns) of the photos, which the file does not hold.
    """
    lines = text.rstrip().splitlines()
    cameras: dict[str, Camera] = {}
    problems = []
    for start in range(0, len(lines), LINES):
        block = lines[start : start + LINES]
        try:
            camera = _camera(block, size)
            if camera.id in cameras:
                raise ValueError(f"camera {camera.id} stands there twice")
            cameras[camera.id] = camera
        except ValueError as error:
            problems.append(f"line {start + 1}: {error}")
    if not cameras and not problems:
        problems.append("holds no cameras")
    return tuple(cameras.values()), tuple(problems)


def _camera(block: Sequence[str], size: tuple[int, int]) -> Camera:
    name = block[0].strip()
    if len(name.split()) != 1:
        raise ValueError(f"{name[:40]!r}, expected a camera id")
    if len(block) < LINES - 1 or any(line.strip() for line in block[LINES - 1 :]):
        raise ValueError(f"camera {name}: expected {LINES} lines, the last of them blank")
    rows = []
    for offset, (line, count) in enumerate(zip(block[1:], _ROWS, strict=False), start=2):
        try:
            rows.append(parse_numbers(line))
        except ValueError as error:
            raise ValueError(f"camera {name}: its line {offset}: {error}") from error
        if len(rows[-1]) != count:
            raise ValueError(
                f"camera {name}: its line {offset} holds {len(rows[-1])} values, expected {count}"
            )
    intrinsics, extrinsics = np.stack(rows[:3]), np.stack(rows[4:])
    if intrinsics[0, 0] <= 0 or intrinsics[1, 1] <= 0 or (intrinsics[2] != (0, 0, 1)).any():
        raise ValueError(
            f"camera {name}: expected positive focal lengths and 0 0 1 as third row of K"
        )
    rotation = extrinsics[:, :3]
    skew = np.abs(rotation @ rotation.T - np.eye(3)).max()
    if skew > _ORTHONORMAL or np.linalg.det(rotation) < 0:
        raise ValueError(f"camera {name}: R is not a rotation (R R^T is off by {skew:.2g})")
    return Camera(name, intrinsics, extrinsics, rows[3], size)


def read_krt(path: Path, size: tuple[int, int] = PHOTO_SIZE) -> tuple[Camera, ...]:
    """All cameras in file order, which is their index. ``EscaError`` at the first wrong one."""
    cameras, problems = parse_krt(read_text(path), size)
    if problems:
        raise EscaError(f"{path}: {problems[0]}")
    return cameras


def write_krt(path: Path, cameras: Iterable[Camera]) -> None:
    """Write cameras; every number comes back exactly."""
    path.write_text("".join(map(_block, cameras)), encoding="utf-8")


def _block(camera: Camera) -> str:
    rows: Iterable[NDArray[np.float64]] = chain(
        camera.intrinsics, [camera.distortion], camera.extrinsics
    )
    lines = [camera.id, *(" ".join(repr(float(value)) for value in row) for row in rows), ""]
    return "".join(f"{line}\n" for line in lines)
