"""The file that a receiver is given."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from esca.errors import EscaError
from esca.telepresence.persona import Persona, load_persona, save_persona
from esca.telepresence.picture import Renderer

from .conftest import TEXTURE, texels


def test_round_trip_draws_the_same_picture(persona: Persona, tmp_path: Path) -> None:
    save_persona(persona, tmp_path / "persona")
    again = load_persona(tmp_path / "persona")
    generator = torch.Generator().manual_seed(0)
    texture = torch.randn(3, TEXTURE, TEXTURE, generator=generator)
    mesh = torch.randn(persona.vertex_mean.numel(), generator=generator)
    pictures = [Renderer(one, 64).draw(texels(texture), mesh) for one in (persona, again)]
    assert np.array_equal(*pictures)
    assert torch.equal(persona.view, again.view)
    assert persona.codes.grid == again.codes.grid
    assert np.array_equal(persona.codes.centre, again.codes.centre)
    assert np.array_equal(persona.codes.widths, again.codes.widths)


def test_bad_files(persona: Persona, tmp_path: Path) -> None:
    path = tmp_path / "persona"
    with pytest.raises(EscaError, match="no such persona"):
        load_persona(path)
    path.write_bytes(b"nothing")
    with pytest.raises(EscaError, match="damaged or no persona"):
        load_persona(path)
    save_file({"grid": torch.zeros(3)}, path)
    with pytest.raises(EscaError, match="format is None, expected 'esca-persona-1'"):
        load_persona(path)
    save_file({"centre": torch.zeros(3)}, path, {"format": "esca-persona-1", "camera": "1"})
    with pytest.raises(EscaError, match="damaged persona, 'grid'"):
        load_persona(path)
