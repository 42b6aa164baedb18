import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from esca.errors import EscaError
from esca.viewer.expressions import expressions


def some_codes(count: int, latent: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    scales = torch.linspace(3, 0.1, latent)
    return torch.randn(count, latent, generator=generator) * scales + 2


@given(st.integers(2, 12), st.integers(1, 9), st.integers(1, 8), st.integers(0, 1000))
def test_directions_are_those_of_numpys_singular_values(count, latent, kept, seed):
    codes = some_codes(count, latent, seed)
    made = expressions(codes, kept)
    centred = codes.numpy().astype(np.float64) - codes.numpy().mean(0)
    _, singular, directions = np.linalg.svd(centred, full_matrices=False)
    deviations = singular / np.sqrt(count - 1)
    size = min(kept, int((deviations**2 > 1e-12 * (deviations**2).sum()).sum()))
    assert len(made.directions) == len(made.deviations) == size
    np.testing.assert_allclose(made.mean, codes.numpy().mean(0), atol=1e-5)
    np.testing.assert_allclose(made.deviations, deviations[:size], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(
        made.shares, deviations[:size] ** 2 / (deviations**2).sum(), rtol=1e-3, atol=1e-5
    )
    for own, other, spread in zip(made.directions.numpy(), directions, deviations, strict=False):
        if spread > 1e-2:
            assert abs(own @ other) == pytest.approx(1, abs=1e-2)
            assert own[np.abs(own).argmax()] > 0


def test_a_slider_moves_a_code_by_standard_deviations():
    codes = some_codes(200, 6, 1)
    made = expressions(codes, 3)
    moved = made.mean + made.offset([0.0, -2.0])
    along = (moved - made.mean) @ made.directions.T
    torch.testing.assert_close(along, torch.tensor([0.0, -2 * made.deviations[1], 0.0]))
    spread = (codes @ made.directions.T).std(0)
    torch.testing.assert_close(spread, made.deviations, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(made.offset([0.0] * 3), torch.zeros(6))


def test_codes_that_do_not_vary_have_no_directions():
    codes = torch.ones(5, 4)
    codes[:, 0] = torch.arange(5.0)
    assert len(expressions(codes, 3).directions) == 1
    assert len(expressions(torch.ones(5, 4), 3).directions) == 0


def test_bad_input():
    with pytest.raises(EscaError, match="two or more"):
        expressions(torch.ones(1, 4), 3)
    with pytest.raises(EscaError, match="sliders: 4, expected 3"):
        expressions(some_codes(9, 5, 0), 3).offset([0.0] * 4)
