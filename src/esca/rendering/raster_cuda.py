"""Triangle visibility on CUDA, through nvdiffrast where it is installed."""

from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from esca.errors import EscaError


def visible_triangles(
    corners: NDArray[np.float64], faces: NDArray[np.integer], size: tuple[int, int]
) -> NDArray[np.int32]:
    """(H, W) face that each pixel sees first, -1 for none.

    ``corners``: (V, 3) homogeneous pixels ``(w x, w y, w)``, all in front of the camera.
    EscaError without CUDA or without nvdiffrast.
    """
    dr, context = _nvdiffrast()
    depth = corners[:, 2]
    if depth.min() <= 0:
        raise EscaError("backend nvdiffrast: expected every vertex in front of the camera")
    rows, columns = size
    near, far = depth.min() * 0.99, depth.max() * 1.01
    clip = np.stack(
        [
            2 * corners[:, 0] / columns - depth,
            2 * corners[:, 1] / rows - depth,
            (depth * (far + near) - 2 * far * near) / (far - near),
            depth,
        ],
        axis=1,
    )
    positions = torch.from_numpy(clip.astype(np.float32)).cuda()[None]
    triangles = torch.from_numpy(np.ascontiguousarray(faces, np.int32)).cuda()
    # Row 0 of nvdiffrast's output lies at y = -1 of clip space, where our row 0 is put above.
    drawn, _ = dr.rasterize(context, positions, triangles, resolution=[rows, columns])
    return (drawn[0, :, :, 3].to(torch.int32) - 1).cpu().numpy()


@cache
def _nvdiffrast() -> tuple[Any, Any]:
    if not torch.cuda.is_available():
        raise EscaError("backend nvdiffrast: no CUDA device here; use backend 'embree'")
    try:
        import nvdiffrast.torch as dr
    except ImportError as error:
        raise EscaError("backend nvdiffrast: not installed; pip install esca[cuda]") from error
    return dr, dr.RasterizeCudaContext()
