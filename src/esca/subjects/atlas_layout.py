"""One texture chart for many: where each part of a head goes in the shared atlas."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from esca.captures.geometry import FloatArray, Topology
from esca.rendering.atlas import rasterize_uv

GRID = 64
"""Rectangles lie on a grid of 1/64 of the atlas, so they are whole texels at sizes of n * 64."""

GUTTER = 1.0 / 128.0
"""Border that a chart keeps inside its rectangle, as a share of the atlas."""

_PROBE = 256
_OVERLAP = 0.02


@dataclass(frozen=True)
class Rectangle:
    """Part of the atlas, in units of its side; v grows with the rows of the array orientation."""

    u: float
    v: float
    width: float
    height: float

    def texels(self, size: int) -> tuple[slice, slice]:
        """Rows and columns in an atlas of ``size`` texels."""
        edges = np.rint(
            np.array([self.v, self.v + self.height, self.u, self.u + self.width]) * size
        )
        top, bottom, left, right = (int(edge) for edge in edges)
        return slice(top, bottom), slice(left, right)


def pack(shares: Sequence[float], wide: bool) -> list[Rectangle]:
    """Rectangles that tile the unit square with areas as ``shares``, near square, on the grid.

    The first rectangle fills a band of the square: across it if ``wide``, else down it. The rest is
    a squarified treemap (Bruls et al. 2000) of what remains.
    """
    total = float(np.sum(shares))
    areas = [share / total for share in shares]
    band = max(min(round(areas[0] * GRID) / GRID, 1.0), 1.0 / GRID) if len(areas) > 1 else 1.0
    if len(areas) == 1:
        return [Rectangle(0.0, 0.0, 1.0, 1.0)]
    order = sorted(range(1, len(areas)), key=lambda index: -areas[index])
    if wide:
        placed = [Rectangle(0.0, 0.0, 1.0, band)]
        free = (0.0, band, 1.0, 1.0)
    else:
        placed = [Rectangle(0.0, 0.0, band, 1.0)]
        free = (band, 0.0, 1.0, 1.0)
    space = (free[2] - free[0]) * (free[3] - free[1])
    scale = space / sum(areas[index] for index in order)
    boxes = _squarify([areas[index] * scale for index in order], free)
    rest = dict(zip(order, boxes, strict=True))
    return placed + [_on_grid(rest[index]) for index in range(1, len(areas))]


Box = tuple[float, float, float, float]


def _on_grid(box: Box) -> Rectangle:
    left, top, right, bottom = (round(edge * GRID) / GRID for edge in box)
    right, bottom = max(right, left + 1 / GRID), max(bottom, top + 1 / GRID)
    return Rectangle(left, top, right - left, bottom - top)


def _squarify(areas: list[float], free: Box) -> list[Box]:
    """Boxes (left, top, right, bottom) for areas in falling order, that fill ``free``."""
    if not areas:
        return []
    left, top, right, bottom = free
    short = min(right - left, bottom - top)
    count = 1
    while count < len(areas) and _worst(areas[: count + 1], short) <= _worst(areas[:count], short):
        count += 1
    row, boxes = areas[:count], []
    thickness = sum(row) / short
    across = right - left >= bottom - top
    edge = top if across else left
    for area in row:
        length = area / thickness
        if across:
            boxes.append((left, edge, left + thickness, edge + length))
        else:
            boxes.append((edge, top, edge + length, top + thickness))
        edge += length
    remaining = (
        (left + thickness, top, right, bottom) if across else (left, top + thickness, right, bottom)
    )
    return boxes + _squarify(areas[count:], remaining)


def _worst(row: list[float], side: float) -> float:
    """Largest aspect ratio in a row of boxes along ``side``."""
    thickness = sum(row) / side
    return max(max(thickness**2 / area, area / thickness**2) for area in row)


def layers(uvs: FloatArray, faces: NDArray[np.int32]) -> list[NDArray[np.intp]]:
    """Faces of a part in groups whose charts do not overlap; mostly a single group.

    Connected patches of one orientation are kept whole and put into the first group where they
    cover no texel twice (front and back of an eye under one flat projection become two groups).
    """
    if not _overlaps(uvs, faces):
        return [np.arange(len(faces))]
    groups: list[list[NDArray[np.intp]]] = []
    masks: list[NDArray[np.bool_]] = []
    for patch in _patches(uvs, faces):
        mask = _coverage(uvs, faces[patch])
        for group, taken in zip(groups, masks, strict=True):
            if (mask & taken).sum() <= _OVERLAP * max(mask.sum(), 1):
                group.append(patch)
                taken |= mask
                break
        else:
            groups.append([patch])
            masks.append(mask)
    return [np.sort(np.concatenate(group)) for group in groups]


def _signed_areas(uvs: FloatArray, faces: NDArray[np.int32]) -> FloatArray:
    corners = uvs[faces]
    a, b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    return 0.5 * (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0])


def _coverage(uvs: FloatArray, faces: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Which texels of a small probe map the faces cover, wrapped into the unit square's bounds."""
    low, high = uvs.min(axis=0), uvs.max(axis=0)
    fitted = ((uvs - low) / np.maximum(high - low, 1e-9)).astype(np.float32)
    return rasterize_uv(Topology(faces, fitted, faces), _PROBE).foreground


def _overlaps(uvs: FloatArray, faces: NDArray[np.int32]) -> bool:
    size = float(np.prod(np.maximum(uvs.max(axis=0) - uvs.min(axis=0), 1e-9)))
    laid = float(np.abs(_signed_areas(uvs, faces)).sum()) / size
    return laid > (1.0 + _OVERLAP) * float(_coverage(uvs, faces).mean())


def _patches(uvs: FloatArray, faces: NDArray[np.int32]) -> list[NDArray[np.intp]]:
    """Faces grouped by connection (through shared vertices) within one chart orientation."""
    turned = (_signed_areas(uvs, faces) < 0).astype(np.int64)
    nodes = faces + turned[:, None] * len(uvs)
    label = np.arange(2 * len(uvs))
    while True:
        smallest = label[nodes].min(axis=1)
        before = label.copy()
        np.minimum.at(label, nodes.ravel(), np.repeat(smallest, 3))
        label = label[label]
        if np.array_equal(label, before):
            break
    owner = label[nodes[:, 0]]
    sizes = np.bincount(owner)
    patches = [np.flatnonzero(owner == name) for name in np.unique(owner)]
    return sorted(patches, key=lambda patch: -int(sizes[owner[patch[0]]]))
