"""Overlap-add: banks add at any address in any cycle, taps go where the geometry says, and rows
come back in the order of columns, with what was carried.
"""

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.accelerator.rtl.front_data import record_fields
from tests.accelerator.test_overlap import banked

from esca.accelerator.hardware.latencies import OVERLAP_LATENCY, TURN_LATENCY
from esca.accelerator.mappings import tile_layer
from esca.accelerator.overlap import KERNEL, OverlapBanks, overlap_banks
from esca.accelerator.plan import drained_lines, plan_tiling
from esca.accelerator.rtl.accumulators import DRAINED_LATENCY, TOKEN_LEAD
from esca.accelerator.rtl.compiled import compiled
from esca.accelerator.rtl.overlap_add import OverlapAdd, OverlapBank
from esca.accelerator.rtl.overlap_rows import OverlapRows
from esca.accelerator.rtl.params import Parameters
from esca.accelerator.rtl.patch_places import PATCH_LATENCY, PatchPlaces
from esca.accelerator.rtl.streams import patch_values

ROWS = 128


def sizes(columns: int) -> Parameters:
    return Parameters(8, columns, False, 1, True, ROWS, columns)


@cache
def simulated(component, columns):
    return compiled(component(sizes(columns)))


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6))
def test_a_bank_adds_at_any_address_in_any_cycle(seed, addresses):
    rng = np.random.default_rng(seed)
    cycles, drains = 60, 80
    total = drains + 2 * addresses + 12
    valid, half, address = np.zeros((3, total), np.int64)
    valid[:cycles] = rng.integers(0, 4, cycles) > 0
    half[:cycles] = rng.integers(0, 2, cycles)
    address[:cycles] = rng.integers(0, addresses, cycles)
    sums = rng.integers(-(2**18), 2**18, total)
    wanted = np.zeros((2, addresses), np.int64)
    for cycle in np.flatnonzero(valid):
        wanted[half[cycle], address[cycle]] += sums[cycle + TOKEN_LEAD]
    drain, drain_half, drain_address = np.zeros((3, total), np.int64)
    for number in range(2):  # each half once, and then once more where it was cleared
        first = drains + number * (addresses + 2)
        span = slice(first, first + addresses)
        drain[span], drain_address[span] = 1, np.arange(addresses)
    out = simulated(OverlapBank, 4).run(
        total,
        token__valid=valid,
        token__half=half,
        token__address=address,
        sum_in=sums,
        drain=drain,
        clear=drain,
        drain_half=drain_half,
        drain_address=drain_address,
    )
    begin = drains + DRAINED_LATENCY
    np.testing.assert_array_equal(out["drained"][begin:][:addresses], wanted[0])
    assert not out["drained"][begin + addresses + 2 :][:addresses].any()
    assert not out["alarm"].any()
    # What the other half holds is 0 for the next example, too.
    drain_half[:] = 1
    rest = {"drain": drain, "clear": drain, "drain_half": drain_half}
    out = simulated(OverlapBank, 4).run(total, **rest, drain_address=drain_address)
    np.testing.assert_array_equal(out["drained"][begin:][:addresses], wanted[1])
    assert not out["drained"][begin + addresses + 2 :][:addresses].any()


def test_alarms():
    ones, cycles = np.ones(8, np.int64), 8

    def alarm(**given):
        return compiled(OverlapBank(sizes(4))).run(cycles, **given)["alarm"].any()

    assert alarm(token__valid=ones, drain=ones)
    assert alarm(token__valid=ones, drain=ones, clear=ones)
    assert not alarm(token__valid=ones, token__first=ones, drain=ones, drain_half=ones)


def unit(layer, columns, channels, stride, rng):
    """A layer's tiling and one of its tiles in one of its chunks."""
    made = layer("conv_transpose2d", 8, channels, (9, 7), (4, 4), stride, 1, bits=8)
    config = banked(columns, 64)
    tiling = tile_layer(made, config, "scatter")
    units = plan_tiling(tiling, config).units
    return tiling, units[int(rng.integers(len(units)))]


SHAPES = [(4, 1), (4, 2), (4, 3), (8, 2), (8, 3), (8, 8), (16, 3), (16, 16)]


@pytest.mark.parametrize(("columns", "channels"), SHAPES)
@pytest.mark.parametrize("stride", [1, 2])
def test_products_go_where_the_geometry_says(layer, columns, channels, stride):
    rng = np.random.default_rng(columns * channels + stride)
    tiling, tile = unit(layer, columns, channels, stride, rng)
    p, made = sizes(columns), tiling.layer
    y0, y1, x0, x1 = tile.raster
    y, x = np.mgrid[y0:y1, x0:x1].reshape(2, -1)
    fields = record_fields(patch_values(tiling, tile.part, tile.raster), "held")
    held = {name: np.full(len(y) + 5, value) for name, value in fields.items()}
    padded = [np.pad(one, (0, 5)) for one in (y, x)]
    patches = simulated(PatchPlaces, columns).run(
        len(y) + 5, row__y=padded[0], row__x=padded[1], **held
    )
    names = [name for name in patches if name.startswith("patch")]
    rows = {name: patches[name][PATCH_LATENCY:][: len(y)] for name in names}
    sums = rng.integers(-(2**18), 2**18, (len(y), columns))
    drained = stream(p, rows, sums)
    # By brute force, from the kernel.
    banks = overlap_banks(made, columns)
    channel, tap = divmod(tiling.passes[0].first_columns[tile.part[1]], KERNEL**2)
    low, high = drained_lines(made, tile.raster)
    wanted = np.zeros((ROWS, columns), np.int64)
    for at in range(len(y)):
        for column in range(columns):
            tap_y, tap_x = divmod(tap + column, KERNEL)
            out_y, out_x = y[at] * stride + tap_y - 1, x[at] * stride + tap_x - 1
            if low <= out_y < high and 0 <= out_x < made.output.width:
                row = (out_y - low) * banks.length(made.output.width) + out_x // banks.pixels
                wanted[row, banks.bank(out_y, out_x, channel)] += sums[at, column]
    np.testing.assert_array_equal(drained, wanted)


def stream(p, patches, sums):
    """All rows of banks, after a stream of rows with patches (as ports have them) and sums."""
    count = len(sums)
    drains = count + TOKEN_LEAD + p.columns + TURN_LATENCY + 6
    total = drains + ROWS + 6
    skewed = np.zeros((total, p.columns), np.int64)
    for column in range(p.columns):
        skewed[TOKEN_LEAD + column :][:count, column] = sums[:, column]
    valid, drain, address = np.zeros((3, total), np.int64)
    valid[:count] = 1
    drain[drains : drains + ROWS], address[drains : drains + ROWS] = 1, np.arange(ROWS)
    padded = {
        name: np.pad(one, ((0, total - count), *[(0, 0)] * (one.ndim - 1)))
        for name, one in patches.items()
    }
    out = simulated(OverlapAdd, p.columns).run(
        total, token__valid=valid, sums=skewed, drain=drain, clear=drain, drain_address=address,
        **padded,
    )  # fmt: skip
    assert not out["alarm"].any()
    return out["drained"][drains + DRAINED_LATENCY :][:ROWS]


@pytest.mark.parametrize(("columns", "channels"), SHAPES)
@pytest.mark.parametrize("turns", [1, 2])
def test_rows_come_in_the_order_of_columns_with_what_was_carried(columns, channels, turns):
    """A unit keeps its last lines; the next one, which begins in them, gets them added."""
    rng = np.random.default_rng(columns + channels)
    banks = OverlapBanks(columns, channels, min(columns, 1 << (channels - 1).bit_length()))
    lines, length, kept, first = 5, 4, 2, int(rng.integers(4))
    values = rng.integers(-(2**20), 2**20, (2, lines, length, columns))
    cycles = lines * length * turns
    total = 2 * cycles + 20
    fields = {
        "on": 1, "line": first, "pixels": (banks.pixels - 1).bit_length(),
        "threes": channels == 3 and banks.together == 4, "phased": 1, "address": 3,
    }  # fmt: skip
    given = {
        name: np.zeros(total, np.int64) for name in ("start", "step__valid", "step__line_ends")
    }
    held = {f"{side}__{name}": np.zeros(total, np.int64) for side in ("record", "held")
            for name in (*fields, "carried", "kept")}  # fmt: skip
    drained = np.zeros((total, columns), np.int64)
    for number in range(2):
        begin = 1 + number * cycles
        record = {
            **fields, "line": (first + number * (lines - kept)) % KERNEL,
            "carried": number * kept, "kept": lines - kept if not number else lines,
        }  # fmt: skip
        given["start"][begin - 1] = 1
        for name, value in record.items():
            held[f"record__{name}"][begin - 1] = value
            held[f"held__{name}"][begin : begin + cycles] = value
        for place in range(lines * length):
            last = begin + place * turns + turns - 1
            given["step__valid"][last] = 1
            given["step__line_ends"][last] = place % length == length - 1
            for turn in range(turns):
                at = last - turn + DRAINED_LATENCY
                drained[at] = values[number].reshape(-1, columns)[place]
    out = simulated(OverlapRows, columns).run(total, drained=drained, **given, **held)
    later = DRAINED_LATENCY + OVERLAP_LATENCY
    found = np.zeros((2, lines, length, columns), np.int64)
    phases = np.zeros((2, lines, length), np.int64)
    for number in range(2):
        for place in range(lines * length):
            last = 1 + number * cycles + place * turns + turns - 1
            found[number].reshape(-1, columns)[place] = out["sums"][last + later]
            phases[number].ravel()[place] = out["phase"][last]
    wanted = np.zeros_like(found)
    outputs = banks.pixels * min(channels, banks.together)
    for number, line, place, column in np.ndindex(2, lines, length, outputs):
        pixel, channel = divmod(column, min(channels, banks.together))
        y, x = first + number * (lines - kept) + line, place * banks.pixels + pixel
        bank = banks.bank(y, x, channel)
        wanted[number, line, place, column] = values[number, line, place, bank]
        if not column:
            assert phases[number, line, place] == (y % 2) * 2 + (x % 2 if banks.pixels == 1 else 0)
    wanted[1, :kept] += wanted[0, lines - kept :]
    np.testing.assert_array_equal(found[..., :outputs], wanted[..., :outputs])
