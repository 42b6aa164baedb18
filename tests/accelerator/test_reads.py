"""Offsets of a window against the mapping's own tables."""

from dataclasses import replace

import numpy as np
import pytest

from esca.accelerator import load_config
from esca.accelerator.mappings import tile_layer
from esca.accelerator.reads import chosen, pass_reads
from esca.errors import EscaError


@pytest.fixture
def config():
    config = load_config("edge-8x8")
    return replace(config, mappings=("dense", "compressed", "phases", "scatter"))


LAYERS = [
    ("conv_transpose2d", "compressed", None, (4, 4), 2, 1),
    ("conv_transpose2d", "compressed", None, (3, 5), 2, 1),
    ("conv_transpose2d", "phases", (4, 4), (4, 4), 2, 1),
    ("conv_transpose2d", "phases", (2, 4), (4, 4), 2, 3),
    ("conv2d", "im2col", None, (3, 3), 1, 1),
    ("conv2d", "im2col", None, (4, 4), 2, 1),
    ("conv2d", "phases", (4, 4), (3, 3), 1, 1),
    ("conv2d", "phases", (1, 4), (1, 3), 1, 1),
    ("conv2d", "phases", (1, 2), (1, 1), 2, 0),
]


@pytest.mark.parametrize(("kind", "mapping", "block", "kernel", "stride", "padding"), LAYERS)
@pytest.mark.parametrize("channels", [3, 12, 20, 72])
def test_every_input_of_the_tables_is_one_that_its_slot_offers(
    layer, config, kind, mapping, block, kernel, stride, padding, channels
):
    made = layer(kind, channels, 4, (7, 9), kernel, stride, padding, bits=4)
    tiling = tile_layer(made, config, mapping, block)
    for p, reads in zip(tiling.passes, pass_reads(tiling), strict=True):
        for slot in np.ndindex(p.y.slots, p.x.slots):
            for position in np.ndindex(p.y.positions, p.x.positions):
                choice = chosen(p, reads, slot, position)
                choices = choice >> reads.x.span, choice & ((1 << reads.x.span) - 1)
                for axis, mine, s, q, taken in zip(
                    (p.y, p.x), (reads.y, reads.x), slot, position, choices, strict=True
                ):
                    table = axis.input[:, s, q]
                    base = np.arange(axis.rows) * mine.step
                    place = base + mine.offsets[s] + taken * mine.spread
                    counts = (table >= 0) & (p.y.tap[slot[0], position[0]] >= 0)
                    counts &= p.x.tap[slot[1], position[1]] >= 0
                    assert (place == table)[counts].all()
        assert p.k_tiles <= reads.k_tiles


@pytest.mark.parametrize("channels", [1, 5, 12, 20, 32, 72])
@pytest.mark.parametrize("kernel", [(1, 1), (3, 3), (4, 2)])
def test_every_slot_and_atom_stands_in_one_row_of_one_tile(layer, config, channels, kernel):
    tiling = tile_layer(layer("conv2d", channels, 4, (5, 5), kernel, bits=4), config, "im2col")
    (reads,) = pass_reads(tiling)
    y, x, atom = reads.rows(8)
    assert y.shape == (reads.k_tiles, 8)
    used = y >= 0
    assert ((x >= 0) == used).all() and ((atom >= 0) == used).all()
    found = list(zip(y[used], x[used], atom[used], strict=True))
    assert sorted(found) == list(np.ndindex(*kernel, -(-channels // 4)))


@pytest.mark.parametrize(
    ("arguments", "mapping", "message"),
    [
        (("conv2d", 4, 4, (9, 9), (5, 5)), "im2col", "5 slots an axis, expected 1 to 4"),
        (("conv_transpose2d", 4, 4, (5, 5), (4, 4), 2, 1), "dense", "dense is not built"),
        (("conv_transpose2d", 4, 4, (5, 5), (1, 1), 2), "compressed", "0 slots an axis"),
    ],
)
def test_what_the_front_end_is_not_made_for_is_refused(layer, config, arguments, mapping, message):
    with pytest.raises(EscaError, match=message):
        list(pass_reads(tile_layer(layer(*arguments), config, mapping)))
