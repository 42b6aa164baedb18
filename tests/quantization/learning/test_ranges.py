import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from esca.graph.ops import Conv2d
from esca.quantization.grid import Grid, dobi_range, grid_of_range
from esca.quantization.learning.ranges import BoundedWeight, LearnedBounds, LearnedStep
from esca.quantization.weights import dequantize_weight, quantize_weight, symmetric_scale

GRID = Grid(0.3, 5, 4)


def values(count: int = 400, seed: int = 0) -> torch.Tensor:
    return torch.randn(4, count, generator=torch.Generator().manual_seed(seed)) * 2


@pytest.mark.parametrize("kind", [LearnedStep, LearnedBounds])
def test_they_start_as_their_grid_and_freeze_to_what_they_do(kind) -> None:
    learned, x = kind(GRID), values()
    assert torch.allclose(learned(x), GRID.fake(x), atol=1e-5)
    assert learned.frozen().zero_point == GRID.zero_point
    assert learned.frozen().scale == pytest.approx(GRID.scale)
    with torch.no_grad():
        next(learned.parameters()).mul_(0.8).add_(0.05 * torch.tensor([1.0]))
    assert torch.allclose(learned(x), learned.frozen().fake(x), atol=1e-5)


def test_the_gradient_of_a_step_is_that_of_lsq() -> None:
    learned, x = LearnedStep(GRID), values()
    learned(x).sum().backward()
    steps = x / GRID.scale
    low, high = -GRID.zero_point, GRID.top - GRID.zero_point
    # A value is clipped where its nearest integer lies beyond the grid.
    q = steps.round()
    inside = torch.where(q < low, low, torch.where(q > high, high, q - steps))
    wanted = float(inside.sum()) / math.sqrt(x[0].numel() * GRID.top)
    assert float(learned.share.grad) / GRID.scale == pytest.approx(wanted, rel=1e-3)


@pytest.mark.parametrize("kind", [LearnedStep, LearnedBounds])
def test_learning_lowers_the_rounding_error(kind) -> None:
    learned, x = kind(Grid(1.6, 5, 4)), values()
    before = float((learned(x) - x).square().mean().detach())
    optimizer = torch.optim.Adam(learned.parameters(), 0.01)
    for _ in range(150):
        optimizer.zero_grad()
        (learned(x) - x).square().mean().backward()
        optimizer.step()
    assert float((learned(x) - x).square().mean().detach()) < 0.75 * before


def test_bounds_move_apart_from_each_other() -> None:
    learned = LearnedBounds(GRID)
    with torch.no_grad():
        learned.shares.copy_(torch.tensor([0.5, 1.0]))
    made = learned.frozen()
    high = (GRID.top - GRID.zero_point) * GRID.scale
    wanted = grid_of_range(-0.5 * GRID.zero_point * GRID.scale, high, 4)
    assert (made.zero_point, made.bits) == (wanted.zero_point, wanted.bits)
    assert made.scale == pytest.approx(wanted.scale)


def test_bounded_weights_start_as_stored_and_freeze_to_what_they_do() -> None:
    op = Conv2d(values(3 * 9).reshape(4, 3, 3, 3), None, 1, 1)
    stored = quantize_weight(op, 4, "channel", "dobi")
    learned = BoundedWeight(op, stored, op.weight)
    assert torch.equal(learned.frozen().values, stored.values)
    optimizer = torch.optim.Adam(learned.parameters(), 0.02)
    wide = BoundedWeight(op, quantize_weight(op, 4, "channel", "minmax"), op.weight)
    optimizer = torch.optim.Adam(wide.parameters(), 0.02)
    before = float((wide() - op.weight).square().mean().detach())
    for _ in range(100):
        optimizer.zero_grad()
        (wide() - op.weight).square().mean().backward()
        optimizer.step()
    after = float((wide() - op.weight).square().mean().detach())
    assert after < before
    assert torch.allclose(wide(), dequantize_weight(op, wide.frozen()), atol=1e-5)


@given(st.integers(0, 1000), st.sampled_from([2, 4, 6]))
def test_dobi_finds_what_trying_every_pair_of_bounds_finds(seed: int, bits: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(60, generator=generator).exp() - 1
    counts = torch.randint(1, 9, (60,), generator=generator).double()
    low, high = float(x.min()), float(x.max())
    found = dobi_range(x, counts, low, high, bits)

    def error(a: float, b: float) -> float:
        step = (b - a) / (2**bits - 1)
        zero = round(-a / step)
        total = 0.0
        for value, count in zip(x.double().tolist(), counts.tolist(), strict=True):
            q = min(max(math.floor(value / step + 0.5) + zero, 0), 2**bits - 1)
            total += count * (value - (q - zero) * step) ** 2
        return total

    low, high = min(low, 0.0), max(high, 0.0)
    least = min(error(low * (1 - i / 100), high * (1 - i / 100)) for i in range(100))
    assert error(*found) == pytest.approx(least, rel=1e-9)


def test_dobi_of_weights_against_brute_force() -> None:
    rows = values(30, seed=3)
    scales = symmetric_scale(rows, 4, "dobi")
    for row, scale in zip(rows.double(), scales.tolist(), strict=True):
        full = float(row.abs().max()) / 7
        errors = {}
        for i in range(100):
            s = full * (1 - i / 100)
            errors[s] = float((row - (row / s).round().clamp(-7, 7) * s).square().sum())
        assert min(errors, key=errors.__getitem__) == pytest.approx(scale, rel=1e-4)
