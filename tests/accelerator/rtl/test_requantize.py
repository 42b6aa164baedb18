"""A lane of the epilogue against the simulator's arithmetic."""

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from esca.accelerator.arithmetic import requantized
from esca.accelerator.constants import LayerConstants
from esca.accelerator.rtl.compiled import compiled
from esca.accelerator.rtl.requantize import CUTS, Lane, stored_shift
from esca.accelerator.unit_outputs import Block

COUNT = 40


@cache
def simulated(latency):
    return compiled(Lane(latency))


def factors(rng, largest, limit=2**30):
    """Mantissas of 17 bits with sign and shifts that keep ``largest`` times them below a limit."""
    mantissa = rng.integers(-(2**17) + 1, 2**17, COUNT)
    least = np.maximum(1, np.ceil(np.log2(np.abs(mantissa) * float(largest) / limit + 1e-9)))
    shift = least.astype(np.int64) + rng.integers(0, 4, COUNT) * rng.integers(0, 10, COUNT)
    return mantissa, np.minimum(shift, 62)


def layer(rng, residual, slope, span=30):
    """Requantized sums, texel biases, residuals and biases of ``span`` bits and a sign at most:
    only a small one leaves outputs that are not clamped.
    """
    mantissa, shift = factors(rng, 2**31, 2**span)
    texel_mantissa, texel_shift = factors(rng, 2**15, 2**span)
    scalars = {"guard": int(rng.integers(0, 9)), "zero": int(rng.integers(0, 256)), "top": 1023}
    tables = {
        "mantissa": mantissa[:, None, None],
        "shift": shift[:, None, None],
        "bias": rng.integers(-(2**span), 2**span, COUNT) // 4,
        "texel_mantissa": texel_mantissa[None],
        "texel_shift": texel_shift[None],
    }
    if residual:
        one, n = factors(rng, 2**16, 2**span)
        tables["residual"] = np.array([one[0], n[0]])
        scalars["residual_zero"] = 0
    if slope:
        scalars["slope"] = int(rng.integers(0, 2**16))
    return LayerConstants(scalars, tables)


def lane_values(latency, constants, sums, texel, residual):
    scalars, tables = constants.scalars, constants.tables
    shifts = np.vectorize(stored_shift)
    cycles = COUNT + latency + 1

    def column(values):
        room = np.zeros(cycles, np.int64)
        room[:COUNT] = values
        return room

    every = np.ones(cycles, np.int64)
    inputs = {
        "sum": column(sums),
        "texel": column(texel),
        "column__factor__mantissa": column(tables["mantissa"].ravel()),
        "column__factor__shift": column(shifts(tables["shift"].ravel())),
        "column__bias": column(tables["bias"]),
        "column__texel__mantissa": column(tables["texel_mantissa"][0]),
        "column__texel__shift": column(shifts(tables["texel_shift"][0])),
        "layer__guard": every * scalars["guard"],
        "layer__zero": every * scalars["zero"],
        "layer__top": every * scalars["top"],
    }
    if "slope" in scalars:
        inputs |= {"layer__sloped": every, "layer__slope": every * scalars["slope"]}
    if residual is not None:
        one, n = tables["residual"]
        inputs |= {
            "residual": column(residual),
            "layer__residual__mantissa": every * one,
            "layer__residual__shift": every * stored_shift(int(n)),
        }
    out = simulated(latency).run(cycles, **inputs)
    assert not out["alarm"][latency:].any()
    return out["value"][latency : latency + COUNT]


def expected(constants, sums, texel, residual):
    block = Block((0, COUNT), np.arange(1), np.arange(1))
    shaped = None if residual is None else residual[:, None, None]
    made = requantized(
        constants,
        block,
        sums[:, None, None],
        constants.tables["bias"],
        [texel[:, None, None]],
        shaped,
    )
    return made.ravel()


@settings(max_examples=60)
@given(
    st.integers(0, 2**32 - 1),
    st.booleans(),
    st.booleans(),
    st.integers(1, 31),
    st.sampled_from([9, 13, 17, 30]),
)
def test_a_lane_is_the_simulators_arithmetic(seed, residual, slope, bits, span):
    rng = np.random.default_rng(seed)
    constants = layer(rng, residual, slope, span)
    sums = rng.integers(-(2**bits), 2**bits, COUNT)
    sums[:2] = -(2**31), 2**31 - 1
    texel = rng.integers(-(2**15), 2**15, COUNT)
    added = rng.integers(-(2**16) + 1, 2**16, COUNT) if residual else None
    found = lane_values(CUTS, constants, sums, texel, added)
    np.testing.assert_array_equal(found, expected(constants, sums, texel, added))


@pytest.mark.parametrize("latency", [1, 5, CUTS + 3])
def test_any_number_of_registers(latency):
    rng = np.random.default_rng(latency)
    constants = layer(rng, True, True)
    sums = rng.integers(-(2**31), 2**31, COUNT)
    texel, added = rng.integers(-128, 128, COUNT), rng.integers(-255, 256, COUNT)
    found = lane_values(latency, constants, sums, texel, added)
    np.testing.assert_array_equal(found, expected(constants, sums, texel, added))


def test_a_sum_beyond_32_bits_raises_the_alarm():
    every = np.ones(CUTS + 2, np.int64)
    out = compiled(Lane(CUTS)).run(
        len(every),
        sum=every * (2**31 - 1),
        column__factor__mantissa=every * 2**16,
        column__factor__shift=every * stored_shift(16),
        column__bias=every * (2**31 - 1),
    )
    assert out["alarm"][-1]
