"""The front end: what the array is offered, row by row, is what the simulator streams."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.accelerator.rtl.front_data import check_layer, record_fields

from esca.accelerator.hardware.latencies import FRONT_LATENCY
from esca.accelerator.layout import AxisHash, find_layout
from esca.accelerator.mappings import tile_layer
from esca.accelerator.reads import pass_reads
from esca.accelerator.rtl.compiled import compiled
from esca.accelerator.rtl.front import Front
from esca.accelerator.rtl.params import Parameters
from esca.accelerator.rtl.streams import stream_values
from esca.errors import EscaError

WORDS = 64


@pytest.fixture(scope="module")
def simulation():
    return compiled(Front(Parameters(4, 4, True, 4, False, 64, 4), WORDS))


TRANSPOSED = ("conv_transpose2d", (4, 4), 2, 1)
LAYERS = [  # channels, kind, kernel, stride, padding, mapping, block, bits, weight bits, lines
    (16, *TRANSPOSED, "compressed", None, 4, 4, 3),
    (16, *TRANSPOSED, "phases", (4, 4), 4, 4, 2),
    (35, *TRANSPOSED, "phases", (2, 4), 4, 4, 2),
    (7, *TRANSPOSED, "compressed", None, 4, 4, 6),
    (8, *TRANSPOSED, "phases", (4, 4), 4, 4, 3),
    (3, *TRANSPOSED, "phases", (4, 4), 4, 4, 2),
    (8, *TRANSPOSED, "phases", (4, 4), 8, 4, 2),
    (2, *TRANSPOSED, "compressed", None, 8, 4, 3),
    (6, *TRANSPOSED, "phases", (4, 2), 4, 8, 2),
    (9, *TRANSPOSED, "phases", (4, 4), 8, 8, 2),
    (1, *TRANSPOSED, "phases", (4, 4), 8, 8, 2),
    (4, "conv2d", (3, 3), 1, 1, "im2col", None, 4, 4, 6),
    (8, "conv2d", (3, 3), 1, 1, "im2col", None, 4, 4, 3),
    (3, "conv2d", (3, 3), 1, 1, "phases", (4, 4), 4, 4, 3),
    (5, "conv2d", (3, 3), 1, 1, "phases", (2, 2), 8, 8, 3),
    (3, "conv2d", (4, 4), 2, 1, "im2col", None, 8, 8, 4),
    (2, "conv2d", (1, 3), 1, 0, "phases", (1, 4), 8, 4, 4),
    (12, "conv_transpose2d", (3, 2), 2, 1, "compressed", None, 4, 4, 4),
]


def tiling_of(layer, config, entry, side=(5, 6)):
    channels, kind, kernel, stride, padding, mapping, block, bits, weight_bits, _ = entry
    made = layer(kind, channels, 3, side, kernel, stride, padding, 0, bits, weight_bits)
    return tile_layer(made, config, mapping, block)


@pytest.mark.parametrize("entry", LAYERS)
def test_every_row_is_offered_in_its_cycle(layer, config, simulation, entry):
    tiling = tiling_of(layer, config, entry)
    check_layer(simulation, WORDS, tiling, entry[-1], np.random.default_rng(1))


@pytest.mark.parametrize("entry", [LAYERS[0], LAYERS[1], LAYERS[9], LAYERS[12]])
def test_a_map_comes_in_strips_through_a_ring(layer, config, simulation, entry):
    tiling = tiling_of(layer, config, entry, (19, 4))
    runs = check_layer(simulation, WORDS, tiling, 2, np.random.default_rng(2), ring=8, base=3)
    assert runs > 3


def test_rows_are_cut_into_segments_and_the_smallest_maps_wait_for_weights(
    layer, config, simulation
):
    rng = np.random.default_rng(3)
    check_layer(simulation, WORDS, tiling_of(layer, config, LAYERS[1], (4, 14)), 1, rng, cuts=3)
    check_layer(simulation, WORDS, tiling_of(layer, config, LAYERS[0], (1, 1)), 2, rng)
    check_layer(simulation, WORDS, tiling_of(layer, config, LAYERS[5], (2, 1)), 2, rng)


@st.composite
def gathering_layers(draw):
    """Arguments of a small random layer, and a mapping and block for it."""
    transposed = draw(st.booleans())
    kernel = draw(st.tuples(*[st.integers(1, 4)] * 2))
    stride = draw(st.integers(1, min(3, *kernel)))
    padding = draw(st.integers(0, min(kernel) - 1))
    side = draw(st.tuples(*[st.integers(4, 7)] * 2))
    bits, weight_bits = draw(st.tuples(*[st.sampled_from([4, 8])] * 2))
    kind = "conv_transpose2d" if transposed else "conv2d"
    shape = (kind, draw(st.integers(1, 20)), 2, side, kernel, stride, padding, 0, bits, weight_bits)
    unit = stride if transposed else 1
    blocks = st.tuples(*[st.sampled_from([unit, 2 * unit, 4 * unit])] * 2)
    other = "compressed" if transposed else "im2col"
    return shape, *draw(st.one_of(st.just((other, None)), st.tuples(st.just("phases"), blocks)))


@settings(max_examples=12)
@given(gathering_layers(), st.integers(1, 4), st.integers(0, 9))
def test_any_layer_is_streamed_or_refused(layer, config, simulation, drawn, lines, seed):
    shape, mapping, block = drawn
    try:
        tiling = tile_layer(layer(*shape), config, mapping, block)
        needed = find_layout(tiling.layer.input, [tiling], tiling.layer.input.height).words
    except EscaError:
        return
    if needed <= WORDS:
        check_layer(simulation, WORDS, tiling, lines, np.random.default_rng(seed))


def stream(tiling, raster, **changed):
    """Fields of a record, its layout changed."""
    layer, (reads,) = tiling.layer, pass_reads(tiling)
    layout = replace(find_layout(layer.input, [tiling], layer.input.height), **changed)
    return record_fields(stream_values(tiling, reads, layout, raster, 0, 0))


@pytest.mark.parametrize(
    ("changed", "again", "alarms"),
    [({}, 0, 0), ({"x": AxisHash(1, 0, 0)}, 0, 1), ({"y": AxisHash(0, 0, 0)}, 0, 1), ({}, 5, 1)],
)
def test_a_layout_that_lets_inputs_meet_and_an_early_start_raise_the_alarm(
    layer, config, simulation, changed, again, alarms
):
    fields = stream(tiling_of(layer, config, LAYERS[1]), (0, 2, 0, 2), **changed)
    cycles = 40
    given = {name: np.repeat(value[None], cycles, 0) for name, value in fields.items()}
    given["start"] = np.isin(np.arange(cycles), [2, 2 + again]).astype(np.int64)
    seen = simulation.run(cycles, **given)
    assert seen["alarm"].any() == alarms


def test_the_second_port_reads_what_it_wrote(simulation):
    rng = np.random.default_rng(4)
    cycles = 3 * WORDS + 2
    given = {
        "other__write": np.zeros((cycles, 4, 4), np.int64),
        "other__address": np.arange(cycles)[:, None, None] % WORDS + np.zeros((4, 4), np.int64),
        "other__data": rng.integers(0, 1 << 16, (cycles, 4, 4)),
    }
    given["other__write"][:WORDS] = 3
    given["other__write"][WORDS : 2 * WORDS] = rng.integers(0, 4, (WORDS, 4, 4))
    seen = simulation.run(cycles, **given)["other_words"][2 * WORDS + 2 :]
    whole, parts = given["other__data"][:WORDS], given["other__data"][WORDS : 2 * WORDS]
    mask = np.array([0, 0x00FF, 0xFF00, 0xFFFF])[given["other__write"][WORDS : 2 * WORDS]]
    np.testing.assert_array_equal(seen, (whole & ~mask) | (parts & mask))


def test_a_ring_that_the_window_does_not_fit_is_refused(layer, config):
    tiling = tiling_of(layer, config, LAYERS[15], (40, 4))
    with pytest.raises(EscaError, match="a ring of 1 rows is too small"):
        stream(tiling, (0, 2, 0, 2), ring_rows=1)


def test_the_front_end_takes_fourteen_cycles():
    assert FRONT_LATENCY == 14
