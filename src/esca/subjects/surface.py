"""Normals and bump mapping on a mesh whose seams have doubled vertices."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from esca.captures.geometry import Topology
from esca.rendering.atlas import rasterize_uv

Floats = NDArray[np.float32]

WELD = 1e-3
"""Vertices closer than about this (mm), in every pose compared, are one point of the surface."""


def welded(*poses: NDArray[np.floating]) -> NDArray[np.intp]:
    """(V,) number of the surface point that each vertex stands for.

    ``poses``: (V, 3) positions of the same mesh; only vertices that coincide in all are welded.
    """
    keys = np.rint(np.hstack(poses) / WELD).astype(np.int64)
    return np.unique(keys, axis=0, return_inverse=True)[1].reshape(-1)


def unit(vectors: NDArray[np.floating]) -> NDArray:
    """Rows scaled to length 1; rows of length 0 stay so."""
    length = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    return vectors / np.maximum(length, 1e-12)[:, None]


def cross(a: NDArray[np.floating], b: NDArray[np.floating]) -> NDArray:
    """(N, 3) cross products of rows; several times as fast as numpy's general function."""
    result = np.empty_like(a)
    for axis in range(3):
        second, third = (axis + 1) % 3, (axis + 2) % 3
        result[:, axis] = a[:, second] * b[:, third] - a[:, third] * b[:, second]
    return result


def vertex_normals(
    vertices: NDArray[np.floating], faces: NDArray[np.integer], weld: NDArray[np.intp]
) -> Floats:
    """(V, 3) unit normals, averaged by area over the triangles around each surface point."""
    corners = vertices[faces].astype(np.float64)
    area = cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    points = weld[faces]
    count = int(weld.max()) + 1
    total = np.zeros((count, 3))
    for axis in range(3):
        share = np.repeat(area[:, axis], 3)
        total[:, axis] = np.bincount(points.ravel(), share, minlength=count)
    return unit(total)[weld].astype(np.float32)


def turned(vectors: Floats, matrix: NDArray[np.floating]) -> Floats:
    """(N, 3) ``matrix @ v`` of each row; without BLAS, whose threads cost more than they save."""
    return np.einsum("kj,ij->ik", matrix.astype(np.float32), vectors)


@dataclass(frozen=True, eq=False)
class Texels:
    """The texels that the chart covers: ``index`` (N,) into the flat T x T map, and their owners.

    ``triangle``: (N,) face numbers; ``weights``: (N, 3) barycentrics.
    """

    index: NDArray[np.intp]
    triangle: NDArray[np.int32]
    weights: Floats

    def interpolate(self, values: NDArray[np.floating], faces: NDArray[np.integer]) -> Floats:
        """(N, C) of per-vertex values (V, C)."""
        corners = faces[self.triangle]
        values = np.asarray(values, np.float32)
        result = values[corners[:, 0]] * self.weights[:, :1]
        result += values[corners[:, 1]] * self.weights[:, 1:2]
        result += values[corners[:, 2]] * self.weights[:, 2:]
        return result

    def pick(self, image: NDArray) -> NDArray:
        """(N, ...) values of a (T, T, ...) map."""
        return image.reshape(image.shape[0] * image.shape[1], *image.shape[2:])[self.index]


def tangents(
    vertices: NDArray[np.floating], topology: Topology
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(F, 3) derivatives of position by u and by v on each triangle, mm per unit of the chart."""
    corners = vertices[topology.faces].astype(np.float64)
    chart = topology.uvs[topology.uv_faces].astype(np.float64)
    e1, e2 = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    a, b = chart[:, 1] - chart[:, 0], chart[:, 2] - chart[:, 0]
    area = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
    safe = np.where(np.abs(area) < 1e-14, np.inf, area)[:, None]
    along_u = (e1 * b[:, 1:] - e2 * a[:, 1:]) / safe
    along_v = (e2 * a[:, :1] - e1 * b[:, :1]) / safe
    return along_u, along_v


def slopes(height: Floats, covered: NDArray[np.bool_]) -> Floats:
    """(T, T, 2) derivative of ``height`` by u and v (mm per unit of the chart).

    Taken between neighbours that are both ``covered``, so that chart borders make no cliffs.
    """
    size = len(height)
    result = np.zeros((size, size, 2), np.float32)
    for axis, channel in ((1, 0), (0, 1)):
        values, known = np.moveaxis(height, axis, 0), np.moveaxis(covered, axis, 0)
        step = np.where(known[1:] & known[:-1], values[1:] - values[:-1], 0.0)
        pairs = (known[1:] & known[:-1]).astype(np.float32)
        total, count = np.zeros((2, *values.shape), np.float32)
        total[1:] += step
        total[:-1] += step
        count[1:] += pairs
        count[:-1] += pairs
        slope = total / np.maximum(count, 1.0) * size
        result[..., channel] = np.moveaxis(slope, 0, axis)
    return result


def bump(normals: Floats, along_u: Floats, along_v: Floats, slope: Floats) -> Floats:
    """(N, 3) normals tilted by a height map.

    The surface gradient of Mikkelsen (2010): ``along_u``, ``along_v`` (N, 3) from ``tangents``,
    ``slope`` (N, 2) from ``slopes``. Degenerate texels keep their normal.
    """
    side_u = cross(along_v, normals)
    side_v = cross(normals, along_u)
    area = np.einsum("ij,ij->i", along_u, side_u)
    gradient = slope[:, :1] * side_u + slope[:, 1:] * side_v
    safe = np.where(np.abs(area) < 1e-3, np.inf, area)[:, None]
    return unit(normals - gradient / safe).astype(np.float32)


def texels_of(topology: Topology, size: int) -> Texels:
    """The covered texels of a ``size`` x ``size`` map, in row order."""
    raster = rasterize_uv(topology, size)
    return Texels(
        np.flatnonzero(raster.foreground),
        raster.triangle[raster.foreground],
        raster.barycentrics[raster.foreground],
    )
