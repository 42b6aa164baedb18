from fractions import Fraction
from math import floor

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from esca.errors import EscaError
from esca.runtime.fixed_point import MAX_SHIFT, FixedPoint, fixed_point

factors = st.floats(2.0**-40, 2.0**16 - 1) | st.floats(-(2.0**16) + 1, -(2.0**-40))
integers = st.integers(-(2**31), 2**31 - 1)


@settings(max_examples=100, deadline=None)
@given(factors)
def test_factors_are_held_to_17_bits(factor: float) -> None:
    made = fixed_point(torch.tensor([factor], dtype=torch.float64))
    mantissa, shift = int(made.mantissa), int(made.shift)
    assert 2**16 <= abs(mantissa) < 2**17
    assert 1 <= shift <= MAX_SHIFT
    exact = Fraction(factor)
    assert abs(Fraction(mantissa, 2**shift) - exact) <= abs(exact) / 2**17


@settings(max_examples=100, deadline=None)
@given(factors, st.lists(integers, min_size=1, max_size=6))
def test_products_are_rounded_half_up(factor: float, values: list[int]) -> None:
    made = fixed_point(torch.tensor([factor], dtype=torch.float64))
    held = Fraction(int(made.mantissa), 2 ** int(made.shift))
    found = made.times(torch.tensor(values)).tolist()
    assert found == [floor(value * held + Fraction(1, 2)) for value in values]


def test_ties_go_up_below_zero_too() -> None:
    half = fixed_point(torch.tensor([0.5]))
    assert half.times(torch.tensor([-3, -2, -1, 0, 1, 2, 3])).tolist() == [-1, -1, 0, 0, 1, 1, 2]


def test_mantissas_that_round_up_to_the_next_power() -> None:
    made = fixed_point(torch.tensor([1.0 - 2.0**-20], dtype=torch.float64))
    assert (int(made.mantissa), int(made.shift)) == (2**16, 16)


def test_next_to_nothing_is_nothing() -> None:
    made = fixed_point(torch.tensor([0.0, 2.0**-60, -(2.0**-50)], dtype=torch.float64))
    assert not made.mantissa.any()
    assert not made.times(torch.tensor([2**31 - 1] * 3)).any()
    # What is dropped could not have moved an int32 by half a step.
    kept = fixed_point(torch.tensor([2.0**-45], dtype=torch.float64))
    assert int(kept.mantissa) != 0


def test_factors_broadcast() -> None:
    made = fixed_point(torch.tensor([1.0, 2.0, 0.25])[:, None, None])
    x = torch.arange(2 * 3 * 2 * 2).reshape(2, 3, 2, 2)
    expected = torch.floor(x * torch.tensor([1.0, 2.0, 0.25])[:, None, None] + 0.5).long()
    assert isinstance(made, FixedPoint)
    assert torch.equal(made.times(x), expected)


def test_factors_that_do_not_fit() -> None:
    for wrong in (float("nan"), float("inf")):
        with pytest.raises(EscaError, match="factor is not finite"):
            fixed_point(torch.tensor([1.0, wrong]))
    for large in (2.0**16, -(2.0**16), 2.0**16 - 2.0**-3):
        with pytest.raises(EscaError, match=r"factor is 2\^16 or more"):
            fixed_point(torch.tensor([large], dtype=torch.float64))
