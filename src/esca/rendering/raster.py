"""Which triangle each pixel sees, and where on it: the geometric half of rendering.

Visibility comes from Intel Embree (one ray a pixel, ``embreex``) or, on CUDA, from nvdiffrast.
Barycentrics are solved afterwards in float64 from the projected corners of the triangle, because
single-precision hit coordinates lose digits for a camera that stands a metre away.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene
from numpy.typing import ArrayLike, NDArray

from esca.errors import EscaError

Backend = Literal["embree", "nvdiffrast"]

RAYS_AT_ONCE = 1 << 18


@dataclass(frozen=True, eq=False)
class Raster:
    """What each pixel of a picture sees.

    ``triangle``: (H, W) face number, -1 where there is none. ``barycentrics``: (H, W, 3) weights of
    the face's three corners at the 3D surface point (perspective-correct), 0 on the background.
    """

    triangle: NDArray[np.int32]
    barycentrics: NDArray[np.float32]

    @property
    def foreground(self) -> NDArray[np.bool_]:
        """(H, W): the pixels that see a triangle."""
        return self.triangle >= 0

    def interpolate(self, values: NDArray[np.floating], faces: NDArray[np.integer]) -> NDArray:
        """Per-corner ``values`` (N, C) carried to the foreground pixels, (P, C), in row order.

        ``faces``: (F, 3) rows of ``values``. Mesh faces carry vertex values, chart faces carry uvs.
        """
        seen = self.foreground
        corners = values[faces].take(self.triangle[seen], axis=0)
        return np.einsum("pk,pkc->pc", self.barycentrics[seen], corners)


class Scene:
    """A mesh made ready for rays; build it once and ask it from several cameras."""

    def __init__(self, vertices: NDArray[np.floating], faces: NDArray[np.integer]) -> None:
        """Take ``vertices`` (V, 3), mm, and ``faces`` (F, 3); EscaError if they do not fit."""
        self.vertices = checked_vertices(vertices)
        self.faces = np.asarray(faces)
        if self.faces.ndim != 2 or self.faces.shape[1] != 3 or not len(self.faces):
            raise EscaError(f"faces: expected (F, 3) vertex numbers, got {self.faces.shape}")
        if self.faces.min() < 0 or self.faces.max() >= len(self.vertices):
            raise EscaError(
                f"faces: expected vertex numbers in 0..{len(self.vertices) - 1}, "
                f"got {self.faces.min()}..{self.faces.max()}"
            )
        self._embree = EmbreeScene(robust=True)
        TriangleMesh(self._embree, self.vertices.astype(np.float32)[self.faces])

    def first_hits(self, origins: ArrayLike, directions: ArrayLike) -> NDArray[np.int32]:
        """(N,) face that each ray meets first, -1 for none; (N, 3) origins and directions."""
        return self._embree.run(np.asarray(origins, np.float32), np.asarray(directions, np.float32))

    def occluded(self, origins: ArrayLike, directions: ArrayLike) -> NDArray[np.bool_]:
        """(N,) whether each ray meets any face at all."""
        hits = self._embree.run(
            np.asarray(origins, np.float32), np.asarray(directions, np.float32), query="OCCLUDED"
        )
        return hits >= 0

    def rasterize(self, projection: NDArray[np.floating], size: tuple[int, int]) -> Raster:
        """What a camera sees; see :func:`rasterize`."""
        matrix = checked_projection(projection)
        axes = np.linalg.inv(matrix[:, :3])
        centre = -axes @ matrix[:, 3]
        corners = project(self.vertices, matrix)
        top, bottom, left, right = _bounds(corners, size)
        triangle = np.full(size, -1, np.int32)
        columns = np.arange(left, right) + 0.5
        block = max(1, RAYS_AT_ONCE // max(1, right - left))
        for first in range(top, bottom, block):
            rows = np.arange(first, min(first + block, bottom)) + 0.5
            across = columns[None, :, None] * axes[:, 0]
            directions = across + (rows[:, None, None] * axes[:, 1] + axes[:, 2])
            rays = np.ascontiguousarray(directions.reshape(-1, 3), np.float32)
            origins = np.broadcast_to(centre.astype(np.float32), rays.shape)
            hits = self.first_hits(origins, rays)
            triangle[first : first + len(rows), left:right] = hits.reshape(len(rows), -1)
        return Raster(triangle, barycentrics(corners, self.faces, triangle))


def rasterize(
    vertices: NDArray[np.floating],
    faces: NDArray[np.integer],
    projection: NDArray[np.floating],
    size: tuple[int, int],
    backend: Backend = "embree",
) -> Raster:
    """Visible triangle and perspective-correct barycentrics of every pixel.

    ``vertices``: (V, 3) head-aligned mm. ``faces``: (F, 3). ``projection``: (3, 4) from
    :meth:`esca.captures.geometry.Camera.projection`. ``size``: (rows, columns). Both sides of a
    triangle are seen. ``backend``: ``"embree"``, or ``"nvdiffrast"`` on a CUDA machine that has it.
    EscaError for shapes that do not fit, non-finite vertices or a backend that is not there.
    """
    if backend == "embree":
        return Scene(vertices, faces).rasterize(projection, size)
    if backend == "nvdiffrast":
        from esca.rendering.raster_cuda import visible_triangles

        corners = project(checked_vertices(vertices), checked_projection(projection))
        triangle = visible_triangles(corners, faces, size)
        return Raster(triangle, barycentrics(corners, faces, triangle))
    raise EscaError(f"backend: expected 'embree' or 'nvdiffrast', got {backend!r}")


def project(
    vertices: NDArray[np.floating], projection: NDArray[np.floating]
) -> NDArray[np.float64]:
    """(V, 3) homogeneous pixels ``(w x, w y, w)`` of vertices (V, 3); ``w`` is the depth in mm."""
    return vertices @ projection[:, :3].T + projection[:, 3]


def barycentrics(
    corners: NDArray[np.float64], faces: NDArray[np.integer], triangle: NDArray[np.int32]
) -> NDArray[np.float32]:
    """(H, W, 3) weights of the visible triangles' corners at the pixel centres.

    ``corners``: (V, 3) homogeneous pixels. The weight of a corner on the 3D surface is the triple
    product of the two other corners with the pixel ``(x, y, 1)``, divided by the sum of all three.
    """
    result = np.zeros((triangle.size, 3), np.float32)
    seen = np.flatnonzero(triangle.ravel() >= 0)
    visible = triangle.ravel()[seen]
    rows, columns = np.divmod(seen, triangle.shape[1])
    x, y = columns + 0.5, rows + 0.5
    first, second, third = corners[faces].transpose(1, 0, 2)
    weights = []
    for normal in (np.cross(second, third), np.cross(third, first), np.cross(first, second)):
        weight = normal[:, 0].take(visible) * x
        weight += normal[:, 1].take(visible) * y
        weight += normal[:, 2].take(visible)
        weights.append(weight)
    scale = 1 / (weights[0] + weights[1] + weights[2])
    result[seen] = np.stack([weight * scale for weight in weights], axis=1)
    return result.reshape(*triangle.shape, 3)


def checked_vertices(vertices: NDArray[np.floating]) -> NDArray[np.float64]:
    """``vertices`` as float64 (V, 3), or EscaError."""
    positions = np.asarray(vertices, np.float64)
    if positions.ndim != 2 or positions.shape[1] != 3:
        raise EscaError(f"vertices: expected (V, 3) positions in mm, got {positions.shape}")
    if not np.isfinite(positions).all():
        raise EscaError("vertices: expected finite positions in mm, got NaN or infinity")
    return positions


def checked_projection(projection: NDArray[np.floating]) -> NDArray[np.float64]:
    """``projection`` as float64 (3, 4) of a camera that is not degenerate, or EscaError."""
    matrix = np.asarray(projection, np.float64)
    if matrix.shape != (3, 4):
        raise EscaError(f"projection: expected a (3, 4) matrix, got {matrix.shape}")
    if not np.isfinite(matrix).all() or np.linalg.matrix_rank(matrix[:, :3]) < 3:
        raise EscaError("projection: expected a finite matrix of a pinhole camera (rank 3)")
    return matrix


def _bounds(corners: NDArray[np.float64], size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Rows and columns that the mesh can touch; the whole picture if it reaches the camera."""
    rows, columns = size
    depth = corners[:, 2]
    if depth.min() <= 0:
        return 0, rows, 0, columns
    x, y = corners[:, 0] / depth, corners[:, 1] / depth
    top, bottom = np.clip([np.floor(y.min()), np.ceil(y.max())], 0, rows).astype(int)
    left, right = np.clip([np.floor(x.min()), np.ceil(x.max())], 0, columns).astype(int)
    return int(top), int(bottom), int(left), int(right)
