"""Which part of a photo is scored: the head, and the regions of the face inside it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from esca.captures.geometry import Camera, FloatArray, Topology
from esca.errors import EscaError
from esca.evaluation.protocol import Crop
from esca.rendering.raster import Raster, project

SMALLEST = 32
"""Fewest rows and columns of a region's crop: below it the metrics have nothing to work on."""


@dataclass(frozen=True)
class Box:
    """Rows ``top`` to ``bottom`` and columns ``left`` to ``right``, the last ones not included."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def slices(self) -> tuple[slice, slice, slice]:
        """Index of a (F, H, W) or (F, H, W, 3) video."""
        return slice(None), slice(self.top, self.bottom), slice(self.left, self.right)

    def union(self, other: "Box") -> "Box":
        """The smallest box around both."""
        return Box(
            min(self.top, other.top),
            max(self.bottom, other.bottom),
            min(self.left, other.left),
            max(self.right, other.right),
        )

    def widened(self, margin: float, smallest: int, size: tuple[int, int]) -> "Box":
        """Grown on all sides by ``margin`` of itself and to ``smallest``, inside ``size``."""
        top, bottom = _widened(self.top, self.bottom, margin, smallest, size[0])
        left, right = _widened(self.left, self.right, margin, smallest, size[1])
        return Box(top, bottom, left, right)


def framed_vertices(
    topology: Topology, count: int, crop: Crop, regions: Mapping[str, NDArray[np.bool_]]
) -> NDArray[np.int64]:
    """Which of ``count`` vertices the window holds: all, or those inside the region ``face``."""
    if crop == "head":
        return np.arange(count)
    if "face" not in regions:
        raise EscaError("protocol crop: 'face' needs a facial region named face")
    mask = regions["face"]
    columns, rows = np.clip((topology.uvs * len(mask)).astype(int), 0, len(mask) - 1).T
    inside = mask[rows, columns][topology.uv_faces]
    framed = np.unique(topology.faces[inside])
    if not len(framed):
        raise EscaError("region face: holds no vertex of the mesh, expected some")
    return framed.astype(np.int64)


def head_box(
    camera: Camera,
    meshes: Sequence[NDArray[np.floating]],
    transforms: FloatArray,
    margin: float,
) -> Box:
    """Full-size pixels around the meshes (V, 3) of all frames as ``camera`` sees them.

    ``margin``: border as a part of the box. EscaError if the head is outside the picture.
    """
    points = np.concatenate(
        [
            project(np.asarray(mesh, np.float64), camera.projection(transform))
            for mesh, transform in zip(meshes, transforms, strict=True)
        ]
    )
    points = points[points[:, 2] > 0]
    rows, columns = camera.size
    if len(points):
        x, y = (points[:, :2] / points[:, 2:]).T
        found = Box(*(int(edge) for edge in (y.min(), y.max() + 1, x.min(), x.max() + 1)))
        if found.bottom > 0 and found.top < rows and found.right > 0 and found.left < columns:
            return found.widened(margin, 1, camera.size)
    raise EscaError(f"camera {camera.id}: does not see the head, expected it in the picture")


def cropped(camera: Camera, box: Box, scale: float) -> Camera:
    """``camera`` limited to ``box`` and scaled; whole pixels, so up to one of them is cut off."""
    size = int((box.bottom - box.top) * scale), int((box.right - box.left) * scale)
    if min(size) < 1:
        raise EscaError(f"protocol scale: {scale:g} leaves nothing of camera {camera.id}'s window")
    return camera.window(box.top, box.left, size, scale)


def crop_photo(
    photo: NDArray[np.uint8], box: Box, size: tuple[int, int], scale: float
) -> NDArray[np.float32]:
    """(H, W, 3) float32 of the photo's ``box``, each pixel the mean of the area that it covers."""
    rows, columns = size
    area = (box.left, box.top, box.left + columns / scale, box.top + rows / scale)
    planes = [
        Image.fromarray(photo[..., channel].astype(np.float32)).resize(
            (columns, rows), Image.Resampling.BOX, area
        )
        for channel in range(3)
    ]
    return np.stack([np.asarray(plane) for plane in planes], axis=2)


def region_boxes(
    raster: Raster,
    topology: Topology,
    regions: Mapping[str, NDArray[np.bool_]],
    supersample: int,
) -> dict[str, Box]:
    """Pixels around each region (T, T) that is in sight, none for the others.

    ``raster`` is ``supersample`` times finer than the pixels.
    """
    rows, columns = np.nonzero(raster.foreground)
    uv = raster.interpolate(topology.uvs, topology.uv_faces)
    boxes = {}
    for name, mask in regions.items():
        size = len(mask)
        texels = np.clip((uv * size).astype(np.int64), 0, size - 1)
        inside = mask[texels[:, 1], texels[:, 0]]
        if inside.any():
            y, x = rows[inside] // supersample, columns[inside] // supersample
            edges = y.min(), y.max() + 1, x.min(), x.max() + 1
            boxes[name] = Box(*(int(edge) for edge in edges))
    return boxes


def joined(boxes: Iterable[Mapping[str, Box]]) -> dict[str, Box]:
    """The smallest box of each name around all boxes of that name."""
    result: dict[str, Box] = {}
    for frame in boxes:
        for name, box in frame.items():
            result[name] = result[name].union(box) if name in result else box
    return result


def _widened(first: int, last: int, margin: float, smallest: int, limit: int) -> tuple[int, int]:
    length = max(smallest, round((last - first) * (1 + 2 * margin)))
    start = (first + last - length) // 2
    start = max(0, min(start, limit - length))
    return start, min(limit, start + length)
