"""The texture chart as a picture: which triangle owns a texel, and which camera sees it."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from esca.captures.geometry import Camera, Topology
from esca.errors import EscaError
from esca.rendering.raster import Raster, Scene, barycentrics, project

BIAS = 0.05
"""How far (mm) a shadow ray starts above the surface, so that it does not meet its own triangle."""


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


def dilate(
    texture: NDArray[np.floating], mask: NDArray[np.bool_], texels: int
) -> NDArray[np.float32]:
    """``texture`` (T, T, C) with the values inside ``mask`` (T, T) bled outwards by ``texels``.

    Each step gives every texel that touches a filled one the mean of its filled neighbours, so that
    bilinear lookups across a chart's border do not mix in the background. Texels farther out keep
    their values.
    """
    if mask.shape != texture.shape[:2]:
        raise EscaError(f"mask: expected {texture.shape[:2]} as the texture, got {mask.shape}")
    values = torch.from_numpy(np.array(texture, np.float32)).permute(2, 0, 1)
    filled = torch.from_numpy(mask.astype(np.float32))[None]
    for _ in range(texels):
        count = _neighbours(filled)
        fresh = (filled == 0) & (count > 0)
        if not fresh.any():
            break
        mean = _neighbours(values * filled) / count.clamp(min=1)
        values = torch.where(fresh, mean, values)
        filled = torch.where(fresh, torch.ones_like(filled), filled)
    return values.permute(1, 2, 0).contiguous().numpy()


def _neighbours(maps: torch.Tensor) -> torch.Tensor:
    """Sum over each texel's 3 x 3 neighbourhood, (C, T, T)."""
    return functional.avg_pool2d(maps[None], 3, stride=1, padding=1, divisor_override=1)[0]
