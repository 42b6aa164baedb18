"""What maps take on chip where the hardware's banks hold them."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from tests.accelerator.rtl.small_program import small_program

from esca.accelerator import load_config
from esca.accelerator.footprint import bank_line_bytes, footprint
from esca.accelerator.layout import SUB_BANKS, empty_banks, find_layout
from esca.accelerator.plan import plan_layer


@pytest.fixture
def config():
    config = load_config("edge-8x8")
    return replace(config, buffers=replace(config.buffers, banked=True))


@pytest.mark.parametrize("rows", [1, 3, 6, 11])
@pytest.mark.parametrize("bits", [4, 8])
def test_as_much_as_the_map_written_into_banks(layer, config, rows, bits) -> None:
    made = layer("conv_transpose2d", 12, 8, (11, 10), (4, 4), 2, 1, 0, bits, bits)
    plan = plan_layer(made, config)
    found = footprint(config, made.input, rows, [plan])
    layout = find_layout(made.input, [plan.tiling], rows)
    banks = empty_banks(config.array.rows, 1 << 12)
    ones = np.full((12, layout.ring_rows, 10), (1 << bits) - 1)
    layout.put(banks, np.arange(layout.ring_rows), ones)
    used = int(np.flatnonzero(banks.any((0, 1))).max()) + 1
    assert used <= layout.words < 2 * used + 2  # no more than what is rounded up to powers of two
    assert found == layout.words * bank_line_bytes(config)
    assert bank_line_bytes(config) == config.array.rows * SUB_BANKS * 2
    assert found >= rows * made.input.row_bytes


def test_rows_one_behind_the_other(layer) -> None:
    made = layer("conv2d", 12, 8, (11, 10), (3, 3), 1, 1, 0, 8, 8)
    config = load_config("edge-8x8")
    plan = plan_layer(made, config)
    assert footprint(config, made.input, 5, [plan]) == 5 * made.input.row_bytes


@pytest.mark.parametrize("bits", ["w4a4", "w8a8"])
def test_places_of_a_program(bits) -> None:
    program = small_program(bits)
    line = bank_line_bytes(program.config)
    regions = list(program.regions.values())
    assert regions
    for region in regions:
        assert region.bytes >= region.rows * region.row_bytes
        assert not region.address % line
        assert not region.bytes % line
        assert region.end <= program.config.buffers.activation_bytes
    for one, other in itertools.combinations(regions, 2):
        apart = one.last < other.first or other.last < one.first
        assert apart or not one.overlaps(other)


def test_a_chunk_of_what_is_stored_fits_a_half_of_the_results(layer, config) -> None:
    made = layer("conv_transpose2d", 16, 16, (128, 128), (4, 4), 2, 1, 0, 8, 8)
    buffers = replace(config.buffers, output_bytes=65536)
    banked = plan_layer(made, replace(config, buffers=buffers))
    half = buffers.output_bytes // 4
    assert banked.chunk_rows * made.output.row_bytes <= half
    free = plan_layer(made, replace(config, buffers=replace(buffers, banked=False)))
    assert free.chunk_rows * made.output.row_bytes > half
