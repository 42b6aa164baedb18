"""From texture and raster to a picture."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from esca.captures.geometry import Camera, Topology
from esca.errors import EscaError
from esca.rendering.raster import Raster, Scene


def sample_texture(texture: NDArray[np.floating], uv: NDArray[np.floating]) -> NDArray[np.float32]:
    """(N, C) bilinear samples of ``texture`` (T, T, C), array orientation, at ``uv`` (N, 2).

    Texel centres lie at ``((column + 0.5) / T, (row + 0.5) / T)``; beyond the outermost centres the
    edge texel goes on.
    """
    values = torch.from_numpy(np.asarray(texture, np.float32)).permute(2, 0, 1)
    grid = torch.from_numpy(np.asarray(uv, np.float32) * 2 - 1)
    sampled = functional.grid_sample(
        values[None], grid[None, None], padding_mode="border", align_corners=False
    )
    return sampled[0, :, 0].T.numpy()


def shade(
    texture: NDArray[np.floating], topology: Topology, raster: Raster, supersample: int = 1
) -> NDArray[np.float32]:
    """(H, W, C) picture of a raster under ``texture`` (T, T, C); background 0.

    With ``supersample`` n the raster is n times finer and n x n pixels are averaged.
    """
    picture = np.zeros((*raster.triangle.shape, texture.shape[2]), np.float32)
    uv = raster.interpolate(topology.uvs, topology.uv_faces)
    picture[raster.foreground] = sample_texture(texture, uv)
    return _averaged(picture, supersample)


def coverage(raster: Raster, supersample: int = 1) -> NDArray[np.float32]:
    """(H, W) part of each pixel that sees a triangle, of a raster ``supersample`` times finer."""
    return _averaged(raster.foreground[..., None].astype(np.float32), supersample)[..., 0]


def _averaged(picture: NDArray[np.float32], supersample: int) -> NDArray[np.float32]:
    """Means of n x n blocks of a picture (n H, n W, C)."""
    if supersample == 1:
        return picture
    total = np.zeros_like(picture[::supersample, ::supersample])
    for row in range(supersample):
        for column in range(supersample):
            total += picture[row::supersample, column::supersample]
    total /= supersample**2
    return total


def view_raster(
    scene: Scene, camera: Camera, transform: NDArray[np.floating], supersample: int = 1
) -> Raster:
    """What ``camera`` sees of ``scene`` under the head pose ``transform`` (3, 4).

    With ``supersample`` n the raster has n times the camera's rows and columns.
    """
    if supersample < 1:
        raise EscaError(f"supersample: expected 1 or more, got {supersample}")
    rows, columns = camera.size
    fine = camera.window(0, 0, (rows * supersample, columns * supersample), supersample)
    return scene.rasterize(fine.projection(np.asarray(transform, np.float64)), fine.size)


def render(
    texture: NDArray[np.floating],
    vertices: NDArray[np.floating],
    topology: Topology,
    camera: Camera,
    transform: NDArray[np.floating],
    supersample: int = 1,
) -> NDArray[np.float32]:
    """(H, W, 3) picture in the texture's own units ([0, 255] raw for captures); background 0.

    ``texture``: (T, T, 3), array orientation. ``vertices``: (V, 3) head-aligned mm. ``transform``:
    (3, 4) head-to-world. To render several cameras of one mesh, build a
    :class:`esca.rendering.raster.Scene` once and use :func:`view_raster` and :func:`shade`.
    """
    scene = Scene(vertices, topology.faces)
    raster = view_raster(scene, camera, transform, supersample)
    return shade(texture, topology, raster, supersample)
