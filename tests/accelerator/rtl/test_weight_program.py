"""Weights of a program: what loads leave in the ring is what feeds take for every row and tile."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.accelerator.conftest import make_layer
from tests.accelerator.rtl.small_program import small_config, small_program

from esca.accelerator.hardware.weight_words import packed_tile, tile_words
from esca.accelerator.mappings import tile_layer
from esca.accelerator.reads import pass_reads
from esca.accelerator.rtl.encode import DramPlaces
from esca.accelerator.rtl.feed_record import feed_values
from esca.accelerator.rtl.ring import ring_rows
from esca.accelerator.rtl.weight_program import program_weights, tile_matrix
from esca.accelerator.weights import tile_weights
from esca.errors import EscaError


def held_weights(feed, ring, reads, rows, columns, bits):
    """(k tiles, rows, columns, atom) weights that a feed takes out of a ring (rows, bytes)."""
    y, x, atom = reads.rows(rows)
    word = np.take(feed["ty"], y) + np.take(feed["tx"], x) + atom
    if feed["two_bytes"]:
        taken = ring[(feed["ring"] + word) % len(ring)].reshape(*word.shape, columns, 2)
    else:
        halves = ring[(feed["ring"] + (word >> 1)) % len(ring)].reshape(*word.shape, 2, columns)
        taken = np.take_along_axis(halves, (word & 1)[..., None, None], 2)[:, :, 0, :, None]
    values = taken.astype(np.int64)
    if bits == 4:
        values = np.stack([values & 15, values >> 4], -1).reshape(*values.shape[:-1], -1)
    values -= (values >= 1 << (bits - 1)) * (1 << bits)
    return np.where((y >= 0)[..., None, None], values, 0)


def wanted_weights(matrix, reads, rows, columns, atom):
    """The same of a tile's (slots, input channels, columns) matrix."""
    y, x, place = reads.rows(rows)
    room = np.zeros((len(matrix), reads.atoms * atom, columns), np.int64)
    room[:, : matrix.shape[1], : matrix.shape[2]] = matrix
    room = room.reshape(len(matrix), reads.atoms, atom, columns).transpose(0, 1, 3, 2)
    found = room[y * reads.x.slots + x, place]
    return np.where((y >= 0)[..., None, None], found, 0)


@pytest.mark.parametrize("bits", ["w4a4", "w8a8"])
def test_what_feeds_find_in_the_ring(bits) -> None:
    program, config = small_program(bits), small_config()
    rows, columns = config.array.rows, config.array.columns
    made = program_weights(program, DramPlaces(8))
    memory = np.zeros(max(address + len(piece) for address, piece in made.pieces), np.uint8)
    for address, piece in made.pieces:
        memory[address : address + len(piece)] = piece
    ring = np.zeros((ring_rows(config), 2 * columns), np.uint8)
    feeds = 0
    for number, one in enumerate(program.instructions):
        if one.op == "load_weights":
            load = made.loads[number]
            piece = memory[load["dram"] :][: load["bytes"]].reshape(-1, 2 * columns)
            ring[(load["ring"] + np.arange(len(piece))) % len(ring)] = piece
        elif one.op == "array":
            step = program.steps[one.layer]
            reads = [*pass_reads(step.tiling)][one.part[0]]
            width = step.tiling.widths[0]
            found = held_weights(made.feeds[number], ring, reads, rows, columns, width)
            matrix = tile_matrix(program, step, one.part)
            atom = step.tiling.macs_per_pe
            wanted = wanted_weights(matrix, reads, rows, columns, atom)
            np.testing.assert_array_equal(found, wanted)
            feeds += 1
    assert feeds == len(made.feeds) > 20


@settings(max_examples=20)
@given(
    st.integers(1, 9),
    st.integers(1, 9),
    st.sampled_from([("compressed", None), ("phases", (4, 4)), ("phases", (2, 4))]),
    st.tuples(*[st.sampled_from([4, 8])] * 2),
    st.integers(0, 99),
)
def test_words_of_any_tile(cin, cout, how, bits, seed) -> None:
    rng, config = np.random.default_rng(seed), small_config()
    layer = make_layer("conv_transpose2d", cin, cout, (4, 4), (4, 4), 2, 1, 0, *bits)
    tiling = tile_layer(layer, config, *how)
    half = 1 << (bits[1] - 1)
    weights = rng.integers(-half, half, (cout * 16, cin)).astype(np.int8)
    for index, reads in enumerate(pass_reads(tiling)):
        for tile in range(tiling.passes[index].n_tiles):
            held = tile_weights(tiling, (index, tile))
            words = tile_words(tiling, (index, tile))
            ring = packed_tile(tiling, (index, tile), weights[held.pairs]).reshape(-1, 8)
            assert len(ring) == words.rows
            feed = feed_values(tiling, reads, words, (index, tile), 0)
            found = held_weights(feed, ring, reads, 4, 4, tiling.widths[0])
            wanted = wanted_weights(
                held.matrix(weights[held.pairs]), reads, 4, 4, tiling.macs_per_pe
            )
            np.testing.assert_array_equal(found, wanted)


def test_a_ring_that_is_too_small_and_a_slow_port_are_named() -> None:
    program = small_program("w4a4")
    small = replace(small_config().buffers, weight_bytes=512)
    tight = replace(program, config=replace(program.config, buffers=small))
    with pytest.raises(EscaError, match="the ring of weights holds 64 rows, too few"):
        program_weights(tight, DramPlaces(8))
    odd = replace(program.config, buffers=replace(small, weight_bytes=600))
    with pytest.raises(EscaError, match="weight_bytes is 600, expected a power of two times 8"):
        ring_rows(odd)
    slow = replace(small_config().array, weight_port_bytes_per_cycle=4)
    layer = make_layer("conv2d", 4, 4, (4, 4), bits=4)
    tiling = tile_layer(layer, replace(small_config(), array=slow), "im2col")
    (reads,) = pass_reads(tiling)
    with pytest.raises(EscaError, match="a tile's weights take 8 cycles, expected one for each"):
        feed_values(tiling, reads, tile_words(tiling, (0, 0)), (0, 0), 0)
