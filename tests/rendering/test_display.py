import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from esca.rendering.display import display_gain, from_display, to_display


def by_hand(red: float, green: float, blue: float) -> list[float]:
    black = 3 / 255
    result = []
    for value, gain in zip((red, green, blue), (1.4, 1.1, 1.6), strict=True):
        inner = min(max(value * gain / 1.1 - black, 0), 2)
        result.append(min(max((0.95 / (1 - black) * inner) ** 0.5 - 15 / 255, 0), 1))
    return result


@given(st.tuples(*[st.floats(0, 1)] * 3))
def test_it_is_the_datasets_formula(colour: tuple[float, float, float]) -> None:
    assert to_display(np.array(colour)) == pytest.approx(by_hand(*colour), abs=2e-5)


@given(st.tuples(*[st.floats(0, 0.9)] * 3))
def test_the_inverse_shows_the_same_colour(colour: tuple[float, float, float]) -> None:
    assert to_display(from_display(np.array(colour))) == pytest.approx(colour, abs=2e-5)


def test_black_becomes_a_raw_value_that_is_not_zero() -> None:
    raw = from_display(np.zeros((4, 5, 3)))
    assert raw.shape == (4, 5, 3)
    assert raw.dtype == np.float32
    assert (raw > 0).all()
    assert to_display(raw).max() < 1e-6


def test_colours_beyond_raw_one_are_clipped() -> None:
    raw = from_display(np.ones(3))
    assert raw[1] == 1
    assert raw[0] == pytest.approx(
        (1 + 15 / 255) ** 2 * (1 - 3 / 255) / 0.95 / 1.4 * 1.1 + 3 / 255 / 1.4 * 1.1
    )
    assert to_display(raw)[1] == pytest.approx(0.916, abs=1e-3)


def test_the_input_is_left_alone() -> None:
    raw = np.full((2, 3), 0.5, np.float32)
    to_display(raw)
    from_display(raw)
    assert (raw == 0.5).all()


def test_the_gain_is_how_much_an_error_around_a_value_shows() -> None:
    colours = np.random.default_rng(3).uniform(0.05, 0.95, (50, 3))
    step = 4 / 255
    for colour, gain in zip(colours, display_gain(colours, step), strict=True):
        up, down = (np.array(by_hand(*(colour + sign * step))) for sign in (1, -1))
        assert gain == pytest.approx((up - down) / (2 * step), abs=2e-3)
    dark, bright = display_gain(np.array([[0.03] * 3, [0.6] * 3]))
    assert (dark > 3 * bright).all()
    assert (display_gain(np.zeros((2, 3))) >= 0).all()
