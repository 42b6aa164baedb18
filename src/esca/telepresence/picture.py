"""Pictures of a persona at display rate on a CPU."""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from esca.captures.normalize import denormalize_vertices
from esca.errors import EscaError
from esca.rendering.raster import project
from esca.runtime.extra import needed
from esca.telepresence.persona import Persona

Picture = NDArray[np.uint8]

LEAST_ROWS = 16
"""Smallest window."""


class Renderer:
    """Draws one persona in a window of ``rows`` rows."""

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
        self._scale = persona.texture_scale.numpy().reshape(3)
        self._offset = persona.texture_offset.movedim(0, 2).numpy().copy(order="C")
        # Compiled code is only for those who draw.
        needed("numba", "call")
        from esca.rendering import shading

        self._shading = shading
        self._uvs = shading.texel_corners(topology, persona.texture_offset.shape[-1])

    def draw(self, texels: NDArray[np.float32], mesh: Tensor) -> Picture:
        """(H, W, 3) uint8 display picture of a decoded texture (T, T, 3) and ``mesh`` (3V,)."""
        texture = self._shading.raw_texture(texels, self._offset, self._scale)
        self._shading.bleed(texture.reshape(-1, 3), *self._persona.border)
        picture = np.zeros((*self.size, 3), np.uint8)
        corners = project(self._vertices(mesh), self._projection)
        self._shading.draw(picture, corners, self._faces, self._uvs, texture, self._shading.RAW)
        return picture

    def _vertices(self, mesh: Tensor) -> NDArray[np.float64]:
        """(V, 3) mm."""
        persona = self._persona
        millimetres = denormalize_vertices(mesh, persona.vertex_mean, persona.vertex_std)
        return millimetres.reshape(-1, 3).double().numpy()
