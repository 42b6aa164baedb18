"""The path of the array: sums of whole layers in the accumulators, in the simulator's cycles."""

from dataclasses import replace

import numpy as np
import pytest
from tests.accelerator.rtl.path_data import check_case, random_case

from esca.accelerator.mappings import tile_layer
from esca.accelerator.rtl.compiled import compiled
from esca.accelerator.rtl.params import parameters
from esca.accelerator.rtl.path import Path
from esca.accelerator.rtl.ring import ring_rows


@pytest.fixture(scope="module")
def config(config):
    buffers = replace(
        config.buffers, accumulator_bytes=2048, accumulator_banks=4, weight_bytes=2048
    )
    return replace(config, buffers=buffers, mappings=("compressed", "phases"))


@pytest.fixture(scope="module")
def path(config):
    return Path(parameters(config), 64, ring_rows(config), 4)


@pytest.fixture(scope="module")
def simulation(path):
    return compiled(path)


TRANSPOSED = ("conv_transpose2d", (4, 4), 2, 1)
LAYERS = [  # channels in, out, kind, kernel, stride, padding, mapping, block, bits, weight bits
    (16, 9, *TRANSPOSED, "compressed", None, 4, 4),
    (16, 4, *TRANSPOSED, "phases", (4, 4), 4, 4),
    (7, 3, *TRANSPOSED, "phases", (4, 4), 4, 4),
    (6, 3, *TRANSPOSED, "phases", (2, 4), 8, 4),
    (6, 2, *TRANSPOSED, "phases", (4, 2), 4, 8),
    (9, 5, *TRANSPOSED, "compressed", None, 4, 8),
    (5, 4, *TRANSPOSED, "phases", (4, 4), 8, 8),
    (8, 6, "conv2d", (3, 3), 1, 1, "im2col", None, 4, 4),
    (5, 3, "conv2d", (3, 3), 1, 1, "im2col", None, 8, 4),
    (3, 2, "conv2d", (3, 3), 1, 1, "phases", (4, 4), 4, 4),
    (3, 5, "conv2d", (4, 4), 2, 1, "im2col", None, 8, 8),
    (2, 3, "conv2d", (1, 3), 1, 0, "phases", (1, 4), 8, 4),
    (9, 3, "conv_transpose2d", (3, 2), 2, 1, "phases", (4, 2), 4, 4),
]


def tiling_of(layer, config, entry, side=(5, 6)):
    inputs, outputs, kind, kernel, stride, padding, mapping, block, bits, weight_bits = entry
    made = layer(kind, inputs, outputs, side, kernel, stride, padding, 0, bits, weight_bits)
    return tile_layer(made, config, mapping, block)


@pytest.mark.parametrize("entry", LAYERS)
def test_sums_of_a_layer(layer, config, path, simulation, entry):
    rng = np.random.default_rng(1)
    case = random_case(tiling_of(layer, config, entry), config, rng)
    check_case(simulation, path, case, rng)


@pytest.mark.parametrize("entry", LAYERS[:2])  # tiles of 16 rows, and of 4, as many as weights take
@pytest.mark.parametrize("late", [3, 90])
def test_units_wait_for_their_weights(layer, config, path, simulation, entry, late):
    rng = np.random.default_rng(2)
    case = random_case(tiling_of(layer, config, entry, (4, 4)), config, rng)
    check_case(simulation, path, case, rng, late)
