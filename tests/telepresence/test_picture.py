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
    return np.rint(to_display(np.clip(picture / 255, 0, 1)) * 255).astype(np.uint8)


@pytest.mark.parametrize("rows", [64, 150])
def test_picture_is_the_exact_one_where_visibility_is_fresh(persona: Persona, rows: int) -> None:
    texture, mesh = _decoded(persona, 1)
    picture = Renderer(persona, rows).draw(texels(texture), mesh)
    exact = _exact(persona, texture, mesh, rows)
    assert picture.shape == exact.shape
    assert (exact > 0).any()
    difference = np.abs(picture.astype(int) - exact.astype(int))
    assert difference.max() <= 1


def test_old_visibility_still_follows_the_mesh(persona: Persona) -> None:
    """Inside the silhouette a moved mesh is drawn where it is, not where it was."""
    texture, mesh = _decoded(persona, 2)
    smooth = texture.new_zeros(texture.shape)  # the mean texture alone
    renderer = Renderer(persona, 150)
    renderer.draw(texels(smooth), torch.zeros_like(mesh))
    shifted = torch.zeros_like(mesh).reshape(-1, 3)
    shifted[:, 0] = 1.5  # 3 mm to the right: several texels' worth of colour
    moved = renderer.draw(texels(smooth), shifted.reshape(-1))
    exact = _exact(persona, smooth, shifted.reshape(-1), 150)
    still = _exact(persona, smooth, torch.zeros_like(mesh), 150)
    inner = np.s_[50:100, 50:90]
    error = np.abs(moved[inner].astype(int) - exact[inner]).mean()
    assert error < 0.5
    assert np.abs(still[inner].astype(int) - exact[inner]).mean() > 4 * error + 1


def test_visibility_is_looked_at_only_where_something_moved(persona: Persona) -> None:
    _, mesh = _decoded(persona, 3)
    renderer = Renderer(persona, 64)
    assert renderer.see(mesh)
    assert not renderer.see(mesh + 1e-4)
    assert renderer.see(mesh + 3)


def test_a_triangle_without_area_is_drawn_all_the_same(persona: Persona) -> None:
    texture, mesh = _decoded(persona, 6)
    renderer = Renderer(persona, 64)
    renderer.see(mesh)
    flat = -persona.vertex_mean / persona.vertex_std  # all vertices in one point
    assert renderer.draw(texels(texture), flat).shape == (64, renderer.size[1], 3)


def test_bad_input(persona: Persona) -> None:
    with pytest.raises(EscaError, match="rows"):
        Renderer(persona, 3)
