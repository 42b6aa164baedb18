"""Rendering with gradients to texture and vertices, for a visibility that stays fixed.

Silhouettes carry no gradient: the triangle that a pixel sees is given, only its position on that
triangle moves with the vertices. That is what MultiFace's screen loss needs.
"""

import torch
from torch import Tensor
from torch.nn import functional

from esca.captures.geometry import Topology


def screen_colours(
    texture: Tensor,
    vertices: Tensor,
    triangles: Tensor,
    pixels: Tensor,
    projection: Tensor,
    topology: Topology,
) -> Tensor:
    """(P, C) colours of pixels, differentiable in ``texture`` and ``vertices``.

    ``texture``: (C, T, T), array orientation. ``vertices``: (V, 3) head-aligned mm.
    ``triangles``: (P,) face that each pixel sees (from :func:`esca.rendering.raster.rasterize`).
    ``pixels``: (P, 2) x and y of the pixel centres (column + 0.5, row + 0.5).
    ``projection``: (3, 4). The result has the texture's dtype; positions are solved in float64.
    """
    device = vertices.device
    faces = torch.as_tensor(topology.faces, device=device)[triangles].long()
    weights = _barycentrics(vertices.double()[faces], pixels.double(), projection.double())
    uvs = torch.as_tensor(topology.uvs, device=device, dtype=torch.float64)
    corners = uvs[torch.as_tensor(topology.uv_faces, device=device)[triangles].long()]
    grid = (weights[:, :, None] * corners).sum(dim=1) * 2 - 1
    sampled = functional.grid_sample(
        texture[None],
        grid.to(texture.dtype)[None, None],
        mode="bilinear",
        padding_mode="border",
        align_corners=False,
    )
    return sampled[0, :, 0].T


def _barycentrics(corners: Tensor, pixels: Tensor, projection: Tensor) -> Tensor:
    """(P, 3) perspective-correct weights of triangle corners (P, 3, 3) at pixels (P, 2)."""
    points = corners @ projection[:, :3].T + projection[:, 3]
    x = points[..., 0] - points[..., 2] * pixels[:, None, 0]
    y = points[..., 1] - points[..., 2] * pixels[:, None, 1]
    # Cross product of the second and third corner, of the third and first, of the first and second.
    weights = x.roll(-1, 1) * y.roll(-2, 1) - x.roll(-2, 1) * y.roll(-1, 1)
    return weights / weights.sum(dim=1, keepdim=True)
