"""Cameras and mesh topology, the vocabulary that every room above captures shares.

Conventions (MultiFace): millimetres; OpenCV camera axes (x right, y down, z forward); pixel centres
at +0.5; a texture array is held *flipped* against its file, so that texel ``[row, column]`` has its
centre at ``(u, v) = ((column + 0.5) / width, (row + 0.5) / height)`` of the raw ``vt`` coordinates.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

PHOTO_SIZE = (2048, 1334)
"""Rows and columns of a MultiFace photo."""


@dataclass(frozen=True, eq=False)
class Camera:
    """One calibrated pinhole camera.

    ``intrinsics``: (3, 3) in pixels. ``extrinsics``: (3, 4) ``[R|t]``, world to camera, in mm.
    ``distortion``: (5,), zero in published captures. ``size``: image (rows, columns) in pixels.
    """

    id: str
    intrinsics: FloatArray
    extrinsics: FloatArray
    distortion: FloatArray
    size: tuple[int, int] = PHOTO_SIZE

    @property
    def centre(self) -> FloatArray:
        """Camera centre in world coordinates, (3,) mm: ``-R^T t``."""
        rotation, translation = self.extrinsics[:, :3], self.extrinsics[:, 3]
        return -rotation.T @ translation

    def projection(self, transform: FloatArray) -> FloatArray:
        """(3, 4) matrix from head-aligned mm to homogeneous pixels.

        ``transform``: (3, 4) head-to-world ``[R_f|t_f]``. ``M = K [R_C R_f | R_C t_f + t_C]``.
        """
        rotation, translation = self.extrinsics[:, :3], self.extrinsics[:, 3]
        pose = np.hstack(
            [rotation @ transform[:, :3], (rotation @ transform[:, 3] + translation)[:, None]]
        )
        return self.intrinsics @ pose

    def view_direction(self, transform: FloatArray) -> FloatArray:
        """(3,) unit vector from the head's origin to the camera, in head-aligned axes."""
        offset = transform[:, :3].T @ (self.centre - transform[:, 3])
        return offset / np.linalg.norm(offset)

    def window(self, top: float, left: float, size: tuple[int, int], scale: float) -> "Camera":
        """The same camera, cropped at (``top``, ``left``) full-size pixels, then scaled.

        ``size`` is the new (rows, columns) after scaling by ``scale``.
        """
        move = np.array([[scale, 0, -left * scale], [0, scale, -top * scale], [0, 0, 1.0]])
        return replace(self, intrinsics=move @ self.intrinsics, size=size)


@dataclass(frozen=True, eq=False)
class Topology:
    """Triangles of a tracked mesh and of its texture chart.

    ``faces``: (F, 3) vertex numbers. ``uvs``: (T, 2) raw ``vt`` coordinates in [0, 1].
    ``uv_faces``: (F, 3) rows of ``uvs``. All numbers count from 0.
    """

    faces: NDArray[np.int32]
    uvs: NDArray[np.float32]
    uv_faces: NDArray[np.int32]

    @property
    def vertex_count(self) -> int:
        """Number of mesh vertices that the triangles use."""
        return int(self.faces.max()) + 1 if len(self.faces) else 0
