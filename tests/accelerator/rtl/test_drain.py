"""The drain side: exact sums become outputs in the banks and rows in memory, in its cycles."""

from dataclasses import replace

import numpy as np
import pytest
from tests.accelerator.rtl.drain_bench import DrainBench
from tests.accelerator.rtl.drain_data import LayerRun

from esca.accelerator import load_config
from esca.accelerator.hardware.bank_places import place_values
from esca.accelerator.layout import find_layout
from esca.accelerator.mappings import tile_layer
from esca.accelerator.rtl.compiled import compiled
from esca.accelerator.rtl.drain import DrainSizes, drain_sizes
from esca.accelerator.rtl.epilogue_values import result_values
from esca.accelerator.rtl.params import Parameters
from esca.errors import EscaError

P = Parameters(4, 4, True, 4, False, 64, 4)
SIZES = DrainSizes(8, 256, 64, 4, 256, 8, 128, True)
TRANSPOSED = ("conv_transpose2d", (4, 4), 2, 1)
THREE = ("conv_transpose2d", (3, 3), 2, 1)
CONV = ("conv2d", (3, 3), 1, 1)


@pytest.fixture(scope="module")
def simulation():
    return compiled(DrainBench(P, SIZES))


def tiling_of(layer, config, entry, side, bits=(8, 8), out_bits=0):
    """``entry``: kind, kernel, stride, padding, output channels, mapping, block."""
    kind, kernel, stride, padding, channels, mapping, block = entry
    made = layer(kind, 8, channels, side, kernel, stride, padding, 0, *bits)
    output = replace(made.output, bits=out_bits or made.output.bits)
    return tile_layer(replace(made, output=output), config, mapping, block)


def test_half_as_many_lanes_as_columns(layer, config):
    p = replace(P, lanes=2)
    simulation, rng = compiled(DrainBench(p, SIZES)), np.random.default_rng(9)
    tiling = tiling_of(layer, config, (*TRANSPOSED, 8, "phases", (4, 4)), (3, 5), (4, 4))
    reader = tiling_of(layer, config, (*TRANSPOSED, 8, "phases", (4, 4)), (6, 10), (4, 4))
    layout = replace(find_layout(tiling.layer.output, [reader], 6), base=3)
    LayerRun(p, SIZES, tiling, rng, 2, layout, texel=8).check(simulation)
    for bits, texel, ramp in ((10, 8, False), (16, 0, True)):
        tiling = tiling_of(layer, config, (*THREE, 2, "compressed", None), (5, 7), out_bits=bits)
        LayerRun(p, SIZES, tiling, rng, 3, stored=True, texel=texel, ramp=ramp).check(simulation)


@pytest.mark.parametrize("bits", [(4, 4), (8, 8), (8, 4), (4, 8)])  # of activations and weights
@pytest.mark.parametrize(("mapping", "block"), [("compressed", None), ("phases", (4, 4))])
def test_outputs_in_the_banks(layer, config, simulation, bits, mapping, block):
    tiling = tiling_of(layer, config, (*TRANSPOSED, 8, mapping, block), (3, 5), bits)
    reader = tiling_of(layer, config, (*TRANSPOSED, 8, "phases", (4, 4)), (6, 10), bits)
    output = tiling.layer.output
    layout = replace(find_layout(output, [reader], output.height), base=3)
    slope = mapping == "phases"
    rng = np.random.default_rng(bits)
    LayerRun(P, SIZES, tiling, rng, 2, layout, texel=bits[1], slope=slope).check(simulation)


def test_outputs_in_a_ring_of_rows(layer, config, simulation):
    tiling = tiling_of(layer, config, (*TRANSPOSED, 8, "phases", (4, 4)), (5, 5))
    reader = tiling_of(layer, config, (*TRANSPOSED, 8, "phases", (4, 4)), (10, 10))
    layout = find_layout(tiling.layer.output, [reader], 5)
    assert layout.ring_rows == 8  # of 10, and the second unit goes from row 6 to row 9
    LayerRun(P, SIZES, tiling, np.random.default_rng(3), 3, layout, texel=8).check(simulation)


@pytest.mark.parametrize(
    ("entry", "side", "out_bits", "texel", "lines"),
    [
        ((*TRANSPOSED, 3, "phases", (4, 4)), (4, 5), 10, 8, 2),
        ((*TRANSPOSED, 3, "phases", (2, 4)), (5, 7), 9, 16, 3),
        ((*TRANSPOSED, 3, "compressed", None), (5, 7), 10, 8, 1),
        ((*TRANSPOSED, 8, "compressed", None), (3, 4), 8, 4, 2),
        ((*THREE, 8, "phases", (4, 4)), (3, 7), 8, 8, 1),
        ((*THREE, 2, "phases", (4, 4)), (5, 7), 4, 0, 1),
        ((*THREE, 8, "compressed", None), (5, 7), 4, 0, 1),
        ((*CONV, 3, "im2col", None), (7, 9), 10, 4, 1),
        ((*CONV, 5, "phases", (4, 4)), (7, 9), 8, 8, 1),
        ((*CONV, 3, "phases", (8, 1)), (9, 12), 10, 0, 1),
        ((*CONV, 2, "phases", (1, 4)), (7, 9), 16, 0, 2),
        ((*CONV, 3, "im2col", None), (6, 5), 12, 8, 3),
    ],
)
def test_stored_outputs(layer, config, simulation, entry, side, out_bits, texel, lines):
    tiling = tiling_of(layer, config, entry, side, out_bits=out_bits)
    rng = np.random.default_rng(texel)
    LayerRun(P, SIZES, tiling, rng, lines, stored=True, texel=texel).check(simulation)


@pytest.mark.parametrize(
    ("entry", "lines"),
    [
        ((*CONV, 2, "phases", (1, 8)), 2),
        ((*CONV, 2, "phases", (4, 4)), 1),
        ((*THREE, 2, "compressed", None), 3),
    ],
)
def test_ramps_are_added_up(layer, config, simulation, entry, lines):
    tiling = tiling_of(layer, config, entry, (9, 7), out_bits=16)
    rng = np.random.default_rng(lines)
    LayerRun(P, SIZES, tiling, rng, lines, stored=True, ramp=True).check(simulation)


@pytest.mark.parametrize(("residual", "texel"), [(4, 0), (8, 8)])
def test_residuals_are_added(layer, config, simulation, residual, texel):
    tiling = tiling_of(layer, config, (*CONV, 8, "im2col", None), (6, 5))
    run = LayerRun(
        P, SIZES, tiling, np.random.default_rng(5), 2, stored=True, texel=texel, residual=residual
    )
    run.check(simulation)


def test_what_the_drain_is_not_made_for(layer, config):
    tiling = tiling_of(layer, config, (*CONV, 6, "im2col", None), (8, 8))
    layout = find_layout(tiling.layer.input, [tiling], 8)
    with pytest.raises(EscaError, match="6 output channels stay on chip or have a residual"):
        place_values(tiling, (0, 0), (0, 1, 0, 8), layout)
    wide = tiling_of(layer, config, (*CONV, 1, "phases", (4, 1)), (8, 8))
    with pytest.raises(EscaError, match="outputs of one place lie in more than two rows"):
        result_values(wide, (0, 0), (0, 1, 0, 8), (0, 4), 0, 8)
    odd = tiling_of(layer, config, (*CONV, 3, "im2col", None), (8, 8), out_bits=4)
    with pytest.raises(EscaError, match="4 bits come in odd numbers"):
        result_values(odd, (0, 0), (0, 1, 0, 8), (0, 1), 0, 8)
    long = tiling_of(layer, config, (*CONV, 4, "im2col", None), (8, 8), out_bits=10)
    with pytest.raises(EscaError, match="of one place and row are 4, at most 3 fit"):
        result_values(long, (0, 0), (0, 1, 0, 8), (0, 1), 0, 4)
    deep = tiling_of(layer, config, (*CONV, 4, "im2col", None), (8, 8), out_bits=16)
    with pytest.raises(EscaError, match="of one place and row are 4, at most 2 fit"):
        result_values(deep, (0, 0), (0, 1, 0, 8), (0, 1), 0, 4)


@pytest.mark.parametrize(
    ("part", "changed", "message"),
    [
        ("engines", {"epilogue_lanes": 2}, "epilogue_lanes is 2, expected a half of array.columns"),
        ("engines", {"epilogue_latency_cycles": 5}, "cycles is 5, expected 8 or more"),
        ("array", {"columns": 3}, "columns is 3, expected a power of two"),
        ("memory", {"dma_bytes_per_cycle": 4}, "DMA moves 4 bytes a cycle, expected 8"),
    ],
)
def test_configurations_that_are_refused(part, changed, message):
    config = replace(load_config("edge-8x8"), mappings=("compressed", "phases"))
    assert drain_sizes(config) == DrainSizes(8, 2048, 4096, 16, 16384, 16, 1024)
    with pytest.raises(EscaError, match=message):
        drain_sizes(replace(config, **{part: replace(getattr(config, part), **changed)}))
