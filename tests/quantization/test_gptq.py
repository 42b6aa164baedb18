from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from esca.errors import EscaError
from esca.quantization.gptq import gptq_round


def loss(weight: Tensor, integers: Tensor, scale: Tensor, hessian: Tensor) -> Tensor:
    """(out,) errors (w - sq) H (w - sq)^T in double."""
    error = weight.double() - integers.double() * scale.double()[:, None]
    return torch.einsum("oi,ij,oj->o", error, hessian.double(), error)


def correlated(columns: int, samples: int) -> Tensor:
    mixed = torch.randn(samples, columns) @ (
        torch.eye(columns) + 0.8 * torch.randn(columns, columns)
    )
    return 2 * mixed.t() @ mixed / samples


def nearest(weight: Tensor, scale: Tensor, bits: int) -> Tensor:
    limit = 2 ** (bits - 1) - 1
    return torch.round(weight / scale[:, None]).clamp(-limit, limit)


def test_between_the_best_integers_and_nearest_rounding() -> None:
    bits, columns = 2, 5
    every = torch.tensor(list(product((-1, 0, 1), repeat=columns)), dtype=torch.float64)
    ratios = []
    for seed in range(25):
        torch.manual_seed(seed)
        hessian = correlated(columns, 12)
        weight = torch.randn(6, columns)
        scale = weight.abs().amax(1)
        found = loss(weight, gptq_round(weight, hessian, scale, bits), scale, hessian)
        rounded = loss(weight, nearest(weight, scale, bits), scale, hessian)
        for row in range(len(weight)):
            copies = weight[row].expand(len(every), -1)
            best = loss(copies, every, scale[row].expand(len(every)), hessian).min()
            assert found[row] >= best * (1 - 1e-9)
            ratios.append([float(best), float(found[row]), float(rounded[row])])
    best_mean, found_mean, rounded_mean = torch.tensor(ratios).mean(0).tolist()
    assert best_mean <= found_mean < 0.9 * rounded_mean


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 8), st.integers(1, 40), st.integers(1, 50))
def test_integers_stay_in_range_and_blocks_do_not_matter(
    seed: int, bits: int, columns: int, block: int
) -> None:
    torch.manual_seed(seed)
    weight, hessian = torch.randn(3, columns) * 5, correlated(columns, 2 * columns)
    scale = torch.rand(3) + 0.05
    integers = gptq_round(weight, hessian, scale, bits, block=block)
    limit = 2 ** (bits - 1) - 1
    assert integers.dtype == torch.int32
    assert int(integers.abs().max()) <= limit
    whole = gptq_round(weight, hessian, scale, bits, block=columns)
    # A sum in another order may tip a value that lies on the edge between two integers.
    assert float((integers == whole).float().mean()) > 0.9


@pytest.mark.parametrize("descending", [True, False])
def test_a_diagonal_hessian_gives_nearest_rounding(descending: bool) -> None:
    torch.manual_seed(0)
    weight, scale = torch.randn(7, 20), torch.rand(7) + 0.1
    hessian = torch.diag(torch.rand(20) + 0.01)
    found = gptq_round(weight, hessian, scale, 4, descending=descending)
    assert torch.equal(found, nearest(weight, scale, 4).int())


def test_each_row_is_rounded_by_itself() -> None:
    torch.manual_seed(0)
    weight, hessian, scale = torch.randn(5, 9), correlated(9, 30), torch.rand(5) + 0.1
    whole = gptq_round(weight, hessian, scale, 4)
    rows = [gptq_round(weight[i : i + 1], hessian, scale[i : i + 1], 4) for i in range(5)]
    assert torch.equal(whole, torch.cat(rows))


@pytest.mark.parametrize("magnitude", [1e-6, 1.0, 1e6])
def test_dead_columns_are_zero_and_do_not_disturb_the_others(magnitude: float) -> None:
    torch.manual_seed(0)
    live = torch.tensor([0, 2, 3, 5, 6, 7])
    hessian = torch.zeros(8, 8)
    hessian[live[:, None], live] = correlated(6, 20) * magnitude
    weight, scale = torch.randn(4, 8), torch.rand(4) + 0.2
    found = gptq_round(weight, hessian, scale, 4)
    assert not found[:, [1, 4]].any()
    alone = gptq_round(weight[:, live], hessian[live][:, live], scale, 4)
    assert torch.equal(found[:, live], alone)


def test_a_hessian_without_information_is_an_error() -> None:
    weight, scale = torch.randn(2, 3), torch.ones(2)
    with pytest.raises(EscaError, match="zero or not finite"):
        gptq_round(weight, torch.zeros(3, 3), scale, 4)
    with pytest.raises(EscaError, match="zero or not finite"):
        gptq_round(weight, torch.full((3, 3), torch.nan), scale, 4)
    with pytest.raises(EscaError, match="singular with damp 1e-18"):
        gptq_round(weight, torch.ones(3, 3), scale, 4, damp=1e-18)


def test_inputs_are_left_alone() -> None:
    weight, hessian, scale = torch.randn(2, 6), correlated(6, 20), torch.rand(2) + 0.1
    hessian[0] = hessian[:, 0] = 0
    copies = weight.clone(), hessian.clone(), scale.clone()
    gptq_round(weight, hessian, scale, 3)
    assert all(torch.equal(a, b) for a, b in zip(copies, (weight, hessian, scale), strict=True))
