from collections.abc import Iterator
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.accelerator.conftest import make_layer

from esca.accelerator import (
    Tiling,
    WorkLayer,
    avatar_workload,
    candidate_tilings,
    load_config,
    scale_sim_cycles,
    tile_layer,
)
from esca.accelerator.axes import Axis
from esca.errors import EscaError

TABLE = {
    "dense": [262144, 262144, 262144, 524288, 1048576, 2097152, 4194304, 16777216],
    "compressed": [65536, 65536, 65536, 131072, 262144, 524288, 1048576, 4194304],
    "phases": [65536, 65536, 65536, 131072, 262144, 524288, 1048576, 1048576],
    "scatter": [65536, 65536, 65536, 131072, 262144, 524288, 1048576, 786432],
}
"""Tiles times streamed rows of the eight layers on 16x16, one 8-bit MAC a PE."""


def tilings(bits: str, mapping: str) -> list[Tiling]:
    config = load_config("esca-16x16")
    layers = avatar_workload("base", 1024, "texture", bits).layers
    return [tile_layer(layer, config, mapping) for layer in layers]


@pytest.mark.parametrize("mapping", TABLE)
def test_ideal_cycles_of_the_texture_decoder(mapping: str) -> None:
    assert [tiling.ideal_cycles for tiling in tilings("w8a8", mapping)] == TABLE[mapping]


@pytest.mark.parametrize(
    ("mapping", "mixed", "cycles"),
    [
        ("dense", 12713984, 6356992),
        ("compressed", 3178496, 1589248),
        ("phases", 1605632, 802816),
        ("scatter", 1605632, 802816),
    ],
)
def test_ideal_cycles_with_operands_of_four_bits(mapping: str, mixed: int, cycles: int) -> None:
    """Half of 8 x 8 for one operand, half again for both, but for places that are left empty."""
    assert sum(tiling.ideal_cycles for tiling in tilings("w4a8", mapping)) == mixed
    assert sum(tiling.ideal_cycles for tiling in tilings("w8a4", mapping)) == mixed
    assert sum(tiling.ideal_cycles for tiling in tilings("w4a4", mapping)) == cycles


def test_operands_that_an_array_has_no_mode_for_are_widened() -> None:
    layer = make_layer("conv2d", 32, 16, (8, 8), (1, 1), bits=8, weight_bits=4)
    plain = tile_layer(layer, load_config("esca-published"), "im2col")
    wide = tile_layer(
        replace(layer, weight_bits=8, inputs=layer.inputs), load_config("esca-published"), "im2col"
    )
    assert (plain.mode, plain.widths, plain.tile_bytes) == ("8x8", (8, 8), wide.tile_bytes)
    assert plain.ideal_cycles == wide.ideal_cycles == 2 * 64
    ours = tile_layer(layer, load_config("dense-16x16"), "im2col")
    assert (ours.mode, ours.widths, ours.tile_bytes) == ("4x8", (4, 8), 256)
    other = make_layer("conv2d", 32, 16, (8, 8), (1, 1), bits=4, weight_bits=8)
    turned = tile_layer(other, load_config("dense-16x16"), "im2col")
    assert (turned.mode, turned.widths, turned.tile_bytes) == ("4x8", (8, 4), 512)
    assert ours.ideal_cycles == turned.ideal_cycles == 64


@pytest.mark.parametrize(
    ("mapping", "utilization"),
    [("dense", 0.114), ("compressed", 0.457), ("phases", 0.904), ("scatter", 0.985)],
)
def test_useful_utilization_of_the_texture_decoder(mapping: str, utilization: float) -> None:
    made = tilings("w8a8", mapping)
    useful = sum(tiling.useful for tiling in made) / sum(tiling.slots for tiling in made)
    assert useful == pytest.approx(utilization, abs=6e-4)


def test_phases_choose_among_four_inputs() -> None:
    """Four phases offer four inputs; so do sixteen outputs, since offsets share slots."""
    config = load_config("esca-16x16")
    last = avatar_workload("base", 1024, "texture", "w8a8").layers[-1]
    assert tile_layer(last, config, "phases").mux_width == 4
    wide = tile_layer(last, config, "phases", (4, 4))
    assert (wide.mux_width, wide.ideal_cycles) == (4, 786432)


def test_unoverlapped_cycles_equal_the_golden_ones() -> None:
    assert [scale_sim_cycles(tiling) for tiling in tilings("w8a8", "dense")[:2]] == [450559, 309247]


def triples(axis: Axis) -> Iterator[tuple[int, int, int]]:
    """(input, tap, output) of every product that counts, one axis."""
    for row, slot, position in product(*map(range, axis.input.shape)):
        found = (axis.input[row, slot, position], axis.tap[slot, position])
        found = (*map(int, found), int(axis.output[row, position]))
        if min(found) >= 0:
            yield found


def by_tables(tiling: Tiling, x: np.ndarray, w: np.ndarray, out: np.ndarray) -> np.ndarray:
    """The layer's accumulators computed from the mapping's tables alone; ``w``: (out, in, h, w)."""
    for p in tiling.passes:
        rows, columns = np.array([*triples(p.y)]), np.array([*triples(p.x)])
        if not len(rows) or not len(columns):
            continue
        for (iy, ty, oy), (ix, tx, ox) in product(rows, columns):
            out[:, oy, ox] += w[:, :, ty, tx] @ x[:, iy, ix]
    return out


layers = st.builds(
    lambda kind, cin, cout, sides, kernel, stride, padding, extra: (
        kind,
        cin,
        cout,
        sides,
        kernel,
        stride,
        padding,
        min(extra, stride - 1) if kind == "conv_transpose2d" else 0,
    ),
    st.sampled_from(["conv_transpose2d", "conv2d"]),
    st.integers(1, 5),
    st.integers(1, 5),
    st.tuples(st.integers(1, 6), st.integers(1, 6)),
    st.tuples(st.integers(1, 7), st.integers(1, 7)),
    st.integers(1, 4),
    st.integers(0, 3),
    st.integers(0, 3),
)

widths_of_operands = st.sampled_from([(4, 4), (4, 8), (8, 4), (8, 8)])


def built(drawn: tuple, weights: int, bits: int) -> WorkLayer:
    try:
        made = make_layer(*drawn, bits=bits, weight_bits=weights)
    except EscaError:
        assume(False)
    assume(min(made.output.shape) >= 1)
    return made


@settings(max_examples=40, deadline=None)
@given(layers, widths_of_operands, st.integers(0, 2**31))
def test_all_mappings_compute_the_same_integers(small, drawn, bits, seed: int) -> None:
    layer = built(drawn, *bits)
    rng = np.random.default_rng(seed)
    x = rng.integers(-8, 8, layer.input.shape)
    w = rng.integers(-8, 8, (layer.output.channels, layer.input.channels, *layer.kernel))
    image, weight = torch.tensor(x)[None].double(), torch.tensor(w).double()
    if layer.kind == "conv2d":
        wanted = F.conv2d(image, weight, None, layer.stride, layer.padding)
    else:
        # PyTorch refuses some extra rows that the tables can do; pad the full result instead.
        full = F.conv_transpose2d(image, weight.transpose(0, 1), None, layer.stride)
        p, (_, h, wd) = layer.padding, layer.output.shape
        full = F.pad(full, (0, p + wd, 0, p + h))
        wanted = full[:, :, p : p + h, p : p + wd]
    made = candidate_tilings(layer, small)
    names = {tiling.mapping for tiling in made}
    assert names >= ({"dense", "compressed"} if layer.kind == "conv_transpose2d" else {"im2col"})
    seen = set()
    for tiling in made:
        if (tiling.mapping, tiling.block[0] // 4, tiling.block[1] // 4) in seen:
            continue
        seen.add((tiling.mapping, tiling.block[0] // 4, tiling.block[1] // 4))
        got = by_tables(tiling, x, w, np.zeros(layer.output.shape, dtype=np.int64))
        assert np.array_equal(got, wanted[0].long().numpy()), (tiling.mapping, tiling.block)


@settings(max_examples=60, deadline=None)
@given(layers, st.integers(1, 300), st.integers(1, 300), st.integers(1, 64), widths_of_operands)
def test_products_are_conserved_and_slots_suffice(
    small, drawn, cin: int, cout: int, side: int, bits: tuple[int, int]
) -> None:
    kind, _, _, (_, width), *rest = drawn
    layer = built((kind, cin, cout, (side, width), *rest), *bits)
    for tiling in candidate_tilings(layer, small):
        assert tiling.useful == layer.macs <= tiling.occupied <= tiling.slots
        assert tiling.ideal_cycles * small.macs_per_cycle(layer.array_mode) == tiling.slots
        outputs = sum(
            p.y.outputs * p.x.outputs for p in tiling.passes if tiling.mapping != "scatter"
        )
        if tiling.mapping != "scatter":
            assert outputs == layer.output.height * layer.output.width


def test_no_slot_meets_one_input_twice() -> None:
    config = load_config("esca-16x16")
    layer = make_layer("conv_transpose2d", 3, 2, (5, 6), (5, 4), 3, 1)
    for tiling in candidate_tilings(layer, config):
        for p in tiling.passes:
            for axis in (p.y, p.x):
                found = list(triples(axis))
                assert len(found) == len(set(found)) == axis.useful


def test_exact_and_usual_counts_of_the_texture_decoder() -> None:
    layers = avatar_workload("base", 1024, "texture", "w8a8").layers
    assert round(sum(layer.macs for layer in layers) / 1e6) == 743
    assert sum(layer.uncropped_macs for layer in layers) * 4 == 3_019_898_880


@pytest.mark.parametrize(
    ("mapping", "block", "message"),
    [
        ("dense", None, "mapping dense does not apply to conv2d of stride 2"),
        ("scatter", None, "mapping scatter does not apply to conv2d of stride 2"),
        ("phases", (8, 8), "needs muxes of 64 inputs, the array has 4"),
        ("im2col", (2, 2), "mapping im2col takes no block"),
        ("phases", (0, 1), "block"),
    ],
)
def test_what_does_not_apply_is_named(mapping: str, block, message: str) -> None:
    layer = make_layer("conv2d", 3, 2, (64, 64), (1, 1), 2)
    with pytest.raises(EscaError, match=f"layer 'layer': .*{message}"):
        tile_layer(layer, load_config("esca-16x16"), mapping, block)


@pytest.mark.parametrize(("bits", "mode"), [((8, 8), "8x8"), ((8, 4), "4x8"), ((4, 8), "4x8")])
def test_an_array_without_a_mode_refuses_what_needs_it(bits, mode: str) -> None:
    config = load_config("ecp5-16x16")
    kind = ("conv2d", 16, 16, (8, 8), (3, 3), 1, 1, 0)
    assert candidate_tilings(make_layer(*kind, 4, 4), config)[0].macs_per_pe == 2
    with pytest.raises(EscaError, match=f"layer 'layer': .* need {mode} products, which the array"):
        candidate_tilings(make_layer(*kind, *bits), config)


def test_a_configuration_without_a_mapping_for_a_layer_says_so() -> None:
    config = replace(load_config("esca-16x16"), mappings=("im2col",))
    layer = make_layer("conv_transpose2d", 3, 2, (4, 4), (4, 4), 2, 1)
    with pytest.raises(EscaError, match=r"layer 'layer': none of the mappings im2col"):
        candidate_tilings(layer, config)
