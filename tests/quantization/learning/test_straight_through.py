import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from esca.quantization.grid import Grid
from esca.quantization.learning.straight_through import (
    round_within,
    snap,
    with_bias_gradient,
)


@given(st.integers(0, 10_000), st.sampled_from([2, 4, 8]))
def test_snapping_is_what_the_grid_does(seed: int, bits: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    top = 2**bits - 1
    grid = Grid(float(torch.rand(1, generator=generator)) + 0.01, seed % (top + 1), bits)
    x = torch.randn(50, generator=generator) * grid.scale * top
    made = snap(x, torch.tensor([grid.scale]), torch.tensor([float(grid.zero_point)]), top)
    assert torch.equal(made, grid.fake(x))


def round_through(x: torch.Tensor) -> torch.Tensor:
    return x + (torch.floor(x + 0.5) - x).detach()


def test_gradients_are_those_of_straight_through_rounding_by_autograd() -> None:
    generator = torch.Generator().manual_seed(3)
    x = (torch.randn(4, 30, generator=generator) * 4).requires_grad_()
    scale = torch.tensor([0.7], requires_grad=True)
    zero = torch.tensor([3.2], requires_grad=True)
    upstream = torch.randn(4, 30, generator=generator)
    top = 7

    def by_autograd() -> torch.Tensor:
        start = round_through(zero)
        integers = round_through(x / scale) + start
        return scale * (integers.clamp(0, top) - start)

    wanted = torch.autograd.grad(by_autograd(), (x, scale, zero), upstream)
    got = torch.autograd.grad(snap(x, scale, zero, top), (x, scale, zero), upstream)
    for one, other in zip(got, wanted, strict=True):
        assert torch.allclose(one, other, atol=1e-5)
    assert wanted[0].count_nonzero() < x.numel()  # some values were clipped


def test_gradients_do_not_depend_on_how_maps_lie_in_memory() -> None:
    generator = torch.Generator().manual_seed(5)
    x = torch.randn(2, 3, 4, 5, generator=generator) * 4
    upstream = torch.randn(2, 3, 4, 5, generator=generator)
    found = []
    for layout in (torch.contiguous_format, torch.channels_last):
        maps = x.clone(memory_format=layout).requires_grad_()
        scale = torch.tensor([0.7], requires_grad=True)
        zero = torch.tensor([3.2], requires_grad=True)
        made = snap(maps, scale, zero, 7)
        assert made.is_contiguous(memory_format=layout)
        found.append(torch.autograd.grad(made, (maps, scale, zero), upstream))
    for one, other in zip(*found, strict=True):
        assert torch.allclose(one, other, atol=1e-5)


def test_rounding_within_limits_by_autograd() -> None:
    generator = torch.Generator().manual_seed(4)
    x = (torch.randn(200, generator=generator) * 6).requires_grad_()
    upstream = torch.randn(200, generator=generator)
    wanted = round_through(x.clamp(-7, 7))
    made = round_within(x, 7)
    assert torch.equal(made, wanted)
    (got,) = torch.autograd.grad(made, x, upstream)
    (expected,) = torch.autograd.grad(wanted, x, upstream)
    assert torch.equal(got, expected)
    assert 0 < int((got == 0).sum()) < 200


@pytest.mark.parametrize("shape", [(3,), (3, 4, 5)])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_biases_get_the_gradient_that_autograd_gives_them(
    shape: tuple[int, ...], layout: torch.memory_format
) -> None:
    generator = torch.Generator().manual_seed(6)
    maps = torch.randn(2, 3, 4, 5, generator=generator).to(memory_format=layout).requires_grad_()
    bias = torch.randn(shape, generator=generator).requires_grad_()
    upstream = torch.randn(2, 3, 4, 5, generator=generator).to(memory_format=layout)
    spread = bias if bias.dim() == 3 else bias[:, None, None]
    wanted = torch.autograd.grad(maps + spread, (maps, bias), upstream)
    made = with_bias_gradient(maps + spread.detach(), bias)
    got = torch.autograd.grad(made, (maps, bias), upstream)
    for one, other in zip(got, wanted, strict=True):
        assert torch.allclose(one, other, atol=1e-5)
