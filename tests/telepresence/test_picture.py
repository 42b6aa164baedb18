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


def _raw(persona: Persona, texture: torch.Tensor) -> np.ndarray:
    raw = (texture * persona.texture_scale + persona.texture_offset).permute(1, 2, 0).numpy().copy()
    flat = raw.reshape(-1, 3)
    targets, sources = persona.border
    flat[targets] = flat[sources]
    return raw


def _seen(persona: Persona, texels: np.ndarray, mesh: torch.Tensor, rows: int) -> np.ndarray:
    """What the exact renderer samples of texels (T, T, 3)."""
    vertices = (mesh * persona.vertex_std + persona.vertex_mean).reshape(-1, 3).numpy()
    scale = rows / persona.camera.size[0]
    camera = persona.camera.window(0, 0, (rows, round(persona.camera.size[1] * scale)), scale)
    return render(texels, vertices, persona.topology, camera, persona.transform)


def _display(raw: np.ndarray) -> np.ndarray:
    return np.rint(to_display(np.clip(raw / 255, 0, 1)) * 255)


@pytest.mark.parametrize("rows", [64, 150])
def test_picture_samples_the_display_texture_as_the_exact_renderer(
    persona: Persona, rows: int
) -> None:
    texture, mesh = _decoded(persona, 1)
    picture = Renderer(persona, rows).draw(texels(texture), mesh)
    exact = np.rint(_seen(persona, _display(_raw(persona, texture)), mesh, rows))
    assert picture.shape == exact.shape
    assert (exact > 0).any()
    off = np.abs(picture - exact).max(2)
    # A pixel whose centre is on the mesh's border belongs to it or not.
    assert (off > 1).mean() < 1e-3


def test_smooth_textures_look_as_if_raw_values_were_sampled(persona: Persona) -> None:
    texture, mesh = _decoded(persona, 2)
    smooth = torch.zeros_like(texture)  # the mean texture alone
    picture = Renderer(persona, 150).draw(texels(smooth), mesh)
    exact = _display(_seen(persona, _raw(persona, smooth), mesh, 150))
    off = np.abs(picture - exact).max(2)
    assert (off > 2).mean() < 2e-3
    assert off.mean() < 0.5


def test_a_triangle_without_area_is_drawn_all_the_same(persona: Persona) -> None:
    texture, _ = _decoded(persona, 6)
    renderer = Renderer(persona, 64)
    flat = -persona.vertex_mean / persona.vertex_std  # all vertices in one point
    assert renderer.draw(texels(texture), flat).shape == (64, renderer.size[1], 3)


def test_bad_input(persona: Persona) -> None:
    with pytest.raises(EscaError, match="rows"):
        Renderer(persona, 3)
