"""Pictures of the row of heads as a browser's camera sees it, drawn here and not in the browser.

A browser without a GPU needs longer for drawing a textured mesh, and for taking a new one, than all
decoders together; a picture costs it little, and every browser shows the same one.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from esca.captures.geometry import FloatArray
from esca.rendering.raster import project
from esca.rendering.shading import draw, texel_corners
from esca.viewer.heads import Head, Surface
from esca.viewer.subject import MM, Picture, Subject

BACKGROUND = (58, 61, 66)
"""Neutral and dark, so that neither skin nor error colours are tinted or dazzled by it."""

SPACING = 1.18
"""Distance of two heads in head widths."""

_INK = (226, 226, 226)
_CUT = 240
"""Grey of the line between the halves of a split head."""

_LABEL_ABOVE = 0.53
"""Where labels stand, in head heights above the middle."""

_LABEL_SIZE = 0.026
"""Height of letters in heights of the picture."""


@dataclass(frozen=True, eq=False)
class Eye:
    """A browser's camera, in the page's unit (100 mm) with the heads' middle at 0.

    ``position``: (3,). ``axes``: (3, 3), rows right, down and forward. ``view``: vertical field of
    view in radians. ``size``: rows and columns of its picture.
    """

    position: FloatArray
    axes: FloatArray
    view: float
    size: tuple[int, int]

    @property
    def projection(self) -> NDArray[np.float64]:
        """(3, 4) from the page's unit to homogeneous pixels."""
        rows, columns = self.size
        focal = rows / 2 / math.tan(self.view / 2)
        lens = np.array([[focal, 0, columns / 2], [0, focal, rows / 2], [0, 0, 1.0]])
        turned = lens @ self.axes
        return np.concatenate([turned, -turned @ self.position[:, None]], axis=1)

    @property
    def right(self) -> NDArray[np.float64]:
        """(3,) level direction along which heads stand beside each other for this eye."""
        azimuth = math.atan2(float(self.position[0]), float(self.position[2]))
        return np.array([math.cos(azimuth), 0.0, -math.sin(azimuth)])


class Drawing:
    """Draws heads of one subject."""

    def __init__(self, subject: Subject) -> None:
        topology = subject.capture.topology
        self._faces = topology.faces.astype(np.int64)
        self._uvs = texel_corners(topology, subject.avatar.texture_size)
        self._width, self._height = subject.size[0] * MM, subject.size[1] * MM
        # From millimetres to the page's unit.
        self._placed = np.concatenate([np.eye(3) * MM, -subject.centre[:, None] * MM], axis=1)
        self._placed = np.concatenate([self._placed, [[0, 0, 0, 1.0]]])

    def draw(self, heads: Sequence[Head], eye: Eye, samples: int = 1) -> Picture:
        """(H, W, 3) uint8 picture of heads from left to right, each under its label.

        Each pixel is the mean of ``samples`` x ``samples``.
        """
        if samples > 1:
            rows, columns = eye.size
            fine = self.draw(heads, replace(eye, size=(rows * samples, columns * samples)))
            parts = fine.reshape(rows, samples, columns, samples, 3)
            return np.rint(parts.mean((1, 3), np.float32)).astype(np.uint8)
        picture = np.empty((*eye.size, 3), np.uint8)
        picture[:] = BACKGROUND
        projection = eye.projection
        places = np.arange(len(heads)) - (len(heads) - 1) / 2
        offsets = places[:, None] * SPACING * self._width * eye.right
        for head, offset in zip(heads, offsets, strict=True):
            moved = projection.copy()
            moved[:, 3] += projection[:, :3] @ offset
            self._head(picture, head, moved, eye.right)
        # Labels last: no head hides one.
        for head, offset in zip(heads, offsets, strict=True):
            above = _pixel(projection, offset + np.array([0, self._height * _LABEL_ABOVE, 0]))
            if above is not None:
                _write(picture, head.label, above)
        return picture

    def _head(
        self, picture: Picture, head: Head, projection: FloatArray, right: FloatArray
    ) -> None:
        columns = picture.shape[1]
        if len(head.surfaces) == 1:
            self._surface(picture, head.surfaces[0](), projection, 0, columns)
            return
        middle, edge = _pixel(projection, np.zeros(3)), _pixel(projection, right * self._width / 2)
        if middle is None or edge is None:
            return
        cut = round(float(np.clip(middle[0] + head.cut * (edge[0] - middle[0]), 0, columns)))
        self._surface(picture, head.surfaces[0](), projection, 0, cut)
        self._surface(picture, head.surfaces[1](), projection, cut, columns)
        line = picture[:, max(cut - 1, 0) : min(cut + 1, columns)]
        line[(line != BACKGROUND).any(2)] = _CUT

    def _surface(
        self, picture: Picture, surface: Surface, projection: FloatArray, left: int, right: int
    ) -> None:
        """Draw into columns ``left`` to ``right``."""
        corners = project(surface.vertices.astype(np.float64), projection @ self._placed)
        draw(picture, corners, self._faces, self._uvs, surface.picture, columns=(left, right))


def _pixel(projection: FloatArray, point: FloatArray) -> tuple[float, float] | None:
    """Column and row of a point (3,), None behind the camera."""
    x, y, w = projection[:, :3] @ point + projection[:, 3]
    return (float(x / w), float(y / w)) if w > 0 else None


def _write(picture: Picture, text: str, at: tuple[float, float]) -> None:
    """Write one line in the middle above a place (column, row), as much of it as is inside."""
    rows = len(picture)
    mask = _letters(text, max(10, round(_LABEL_SIZE * rows)))
    height, width = mask.shape
    left, top = round(at[0] - width / 2), round(at[1] - height)
    part = picture[max(top, 0) : max(top + height, 0), max(left, 0) : max(left + width, 0)]
    if not part.size:
        return
    down, across = max(-top, 0), max(-left, 0)
    share = mask[down : down + part.shape[0], across : across + part.shape[1], None]
    part[:] = np.rint(part + share * (np.array(_INK, np.float32) - part))


@cache
def _letters(text: str, size: int) -> NDArray[np.float32]:
    """(H, W) how much of each pixel the letters cover."""
    font = ImageFont.load_default(size)
    left, _, right, _ = font.getbbox(text)
    # All have one height, so that labels beside each other stand on one line.
    _, _, _, height = font.getbbox("|g")
    picture = Image.new("L", (math.ceil(right - left), math.ceil(height)))
    ImageDraw.Draw(picture).text((-left, 0), text, fill=255, font=font)
    return np.asarray(picture, np.float32) / np.float32(255)
