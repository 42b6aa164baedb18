"""How much of the calibration views each texel fills."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from esca.captures.geometry import Camera, FloatArray, Topology
from esca.errors import EscaError
from esca.rendering.raster import Raster, Scene
from esca.rendering.shade import view_raster


def uv_visibility(
    frames: Iterable[tuple[NDArray[np.floating], NDArray[np.floating]]],
    topology: Topology,
    cameras: Sequence[Camera],
    size: int,
    progress: Callable[[int, int], None] | None = None,
    total: int = 0,
) -> NDArray[np.float32]:
    """(T, T) number of pixels of the calibration views that each texel covers.

    ``frames``: pairs of vertices (V, 3) in mm and head-to-world transform (3, 4), read one at a
    time. Each foreground pixel of each camera is shared among the four texels around its point on
    the chart as bilinear sampling weighs them, so the sum is the number of foreground pixels. A
    view much coarser than the texture leaves holes between its pixels. ``total``: number of frames,
    if known, for ``progress``. EscaError if there are no frames or no cameras.
    """
    if not cameras:
        raise EscaError("cameras: expected one calibration view or more, got none")
    counts = np.zeros((size, size))
    done = 0
    for vertices, transform in frames:
        scene = Scene(vertices, topology.faces)
        for camera in cameras:
            counts += splat(view_raster(scene, camera, transform), topology, size)
        done += 1
        if progress:
            progress(done, max(done, total))
    if not done:
        raise EscaError("frames: expected one calibration frame or more, got none")
    return counts.astype(np.float32)


def splat(raster: Raster, topology: Topology, size: int) -> FloatArray:
    """(T, T) share of the raster's foreground pixels that each texel gets; sums to their number."""
    uv = raster.interpolate(topology.uvs.astype(np.float64), topology.uv_faces)
    x, y = np.clip(uv * size - 0.5, 0, size - 1).T
    left, top = x.astype(np.int64), y.astype(np.int64)
    across, down = x - left, y - top
    right, bottom = np.minimum(left + 1, size - 1), np.minimum(top + 1, size - 1)
    texels = np.concatenate(
        [row * size + column for row in (top, bottom) for column in (left, right)]
    )
    shares = np.concatenate(
        [row * column for row in (1 - down, down) for column in (1 - across, across)]
    )
    counts = np.bincount(texels, shares, minlength=size * size)
    return counts.astype(np.float64).reshape(size, size)
