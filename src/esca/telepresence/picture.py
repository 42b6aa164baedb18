"""Pictures at display rate on a CPU: exact shading on visibility that may be a few frames old.

Which triangle a pixel sees takes ray casting and changes little from one frame to the next; *where*
on its triangle the pixel lies, and the colour there, change with every frame. So rays are cast
whenever there is time (:meth:`Renderer.see`) and every frame solves its pixels' texture coordinates
anew from its own mesh (:meth:`Renderer.draw`). Where the visibility is up to date, the picture is
that of :func:`esca.rendering.shade.render`; elsewhere a triangle's plane goes on beyond its edge.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from esca.captures.normalize import denormalize_vertices
from esca.errors import EscaError
from esca.rendering.display import BLACK, GAINS, OFFSET, SLOPE
from esca.rendering.raster import Scene
from esca.telepresence.persona import Persona

Picture = NDArray[np.uint8]

LEAST_ROWS = 16
"""Smallest window."""

MOVED_PIXELS = 0.35
"""How far a vertex must have moved on the screen before its visibility is looked at again."""


@dataclass(frozen=True, eq=False)
class Visibility:
    """``pixels``: (P,) flat numbers of the foreground, ``x`` and ``y``: (P,) their centres.

    ``place``: (P,) which of the S visible triangles each sees. ``faces``: (S, 3) their vertices,
    ``uvs``: (S, 3, 3) rows u, v and 1 by corner. ``corners``: (V, 3) homogeneous pixels of the mesh
    that was looked at.
    """

    pixels: Tensor
    x: Tensor
    y: Tensor
    place: Tensor
    faces: Tensor
    uvs: Tensor
    corners: Tensor


class Renderer:
    """Draws one persona in a window of ``rows`` rows.

    :meth:`see` may run in another thread than :meth:`draw`.
    """

    def __init__(self, persona: Persona, rows: int) -> None:
        if rows < LEAST_ROWS:
            raise EscaError(f"rows: {rows}, expected {LEAST_ROWS} or more")
        self._persona = persona
        scale = rows / persona.camera.size[0]
        self.size = (rows, max(1, round(persona.camera.size[1] * scale)))
        camera = persona.camera.window(0, 0, self.size, scale)
        projection = camera.projection(persona.transform)
        self._projection = torch.from_numpy(projection)
        self._rays = _rays(projection, self.size)
        topology = persona.topology
        self._faces = torch.from_numpy(topology.faces.astype(np.int64))
        uvs = torch.from_numpy(topology.uvs[topology.uv_faces]).double() * 2 - 1
        self._uvs = torch.cat([uvs, torch.ones_like(uvs[..., :1])], 2).transpose(1, 2)
        self._border = tuple(
            torch.from_numpy(np.ascontiguousarray(side)) for side in persona.border
        )
        self._gains = torch.from_numpy(GAINS / np.float32(255))[:, None]
        self._buffer = torch.empty_like(persona.texture_offset)
        self._visibility: Visibility | None = None

    def see(self, mesh: Tensor) -> bool:
        """Cast rays at a decoded ``mesh`` (3V,), unless it moved too little since the last time."""
        vertices = self._vertices(mesh)
        corners = self._corners(vertices)
        known = self._visibility
        if known is not None and _moved(corners, known.corners) < MOVED_PIXELS:
            return False
        origins, directions = self._rays
        triangle = Scene(vertices.numpy(), self._persona.topology.faces).first_hits(
            origins, directions
        )
        pixels = np.flatnonzero(triangle >= 0)
        faces, place = np.unique(triangle[pixels], return_inverse=True)
        rows, columns = np.divmod(pixels, self.size[1])
        visible = torch.from_numpy(faces.astype(np.int64))
        self._visibility = Visibility(
            pixels=torch.from_numpy(pixels),
            x=torch.from_numpy(columns.astype(np.float32) + 0.5),
            y=torch.from_numpy(rows.astype(np.float32) + 0.5),
            place=torch.from_numpy(place.astype(np.int64)),
            faces=self._faces[visible],
            uvs=self._uvs[visible],
            corners=corners,
        )
        return True

    def draw(self, texture: Tensor, mesh: Tensor) -> Picture:
        """(H, W, 3) uint8 display picture of decoded ``texture`` (3, T, T) and ``mesh`` (3V,)."""
        if self._visibility is None:
            self.see(mesh)
        seen = self._visibility
        assert seen is not None
        uv = self._coordinates(seen, mesh)
        raw = functional.grid_sample(
            self._raw(texture)[None], uv[None, None], padding_mode="border", align_corners=False
        )[0, :, 0]
        return self._placed(seen.pixels, self._display(raw))

    def _vertices(self, mesh: Tensor) -> Tensor:
        """(V, 3) float64 mm."""
        persona = self._persona
        millimetres = denormalize_vertices(mesh, persona.vertex_mean, persona.vertex_std)
        return millimetres.reshape(-1, 3).double()

    def _corners(self, vertices: Tensor) -> Tensor:
        return vertices @ self._projection[:, :3].T + self._projection[:, 3]

    def _coordinates(self, seen: Visibility, mesh: Tensor) -> Tensor:
        """(P, 2) texture coordinates in [-1, 1].

        Over a triangle they are quotients of functions that are linear in the pixel, since its
        corners' weights are; see :func:`esca.rendering.raster.barycentrics`.
        """
        corners = self._corners(self._vertices(mesh))[seen.faces]
        first, second, third = corners.unbind(1)
        cross = torch.linalg.cross
        weights = torch.stack([cross(second, third), cross(third, first), cross(first, second)], 1)
        linear = seen.uvs @ weights  # (S, 3, 3): u, v and 1 by x, y and 1
        linear /= linear.abs().amax((1, 2), keepdim=True).clamp_min(1e-30)
        # Nine rows of S numbers, which stay in cache while all pixels pick theirs.
        rows = linear.float().permute(2, 1, 0).reshape(9, -1).index_select(1, seen.place)
        value = rows[6:].addcmul_(rows[:3], seen.x).addcmul_(rows[3:6], seen.y)
        return value[:2].div_(value[2]).T

    def _raw(self, texture: Tensor) -> Tensor:
        """(3, T, T) raw values with the charts bled beyond their borders."""
        persona = self._persona
        raw = torch.addcmul(
            persona.texture_offset, texture, persona.texture_scale, out=self._buffer
        )
        flat = raw.reshape(3, -1)
        targets, sources = self._border
        flat.index_copy_(1, targets, flat.index_select(1, sources))
        return raw

    def _display(self, raw: Tensor) -> Tensor:
        """(3, P) uint8 of raw values 0 to 255; :func:`esca.rendering.display.to_display`."""
        value = raw.clamp(0, 255).mul_(self._gains).sub_(BLACK).clamp_(0, 2).mul_(SLOPE)
        return value.sqrt_().sub_(OFFSET).clamp_(0, 1).mul_(255).round_().to(torch.uint8)

    def _placed(self, pixels: Tensor, colours: Tensor) -> Picture:
        """(H, W, 3) picture of ``colours`` (3, P) at ``pixels`` (P,), black elsewhere.

        Four bytes are placed at once, which is half the time of placing three.
        """
        four = torch.empty((len(pixels), 4), dtype=torch.uint8)
        four[:, :3] = colours.T
        picture = torch.zeros((self.size[0] * self.size[1], 4), dtype=torch.uint8)
        picture.view(torch.int32)[pixels] = four.view(torch.int32)
        return picture.reshape(*self.size, 4)[..., :3].contiguous().numpy()


def _rays(
    projection: NDArray[np.float64], size: tuple[int, int]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(N, 3) origins and directions through all pixel centres, in row order."""
    rows, columns = size
    axes = np.linalg.inv(projection[:, :3])
    centre = -axes @ projection[:, 3]
    across = (np.arange(columns) + 0.5)[None, :, None] * axes[:, 0]
    down = (np.arange(rows) + 0.5)[:, None, None] * axes[:, 1] + axes[:, 2]
    directions = np.ascontiguousarray((across + down).reshape(-1, 3), np.float32)
    origins = np.broadcast_to(centre.astype(np.float32), directions.shape)
    return np.ascontiguousarray(origins), directions


def _moved(corners: Tensor, before: Tensor) -> float:
    """Pixels that the vertex moved which moved the most; (V, 3) homogeneous pixels."""
    now, then = (value[:, :2] / value[:, 2:] for value in (corners, before))
    return float((now - then).abs().max())
