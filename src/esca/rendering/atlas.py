"""The texture chart as a picture: which triangle owns a texel, and which camera sees it."""

import numpy as np
from numpy.typing import NDArray

from esca.captures.geometry import Camera, Topology
from esca.errors import EscaError
from esca.rendering.raster import Raster, Scene, barycentrics, project

BIAS = 0.05
"""How far (mm) a shadow ray starts above the surface, so that it does not meet its own triangle."""

BLEED = 2
"""Texels by which charts, and what a camera saw of them, are bled beyond their borders."""

_NEIGHBOURS = ((0, 1), (1, 0), (1, 2), (2, 1), (0, 0), (0, 2), (2, 0), (2, 2))
"""Offsets of a texel's neighbours in an array padded by one, those that share a side first."""


def rasterize_uv(topology: Topology, size: int) -> Raster:
    """Which triangle covers the centre of each of ``size`` x ``size`` texels, array orientation.

    Where charts overlap one of the triangles wins.
    """
    if size < 1:
        raise EscaError(f"size: expected 1 texel or more, got {size}")
    flat = np.hstack([topology.uvs * float(size), np.zeros((len(topology.uvs), 1))])
    scene = Scene(flat, topology.uv_faces)
    centres = np.arange(size, dtype=np.float32) + 0.5
    triangle = np.empty((size, size), np.int32)
    origins = np.stack([centres, np.zeros_like(centres), np.ones_like(centres)], axis=1)
    down = np.broadcast_to(np.array([0, 0, -1], np.float32), origins.shape)
    for row in range(size):
        origins[:, 1] = centres[row]
        triangle[row] = scene.first_hits(origins, down)
    flat[:, 2] = 1  # homogeneous pixels of a camera at infinity
    return Raster(triangle, barycentrics(flat, topology.uv_faces, triangle))


def texel_positions(
    vertices: NDArray[np.floating], topology: Topology, uv_raster: Raster
) -> NDArray[np.float32]:
    """(T, T, 3) surface point in mm of every texel that a triangle covers, 0 elsewhere."""
    positions = np.zeros((*uv_raster.triangle.shape, 3), np.float32)
    positions[uv_raster.foreground] = uv_raster.interpolate(vertices, topology.faces)
    return positions


def texel_visibility(
    vertices: NDArray[np.floating],
    topology: Topology,
    uv_raster: Raster,
    camera: Camera,
    transform: NDArray[np.floating],
    scene: Scene | None = None,
) -> NDArray[np.bool_]:
    """(T, T) whether ``camera`` sees the texel's surface point.

    Seen means: inside the picture, on a triangle that faces the camera (its corners run
    counter-clockwise there) and with nothing in between. ``vertices``: (V, 3) head-aligned mm.
    ``transform``: (3, 4) head-to-world. ``scene``: of the same mesh, where one is at hand.
    """
    scene = scene or Scene(vertices, topology.faces)
    pose = np.asarray(transform, np.float64)
    centre = pose[:, :3].T @ (camera.centre - pose[:, 3])
    covered = uv_raster.foreground
    points = uv_raster.interpolate(np.asarray(vertices, np.float64), topology.faces)
    towards = centre - points
    towards /= np.linalg.norm(towards, axis=1, keepdims=True)

    corners = scene.vertices[topology.faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    facing = (normals[uv_raster.triangle[covered]] * towards).sum(axis=1) > 0

    pixels = project(points, camera.projection(pose))
    limits = np.array(camera.size[::-1]) * pixels[:, 2:]
    inside = (pixels[:, 2] > 0) & ((pixels[:, :2] >= 0) & (pixels[:, :2] < limits)).all(axis=1)

    seen = facing & inside
    seen[seen] = ~scene.occluded(points[seen] + BIAS * towards[seen], towards[seen])
    result = np.zeros(covered.shape, bool)
    result[covered] = seen
    return result


def border_texels(
    mask: NDArray[np.bool_], texels: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Flat numbers of the texels up to ``texels`` steps outside ``mask`` (T, T), and their sources.

    The source of a texel is a nearby one inside the mask. ``flat[targets] = flat[sources]`` bleeds
    any texture of this mask; work it out once where many textures share a mask.
    """
    source = np.where(mask, np.arange(mask.size).reshape(mask.shape), -1)
    for _ in range(texels):
        before = np.pad(source, 1, constant_values=-1)
        for rows, columns in _NEIGHBOURS:
            shifted = before[rows : rows + mask.shape[0], columns : columns + mask.shape[1]]
            np.copyto(source, shifted, where=source < 0)
    targets = np.flatnonzero(~mask.ravel() & (source.ravel() >= 0))
    return targets, source.ravel()[targets]


def dilate(
    texture: NDArray[np.floating], mask: NDArray[np.bool_], texels: int
) -> NDArray[np.float32]:
    """``texture`` (T, T, C) with the values inside ``mask`` (T, T) bled outwards by ``texels``.

    Bilinear lookups across a chart's border then do not mix in the background. Each texel near the
    mask takes the value of a nearby one inside; texels farther out keep theirs.
    """
    if mask.shape != texture.shape[:2]:
        raise EscaError(f"mask: expected {texture.shape[:2]} as the texture, got {mask.shape}")
    bled = np.array(texture, np.float32)
    flat = bled.reshape(-1, texture.shape[2])
    targets, sources = border_texels(mask, texels)
    flat[targets] = flat[sources]
    return bled
