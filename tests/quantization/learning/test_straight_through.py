import torch
from hypothesis import given
from hypothesis import strategies as st

from esca.quantization.grid import Grid
from esca.quantization.learning.straight_through import round_through, snap


@given(st.integers(0, 10_000), st.sampled_from([2, 4, 8]))
def test_snapping_is_what_the_grid_does(seed: int, bits: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    top = 2**bits - 1
    grid = Grid(float(torch.rand(1, generator=generator)) + 0.01, seed % (top + 1), bits)
    x = torch.randn(50, generator=generator) * grid.scale * top
    made = snap(x, torch.tensor([grid.scale]), torch.tensor([float(grid.zero_point)]), top)
    assert torch.equal(made, grid.fake(x))


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
