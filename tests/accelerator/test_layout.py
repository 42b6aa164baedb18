"""Layouts: nothing is lost in the banks, and no row of a stream meets a sub-bank twice."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from esca.accelerator import TensorShape, load_config
from esca.accelerator.layout import HASHES, AxisHash, Layout, empty_banks, find_layout
from esca.accelerator.mappings import tile_layer
from esca.accelerator.reads import pass_reads
from esca.errors import EscaError


@pytest.fixture(scope="module")
def config():
    return load_config("edge-8x8")


@pytest.mark.parametrize("made", HASHES)
def test_colour_and_address_tell_all_coordinates_apart(made):
    v = np.arange(4 * made.period)
    colour, address = made.colour(v), made.address(v)
    assert colour.max(initial=0) < 1 << made.bits
    assert len({*zip(colour.tolist(), address.tolist(), strict=True)}) == len(v)
    assert (made.colour(v + made.period) == colour).all()
    assert made.addresses(len(v)) == len(v) >> made.bits


@settings(max_examples=40)
@given(
    st.integers(1, 70),
    st.integers(1, 9),
    st.integers(1, 9),
    st.sampled_from([(4, 2, 4), (2, 2, 8), (2, 1, 4), (1, 1, 8)]),
    st.sampled_from([4, 8, 16]),
    st.data(),
)
def test_what_is_put_into_the_banks_comes_out(channels, height, width, form, array_rows, drawn):
    atom, atom_bytes, bits = form
    tensor = TensorShape("x", (channels, height, width), bits)
    draft = Layout(tensor, array_rows, atom, atom_bytes, HASHES[0], HASHES[0], 1)
    colours = {1: 2, 2: 3, 4: 4}[array_rows // draft.rows]
    y = drawn.draw(st.sampled_from([h for h in HASHES if 0 <= colours - h.bits <= 3]))
    x = drawn.draw(st.sampled_from([h for h in HASHES if h.bits == colours - y.bits]))
    ring = -(-height // y.period) * y.period
    layout = replace(draft, y=y, x=x, ring_rows=ring, base=drawn.draw(st.integers(0, 5)))
    rng = np.random.default_rng(channels)
    banks = empty_banks(array_rows, layout.base + layout.words)
    values = rng.integers(0, 1 << bits, tensor.shape)
    for row in rng.permutation(height):  # one after the other: none may touch another
        layout.put(banks, np.array([row]), values[:, [row]])
    np.testing.assert_array_equal(layout.get(banks, np.arange(height)), values)
    assert not banks[:, :, : layout.base].any()


READERS = [
    (3, "conv2d", "im2col", None, (3, 3), 1, 1),
    (3, "conv2d", "phases", (4, 4), (3, 3), 1, 1),
    (12, "conv2d", "phases", (4, 4), (3, 3), 1, 1),
    (8, "conv2d", "im2col", None, (4, 4), 2, 1),
    (16, "conv_transpose2d", "compressed", None, (4, 4), 2, 1),
    (8, "conv_transpose2d", "phases", (4, 4), (4, 4), 2, 1),
    (16, "conv_transpose2d", "phases", (2, 4), (4, 4), 2, 1),
    (40, "conv_transpose2d", "phases", (4, 4), (4, 4), 2, 1),
]


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(("bits", "weight_bits"), [(4, 4), (8, 4), (4, 8), (8, 8)])
def test_no_row_of_a_tile_meets_a_sub_bank_twice(layer, config, reader, bits, weight_bits):
    channels, kind, mapping, block, kernel, stride, padding = reader
    made = layer(
        kind, channels, 4, (9, 6), kernel, stride, padding, bits=bits, weight_bits=weight_bits
    )
    tiling = tile_layer(made, config, mapping, block)
    layout = find_layout(made.input, [tiling], 8)
    for p, reads in zip(tiling.passes, pass_reads(tiling), strict=True):
        slots_y, slots_x, atoms = reads.rows(8)
        for tile in range(reads.k_tiles):
            for line, place in np.ndindex(p.y.rows, p.x.rows):
                met = set()
                for y, x, atom in zip(slots_y[tile], slots_x[tile], atoms[tile], strict=True):
                    ys, xs = p.y.input[line, y], p.x.input[place, x]
                    if y >= 0:
                        met |= {(a, b, atom) for a in ys for b in xs if min(a, b) >= 0}
                if met:
                    rows, columns, of = np.array(sorted(met)).T
                    bank, sub, _, _ = layout.places(rows, columns, of)
                    assert len({*zip(bank.tolist(), sub.tolist(), strict=True)}) == len(met)


def test_a_ring_is_a_multiple_of_the_period_of_its_hash():
    made = Layout(TensorShape("x", (4, 9, 4), 4), 8, 4, 2, AxisHash(2, 0, 0), AxisHash(2, 0, 0), 8)
    assert made.words == 2 and made.record()["ring_rows"] == 8
    np.testing.assert_array_equal(
        made.places(np.array([1]), np.array([2]), np.array([0])),
        made.places(np.array([9]), np.array([2]), np.array([0])),
    )


def test_readers_that_cannot_share_a_layout_are_refused(layer, config):
    narrow = layer("conv2d", 4, 4, (8, 8), (1, 1), bits=4)
    wide = layer("conv2d", 4, 4, (8, 8), (1, 1), bits=4, weight_bits=8)
    both = [tile_layer(made, config, "im2col") for made in (narrow, wide)]
    with pytest.raises(EscaError, match="readers take"):
        find_layout(narrow.input, both, 8)
    up = layer("conv_transpose2d", 32, 4, (8, 8), (4, 4), 2, 1, bits=4)
    same = layer("conv2d", 32, 4, (8, 8), (3, 3), 1, 1, bits=4)
    pair = [tile_layer(made, config, "phases", (4, 4)) for made in (up, same)]
    for one in pair:
        assert find_layout(up.input, [one], 8).y.bits == 1
    with pytest.raises(EscaError, match="no layout in 4 sub-banks keeps its readers apart"):
        find_layout(up.input, pair, 8)
    long = layer("conv2d", 4, 4, (8, 16), (4, 4), bits=4)
    with pytest.raises(EscaError, match="a window of 16 places on x"):
        find_layout(long.input, [tile_layer(long, config, "phases", (1, 8))], 8)
