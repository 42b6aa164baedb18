"""Accumulators: tiles are added where they belong, a half is drained while the other fills."""

from functools import cache

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from esca.accelerator.rtl.accumulators import DRAINED_LATENCY, TOKEN_LEAD, Accumulators, Bank
from esca.accelerator.rtl.compiled import compiled
from esca.accelerator.rtl.params import Parameters

P = Parameters(8, 4, False, 1, False, 12, 4)


@cache
def accumulators():
    return compiled(Accumulators(P))


def streamed(p, tiles, half, begin, cycles, given):
    """Tokens and skewed sums of tiles (tiles, rows, C) from a cycle on."""
    cycle = begin
    for number, tile in enumerate(tiles):
        for address, row in enumerate(tile):
            given["token__valid"][cycle] = 1
            given["token__first"][cycle] = number == 0
            given["token__half"][cycle] = half
            given["token__address"][cycle] = address
            for column, value in enumerate(row):
                given["sums"][cycle + TOKEN_LEAD + column, column] = value
            cycle += 1
    return cycle


def empty(p, cycles):
    names = ("valid", "first", "half", "address")
    given = {f"token__{name}": np.zeros(cycles, np.int64) for name in names}
    given |= {f"drain{name}": np.zeros(cycles, np.int64) for name in ("", "_half", "_address")}
    return given | {"sums": np.zeros((cycles, p.columns), np.int64)}


@settings(max_examples=10)
@given(st.integers(0, 2**32 - 1), st.integers(4, 12), st.integers(1, 4))
def test_halves_take_turns(seed, rows, count):
    rng = np.random.default_rng(seed)
    tiles = rng.integers(-(2**18), 2**18, (3, count, rows, P.columns))
    cycles = (count * rows + 10) * 5
    inputs = empty(P, cycles)
    at, drains = 0, []
    for number in range(3):
        at = streamed(P, tiles[number], number % 2, at, cycles, inputs) + P.columns + 3
        span = slice(at, at + rows)
        inputs["drain"][span], inputs["drain_half"][span] = 1, number % 2
        inputs["drain_address"][span] = np.arange(rows)
        drains.append(at + DRAINED_LATENCY)
        # The next unit streams while this one is drained.
    out = accumulators().run(cycles, **inputs)
    for tile, drain in zip(tiles, drains, strict=True):
        np.testing.assert_array_equal(out["drained"][drain : drain + rows], tile.sum(0))
    assert not out["alarm"].any()


def bank_alarms(**inputs):
    cycles = len(next(iter(inputs.values())))
    return compiled(Bank(P)).run(cycles, **inputs)["alarm"]


def test_alarms():
    ones, zeros = np.ones(8, np.int64), np.zeros(8, np.int64)
    assert bank_alarms(token__valid=ones, token__address=zeros).any()
    spread = np.arange(8) % 4
    assert bank_alarms(token__valid=ones, token__address=np.arange(8) % 3).any()
    assert not bank_alarms(token__valid=ones, token__address=spread).any()
    assert bank_alarms(token__valid=ones, token__address=spread, drain=ones).any()
    other = ones
    assert not bank_alarms(
        token__valid=ones, token__address=spread, drain=ones, drain_half=other
    ).any()


def test_a_sum_that_leaves_32_bits_is_noticed():
    p = Parameters(4, 1, False, 1, False, 4, 1)
    largest = 2 ** (p.sum_bits - 1) - 1
    times = 2**31 // largest + 2
    cycles = 4 * times
    alarm = compiled(Bank(p)).run(
        cycles,
        token__valid=np.ones(cycles, np.int64),
        token__first=(np.arange(cycles) < 4).astype(np.int64),
        token__address=np.arange(cycles) % 4,
        sum_in=np.full(cycles, largest),
    )["alarm"]
    first = int(np.flatnonzero(alarm)[0])
    # The sum comes after its token, the alarm two cycles behind.
    assert (first - TOKEN_LEAD - 2) // 4 == 2**31 // largest
