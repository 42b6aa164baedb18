"""The fast renderer against the exact one."""

import numpy as np
import pytest
import torch

from esca.errors import EscaError
from esca.rendering.display import to_display
from esca.rendering.shade import render
from esca.telepresence.persona import Persona
from esca.telepresence.picture import Renderer

from .conftest import TEXTURE, texels


def _decoded(persona: Persona, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    texture = torch.randn(3, TEXTURE, TEXTURE, generator=generator)
    return texture, torch.randn(persona.vertex_mean.numel(), generator=generator) * 0.5


def _exact(persona: Persona, texture: torch.Tensor, mesh: torch.Tensor, rows: int) -> np.ndarray:
    raw = (texture * persona.texture_scale + persona.texture_offset).permute(1, 2, 0).numpy().copy()
    flat = raw.reshape(-1, 3)
    targets, sources = persona.border
    flat[targets] = flat[sources]
    vertices = (mesh * persona.vertex_std + persona.vertex_mean).reshape(-1, 3).numpy()
    scale = rows / persona.camera.size[0]
    camera = persona.camera.window(0, 0, (rows, round(persona.camera.size[1] * scale)), scale)
    picture = render(raw, vertices, persona.topology, camera, persona.transform)
    return np.rint(to_display(np.clip(picture / 255, 0, 1)) * 255).astype(int)


@pytest.mark.parametrize("rows", [64, 150])
def test_picture_is_the_exact_one(persona: Persona, rows: int) -> None:
    texture, mesh = _decoded(persona, 1)
    picture = Renderer(persona, rows).draw(texels(texture), mesh)
    exact = _exact(persona, texture, mesh, rows)
    assert picture.shape == exact.shape
    assert (exact > 0).any()
    off = np.abs(picture.astype(int) - exact).max(2)
    # A pixel whose centre is on the mesh's border belongs to it or not.
    assert (off > 1).mean() < 1e-3


def test_a_triangle_without_area_is_drawn_all_the_same(persona: Persona) -> None:
    texture, _ = _decoded(persona, 6)
    renderer = Renderer(persona, 64)
    flat = -persona.vertex_mean / persona.vertex_std  # all vertices in one point
    assert renderer.draw(texels(texture), flat).shape == (64, renderer.size[1], 3)


def test_bad_input(persona: Persona) -> None:
    with pytest.raises(EscaError, match="rows"):
        Renderer(persona, 3)
