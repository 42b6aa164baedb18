"""The array: tile after tile without a gap, weights filling in behind, modes changing between."""

import numpy as np
import pytest
from tests.accelerator.rtl.rtl_data import WIDTHS, held_fields, operand_digits, random_tile

from esca.accelerator.rtl.array import Array
from esca.accelerator.rtl.compiled import compiled
from esca.accelerator.rtl.params import Parameters


def run_tiles(p, names, lengths, rng):
    """Stream tiles of some widths and lengths back to back; sums found and expected (rows, C)."""
    tiles = [
        random_tile(p, name, (p.rows, p.columns, length), rng)
        for name, length in zip(names, lengths, strict=True)
    ]
    begins = p.rows + 1 + np.concatenate([[0], np.cumsum(lengths)])
    total = int(begins[-1])
    cycles = total + p.array_latency + p.columns + 2
    given = {
        "offers": np.zeros((cycles, p.rows, p.mux, p.digits), np.int64),
        "swap": np.zeros(cycles, np.int64),
        "start": np.zeros(cycles, np.int64),
        "last": np.zeros(cycles, np.int64),
    }
    fill = 1  # the first tile's weights come before anything streams
    for name, tile, begin, length in zip(names, tiles, begins, lengths, strict=False):
        given["offers"][begin : begin + length] = operand_digits(p, name, tile.offers)
        given["swap"][begin - 1] = 1
        given["start"][fill], given["last"][fill + p.rows - 1] = 1, 1
        for key, value in held_fields(p, name, tile.weights, tile.select).items():
            field = f"held__{key}"
            given.setdefault(field, np.zeros((cycles, *value.shape[1:]), np.int64))
            given[field][fill : fill + p.rows] = value[::-1]
        fill = begin
    sums = compiled(Array(p)).run(cycles, **given)["sums"]
    skewed = [
        sums[p.rows + 1 + p.array_latency + c :][: total - p.rows - 1, c] for c in range(p.columns)
    ]
    return np.stack(skewed, 1), np.concatenate([tile.sums for tile in tiles])


@pytest.mark.parametrize("centred", [False, True])
def test_tiles_of_all_modes_follow_each_other_without_a_gap(centred):
    p = Parameters(4, 3, True, 4, centred, 8, 3)
    names = [*WIDTHS, *WIDTHS, "w8a8", "w4a4"]
    lengths = [4, 7, 4, 5, 4, 4, 4, 9, 4, 4]
    found, expected = run_tiles(p, names, lengths, np.random.default_rng(1))
    np.testing.assert_array_equal(found, expected)


def test_a_byte_array_with_more_rows_than_columns():
    p = Parameters(8, 4, False, 2, False, 8, 4)
    found, expected = run_tiles(p, ["w8a8"] * 5, [8, 8, 20, 8, 11], np.random.default_rng(2))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("products", [2, 4])
def test_packed_products_fill_their_sums(products):
    p = Parameters(16, 2, True, 4, False, 8, 2, composed=False, products=products)
    found, expected = run_tiles(p, ["w4a4"] * 3, [16, 19, 16], np.random.default_rng(4))
    np.testing.assert_array_equal(found, expected)
    assert np.abs(expected).max() == 16 * products * 15 * 8 < 2 ** (p.sum_bits - 1)


def test_sums_reach_their_extremes():
    p = Parameters(16, 2, False, 1, True, 8, 2)
    found, expected = run_tiles(p, ["w8a8"] * 2, [16, 16], np.random.default_rng(3))
    np.testing.assert_array_equal(found, expected)
    assert np.abs(expected).max() == 16 * 255 * 128 < 2 ** (p.sum_bits - 1)
