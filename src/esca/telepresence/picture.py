"""Pictures at display rate on a CPU: exact shading on visibility that may be a few frames old.

Which triangle a pixel sees takes ray casting and changes little from one frame to the next; *where*
on its triangle the pixel lies, and the colour there, change with every frame. So rays are cast
whenever there is time (:meth:`Renderer.see`) and every frame solves its pixels' texture coordinates
anew from its own mesh (:meth:`Renderer.draw`). Where the visibility is up to date, the picture is
that of :func:`esca.rendering.shade.render`; elsewhere a triangle's plane goes on beyond its edge.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from esca.captures.normalize import denormalize_vertices
from esca.errors import EscaError
from esca.rendering.display import BLACK, GAINS, OFFSET, SLOPE
from esca.telepresence.occlusions import Caster, RayCaster
from esca.telepresence.persona import Persona

Picture = NDArray[np.uint8]

LEAST_ROWS = 16
"""Smallest window."""

MOVED_PIXELS = 0.35
"""How far a vertex must have moved on the screen before its visibility is looked at again."""


@dataclass(frozen=True, eq=False)
class Visibility:
    """``x`` and ``y``: (P,) centres of the foreground's pixels.

    ``place``: (P,) which of the S visible triangles each sees. ``faces``: (3, S) their vertices,
    ``uvs``: (3, 2, S) rows u and v by corner. ``corners``: (V, 3) homogeneous pixels of the mesh
    that was looked at. ``rows``: (9, P) memory for :meth:`Renderer.draw`: to be given fresh memory
    takes as long as to fill it. ``four``: (P + 1, 4) bytes, the last ones black, and ``inverse``:
    (H W,) which of them each pixel shows, for the same.
    """

    x: Tensor
    y: Tensor
    place: Tensor
    faces: Tensor
    uvs: Tensor
    corners: Tensor
    rows: Tensor
    four: Tensor
    inverse: Tensor


class Renderer:
    """Draws one persona in a window of ``rows`` rows. ``caster``: what casts the rays.

    :meth:`see` may run in another thread than :meth:`draw`.
    """

    def __init__(
        self,
        persona: Persona,
        rows: int,
        caster: Callable[..., Caster] = RayCaster,
    ) -> None:
        if rows < LEAST_ROWS:
            raise EscaError(f"rows: {rows}, expected {LEAST_ROWS} or more")
        self._persona = persona
        scale = rows / persona.camera.size[0]
        self.size = (rows, max(1, round(persona.camera.size[1] * scale)))
        camera = persona.camera.window(0, 0, self.size, scale)
        projection = camera.projection(persona.transform)
        self._projection = torch.from_numpy(projection)
        topology = persona.topology
        self._caster = caster(projection, self.size, topology.faces)
        self._faces = torch.from_numpy(topology.faces.astype(np.int64))
        self._uvs = torch.from_numpy(topology.uvs[topology.uv_faces]).double() * 2 - 1
        self._border = tuple(
            torch.from_numpy(np.ascontiguousarray(side)) for side in persona.border
        )
        self._gains = torch.from_numpy(GAINS / np.float32(255))[:, None]
        # Colours are scaled when they are sampled, which is why the offset is divided here.
        self._scale = persona.texture_scale.reshape(3, 1)
        offset = persona.texture_offset / persona.texture_scale
        self._offset = offset.movedim(0, 2).contiguous()
        self._buffer = torch.empty_like(self._offset)
        self._visibility: Visibility | None = None

    def see(self, mesh: Tensor) -> bool:
        """Cast rays at a decoded ``mesh`` (3V,), unless it moved too little since the last time."""
        vertices = self._vertices(mesh)
        corners = self._corners(vertices)
        known = self._visibility
        if known is not None and _moved(corners, known.corners) < MOVED_PIXELS:
            return False
        seen = self._caster.cast(vertices.numpy())
        rows, columns = np.divmod(seen.pixels, self.size[1])
        visible, count = torch.from_numpy(seen.faces), len(seen.pixels)
        inverse = np.full(self.size[0] * self.size[1], count)
        inverse[seen.pixels] = np.arange(count)
        self._visibility = Visibility(
            x=torch.from_numpy(columns.astype(np.float32) + 0.5),
            y=torch.from_numpy(rows.astype(np.float32) + 0.5),
            place=torch.from_numpy(seen.place),
            faces=self._faces[visible].T.contiguous(),
            uvs=self._uvs[visible].permute(1, 2, 0).contiguous(),
            corners=corners,
            rows=torch.empty(9, count),
            four=torch.zeros(count + 1, 4, dtype=torch.uint8),
            inverse=torch.from_numpy(inverse),
        )
        return True

    def close(self) -> None:
        """No more pictures are wanted."""
        self._caster.close()

    def draw(self, texture: Tensor, mesh: Tensor) -> Picture:
        """(H, W, 3) uint8 display picture of decoded ``texture`` (3, T, T) and ``mesh`` (3V,).

        Textures that hold their channels last in memory are drawn fastest.
        """
        if self._visibility is None:
            self.see(mesh)
        seen = self._visibility
        assert seen is not None
        uv = self._coordinates(seen, mesh)
        sampled = functional.grid_sample(
            self._bled(texture)[None], uv[None, None], padding_mode="border", align_corners=False
        )[0, :, 0]
        return self._placed(seen, self._display(sampled.mul_(self._scale)))

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
        corners = self._corners(self._vertices(mesh)).T.contiguous()
        first, second, third = (corners.index_select(1, corner) for corner in seen.faces)
        weights = torch.stack([_cross(second, third), _cross(third, first), _cross(first, second)])
        # (3, 3, S): x, y and 1 by u, v and 1.
        ones = weights.sum(0)[:, None]
        linear = torch.cat([(weights[:, :, None] * seen.uvs[:, None]).sum(0), ones], 1)
        linear /= linear.abs().amax((0, 1)).clamp_min(1e-30)
        # Nine rows of S numbers, which stay in cache while all pixels pick theirs.
        torch.index_select(linear.float().reshape(9, -1), 1, seen.place, out=seen.rows)
        rows = seen.rows
        value = rows[6:].addcmul_(rows[:3], seen.x).addcmul_(rows[3:6], seen.y)
        return value[:2].div_(value[2]).T

    def _bled(self, texture: Tensor) -> Tensor:
        """(3, T, T) raw values divided by the scale, the charts bled beyond their borders."""
        whole = torch.add(self._offset, texture.movedim(0, 2), out=self._buffer)
        flat = whole.reshape(-1, 3)
        targets, sources = self._border
        flat.index_copy_(0, targets, flat.index_select(0, sources))
        return whole.movedim(2, 0)

    def _display(self, raw: Tensor) -> Tensor:
        """(3, P) uint8 of raw values 0 to 255; :func:`esca.rendering.display.to_display`."""
        value = raw.clamp_(0, 255).mul_(self._gains).sub_(BLACK).clamp_(0, 2).mul_(SLOPE)
        return value.sqrt_().sub_(OFFSET).clamp_(0, 1).mul_(255).round_().to(torch.uint8)

    def _placed(self, seen: Visibility, colours: Tensor) -> Picture:
        """(H, W, 3) picture of ``colours`` (3, P), black elsewhere.

        Four bytes are moved at once, which is half the time of moving three.
        """
        seen.four[:-1, :3] = colours.T
        words = seen.four.view(torch.int32)[:, 0].index_select(0, seen.inverse)
        return words.view(torch.uint8).reshape(*self.size, 4)[..., :3].contiguous().numpy()


def _cross(first: Tensor, second: Tensor) -> Tensor:
    """(3, S) cross products."""
    (a, b, c), (d, e, f) = first, second
    return torch.stack([b * f - c * e, c * d - a * f, a * e - b * d])


def _moved(corners: Tensor, before: Tensor) -> float:
    """Pixels that the vertex moved which moved the most; (V, 3) homogeneous pixels."""
    now, then = (value[:, :2] / value[:, 2:] for value in (corners, before))
    return float((now - then).abs().max())
