"""The entropy coder: exact round trips, tables that sum up, sizes close to the entropy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from esca.errors import EscaError
from esca.telepresence.entropy import (
    CLASSES,
    LARGEST,
    PRECISION,
    REACH,
    costs_of,
    decode,
    encode,
    table,
)

symbols_and_widths = st.lists(
    st.tuples(
        st.one_of(st.integers(-20, 20), st.integers(-LARGEST, LARGEST)),
        st.integers(0, CLASSES - 1),
    ),
    max_size=64,
)


@given(symbols_and_widths)
def test_round_trip(pairs: list[tuple[int, int]]) -> None:
    symbols, widths = [s for s, _ in pairs], [w for _, w in pairs]
    data = encode(symbols, widths)
    assert decode(data, widths) == symbols


@given(symbols_and_widths)
def test_size_is_what_the_costs_say(pairs: list[tuple[int, int]]) -> None:
    symbols, widths = [s for s, _ in pairs], [w for _, w in pairs]
    size = len(encode(symbols, widths))
    bits = float(costs_of(np.array(symbols, np.int64), np.array([widths], np.int64))[0])
    # The state's leading one and the last byte's padding; rounding of a state that starts small.
    assert bits / 8 - 2 <= size <= bits / 8 + 3


@pytest.mark.parametrize("width", range(CLASSES))
def test_tables_are_complete(width: int) -> None:
    model = table(width)
    assert sum(model.frequency) == 1 << PRECISION
    assert min(model.frequency) >= 1
    assert model.reach <= REACH
    assert len(model.frequency) == 2 * model.reach + 2
    assert model.frequency[: model.reach] == model.frequency[-2 : model.reach : -1]
    for place in (0, model.reach, model.escape):
        assert model.place[model.start[place]] == place


def test_tables_are_those_of_other_machines() -> None:
    assert [table(width).frequency[table(width).reach] for width in (0, 5, 13)] == [8965, 1126, 164]


def test_size_near_the_entropy_of_geometric_noise() -> None:
    rng = np.random.default_rng(0)
    decay = 1 - 2**-2.5  # class 4
    noise = rng.geometric(1 - decay, (2, 4000)) - 1
    symbols = noise[0] - noise[1]
    share = np.bincount(symbols - symbols.min()) / symbols.size
    entropy = -(share[share > 0] * np.log2(share[share > 0])).sum()
    bits = min(len(encode(symbols.tolist(), [w] * symbols.size)) for w in range(CLASSES)) * 8
    assert bits / symbols.size < entropy + 0.1


@given(st.binary(max_size=64), st.integers(1, 40))
def test_damage_is_an_error_or_other_symbols(data: bytes, count: int) -> None:
    widths = [index % CLASSES for index in range(count)]
    try:
        symbols = decode(data, widths)
    except EscaError:
        return
    assert decode(encode(symbols, widths), widths) == symbols


def test_bad_input() -> None:
    with pytest.raises(EscaError, match="2 symbols, expected 1"):
        encode([1, 2], [0])
    with pytest.raises(EscaError, match="symbol 99999"):
        encode([99999], [0])
    with pytest.raises(EscaError, match="class is 14"):
        table(CLASSES)
    with pytest.raises(EscaError, match="damaged"):
        decode(b"\x07\xff\xff\xff", [0])
