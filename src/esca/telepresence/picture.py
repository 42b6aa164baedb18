"""Pictures at display rate on a CPU: exact shading on visibility that may be a few frames old.

Which triangle a pixel sees changes little from one frame to the next; *where* on its triangle the
pixel lies, and the colour there, change with every frame. So visibility is looked at again whenever
there is time (:meth:`Renderer.see`) and every frame solves its pixels' texture coordinates
anew from its own mesh (:meth:`Renderer.draw`). Where the visibility is up to date, the picture is
that of :func:`esca.rendering.shade.render`; elsewhere a triangle's plane goes on beyond its edge.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from esca.captures.normalize import denormalize_vertices
from esca.errors import EscaError
from esca.runtime.extra import needed
from esca.telepresence.persona import Persona

Picture = NDArray[np.uint8]

LEAST_ROWS = 16
"""Smallest window."""

MOVED_PIXELS = 0.35
"""How far a vertex must have moved on the screen before its visibility is looked at again."""


@dataclass(frozen=True, eq=False)
class Visibility:
    """``pixels``: (P,) flat numbers of the foreground. ``place``: (P,) which of the S visible
    triangles each sees. ``faces``: (S, 3) their vertices, ``uvs``: (S, 3, 2) columns and rows of
    their corners in the texture. ``corners``: (V, 3) homogeneous pixels of the mesh that was looked
    at.
    """

    pixels: NDArray[np.int64]
    place: NDArray[np.int64]
    faces: NDArray[np.int64]
    uvs: NDArray[np.float64]
    corners: NDArray[np.float64]


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
        self._projection = projection
        topology = persona.topology
        self._faces = topology.faces.astype(np.int64)
        side = persona.texture_offset.shape[-1]
        # Texel centres lie at whole numbers.
        self._uvs = topology.uvs[topology.uv_faces].astype(np.float64) * side - 0.5
        self._scale = persona.texture_scale.numpy().reshape(3)
        self._offset = persona.texture_offset.movedim(0, 2).numpy().copy(order="C")
        # Compiled code is only for those who draw.
        needed("numba", "call")
        from esca.rendering import shading, zbuffer

        self._shading, self._zbuffer = shading, zbuffer
        self._bleed(self._offset)
        self._visibility: Visibility | None = None

    def see(self, mesh: Tensor) -> bool:
        """Look at a decoded ``mesh`` (3V,), unless it moved too little since the last time."""
        vertices = self._vertices(mesh)
        corners = self._corners(vertices)
        known = self._visibility
        if known is not None and _moved(corners, known.corners) < MOVED_PIXELS:
            return False
        triangle = self._zbuffer.visible(corners, self._faces, *self.size)
        pixels, place, faces = self._zbuffer.listed(triangle, len(self._faces))
        self._visibility = Visibility(pixels, place, self._faces[faces], self._uvs[faces], corners)
        return True

    def draw(self, texels: NDArray[np.float32], mesh: Tensor) -> Picture:
        """(H, W, 3) uint8 display picture of a decoded texture (T, T, 3), whose charts are bled
        beyond their borders in place, and ``mesh`` (3V,).
        """
        if self._visibility is None:
            self.see(mesh)
        seen = self._visibility
        assert seen is not None
        self._bleed(texels)
        corners = self._corners(self._vertices(mesh))
        planes = self._shading.texel_planes(corners, seen.faces, seen.uvs)
        picture = np.zeros((*self.size, 3), np.uint8)
        self._shading.shade(
            picture, seen.pixels, seen.place, planes, texels, self._offset, self._scale
        )
        return picture

    def _bleed(self, texels: NDArray[np.float32]) -> None:
        self._shading.bleed(texels.reshape(-1, 3), *self._persona.border)

    def _vertices(self, mesh: Tensor) -> NDArray[np.float64]:
        """(V, 3) mm."""
        persona = self._persona
        millimetres = denormalize_vertices(mesh, persona.vertex_mean, persona.vertex_std)
        return millimetres.reshape(-1, 3).double().numpy()

    def _corners(self, vertices: NDArray[np.float64]) -> NDArray[np.float64]:
        corners: NDArray[np.float64] = vertices @ self._projection[:, :3].T
        return corners + self._projection[:, 3]


def _moved(corners: NDArray[np.float64], before: NDArray[np.float64]) -> float:
    """Pixels that the vertex moved which moved the most; (V, 3) homogeneous pixels."""
    now, then = (value[:, :2] / value[:, 2:] for value in (corners, before))
    return float(np.abs(now - then).max())
