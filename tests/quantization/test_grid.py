from fractions import Fraction
from math import floor

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from esca.errors import EscaError
from esca.quantization.grid import Grid, grid_of_range, search_range

bounds = st.floats(-1e4, 1e4, allow_subnormal=False).filter(lambda x: x == 0 or abs(x) > 1e-6)


@settings(max_examples=80, deadline=None)
@given(bounds, bounds, st.integers(2, 16), st.lists(bounds, min_size=1, max_size=8))
def test_quantize_is_nearest_half_up_in_exact_arithmetic(low, high, bits, values) -> None:
    grid = grid_of_range(min(low, high), max(low, high), bits)
    integers = grid.quantize(torch.tensor(values, dtype=torch.float64)).tolist()
    for value, integer in zip(values, integers, strict=True):
        exact = Fraction(value) / Fraction(grid.scale)
        expected = floor(exact + Fraction(1, 2)) + grid.zero_point
        # The one division in double may round onto a tie; beside one it cannot be off.
        edge = abs(exact - round(exact - Fraction(1, 2)) - Fraction(1, 2)) < Fraction(1, 10**9)
        assert integer == min(max(expected, 0), grid.top) or edge
    assert float(grid.dequantize(grid.quantize(torch.zeros(1)))) == 0.0


@settings(max_examples=50, deadline=None)
@given(bounds, bounds, st.integers(2, 16), st.integers(0, 10**6))
def test_the_range_is_covered_and_integers_survive_the_round_trip(low, high, bits, seed) -> None:
    low, high = min(low, high), max(low, high)
    grid = grid_of_range(low, high, bits)
    assert 0 <= grid.zero_point <= grid.top == 2**bits - 1
    assert -grid.zero_point * grid.scale <= min(low, 0) + 0.51 * grid.scale
    assert (grid.top - grid.zero_point) * grid.scale >= max(high, 0) - 0.51 * grid.scale
    generator = torch.Generator().manual_seed(seed)
    integers = torch.randint(0, grid.top + 1, (50,), generator=generator, dtype=torch.int32)
    real = grid.dequantize(integers)
    assert torch.equal(grid.quantize(real), integers)
    torch.testing.assert_close(grid.fake(real), real)


def test_fake_equals_quantize_then_dequantize() -> None:
    grid = grid_of_range(-1.3, 2.7, 6)
    x = torch.randn(10_000, generator=torch.Generator().manual_seed(0)) * 2
    torch.testing.assert_close(grid.fake(x), grid.dequantize(grid.quantize(x)))
    assert len(grid.fake(x).unique()) <= 64


def test_a_silent_tensor_gets_a_usable_grid() -> None:
    assert grid_of_range(0.0, 0.0, 8) == Grid(1 / 255, 0, 8)


@pytest.mark.parametrize("bits", [-1, 0, 1, 17])
def test_bits_out_of_range(bits: int) -> None:
    with pytest.raises(EscaError, match=f"bits is {bits}, expected 2 to 16"):
        Grid(1.0, 0, bits)
    with pytest.raises(EscaError, match=f"bits is {bits}, expected 2 to 16"):
        grid_of_range(-1.0, 1.0, bits)


def test_scale_and_zero_point_out_of_range() -> None:
    for scale in (0.0, -1.0, float("nan")):
        with pytest.raises(EscaError, match="expected a positive number"):
            Grid(scale, 0, 4)
    for zero_point in (-1, 16):
        with pytest.raises(EscaError, match="expected 0 to 15"):
            Grid(1.0, zero_point, 4)


def clipped_error(values: list[float], counts: list[float], low, high, bits, power) -> float:
    """The metric in plain Python."""
    top = 2**bits - 1
    scale = (high - low) / top
    zero = round(-low / scale)
    total = 0.0
    for value, count in zip(values, counts, strict=True):
        integer = min(max(round(value / scale) + zero, 0), top)
        total += count * abs(value - (integer - zero) * scale) ** power
    return total


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 6), st.sampled_from([1.0, 2.0, 2.4]))
def test_searched_ranges_are_never_worse_than_the_extremes(seed, bits, power) -> None:
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(60, generator=generator) ** 3
    counts = torch.randint(0, 50, (60,), generator=generator).float()
    low, high = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
    found = search_range(values, counts, low, high, bits, 40, power)
    assert low <= found[0] <= 0 <= found[1] <= high
    flat, weights = values.double().tolist(), counts.tolist()
    searched = clipped_error(flat, weights, *found, bits, power)
    assert searched <= clipped_error(flat, weights, low, high, bits, power) * (1 + 1e-9)


def test_outliers_are_clipped_and_a_flat_tensor_keeps_its_range() -> None:
    values = torch.cat([torch.linspace(-1, 1, 9999), torch.tensor([40.0])])
    _, high = search_range(values, torch.ones(10_000), -1.0, 40.0, 4, 80, 2.0)
    assert high < 20
    even = torch.linspace(0, 1, 1600)
    low, high = search_range(even, torch.ones(1600), 0.0, 1.0, 4, 80, 2.0)
    assert (low, high) == (0.0, pytest.approx(1.0, abs=0.05))
    assert search_range(torch.zeros(3), torch.ones(3), 0.0, 0.0, 4, 80, 2.0) == (0.0, 0.0)
