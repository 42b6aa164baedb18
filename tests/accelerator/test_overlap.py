"""Banks of accumulators in which overlaps are added: nothing meets, everything has one place."""

import itertools
from dataclasses import replace

import pytest
import torch
from tests.accelerator.test_program import RECIPES, held_against_the_runtime, quantized_of

from esca.accelerator import AcceleratorConfig, load_config
from esca.accelerator.compiler import compile_program
from esca.accelerator.hardware.unit_drain import unit_drain
from esca.accelerator.mappings import tile_layer
from esca.accelerator.overlap import overlap_banks
from esca.accelerator.plan import plan_tiling
from esca.accelerator.unit_outputs import unit_outputs
from esca.errors import EscaError
from esca.graph import Graph, Node
from esca.graph.ops import ConvTranspose2d, Input, LeakyRelu, TexelBias


def banked(columns: int, rows: int = 1024) -> AcceleratorConfig:
    config = load_config("mixed-8x8")
    array = replace(config.array, rows=max(8, columns), columns=columns, mux_width=4)
    buffers = replace(
        config.buffers, accumulator_bytes=8 * columns * rows, accumulator_banks=columns
    )
    engines = replace(config.engines, epilogue_lanes=columns)
    memory = replace(config.memory, dma_bytes_per_cycle=max(8, columns), dram_bytes_per_second=1e10)
    return replace(
        config,
        array=array,
        buffers=buffers,
        engines=engines,
        memory=memory,
        mappings=("scatter",),
    )


SHAPES = [(4, 1), (4, 3), (4, 8), (8, 2), (8, 3), (8, 4), (8, 24), (16, 3), (16, 4), (16, 20)]


@pytest.mark.parametrize(("columns", "channels"), SHAPES)
def test_taps_of_a_tile_never_meet_and_a_row_of_banks_is_a_place(layer, columns, channels) -> None:
    made = layer("conv_transpose2d", 8, channels, (6, 6), (4, 4), 2, 1, bits=8)
    banks = overlap_banks(made, columns)
    for channel, y, x in itertools.product(range(channels), range(6), range(6)):
        for first in range(0, 4, banks.lines):
            taps = itertools.product(range(y + first, y + first + banks.lines), range(x, x + 4))
            assert len({banks.bank(*tap, channel) for tap in taps}) == columns
    for y, place in itertools.product(range(4), range(6)):
        xs = range(place * banks.pixels, (place + 1) * banks.pixels)
        row = [banks.bank(y, x, c) for x in xs for c in range(banks.together)]
        assert sorted(row) == list(range(columns))


@pytest.mark.parametrize(("columns", "channels"), SHAPES)
@pytest.mark.parametrize("rows", [96, 1024])
def test_every_output_is_drained_once(layer, columns, channels, rows) -> None:
    made = layer("conv_transpose2d", 8, channels, (9, 7), (4, 4), 2, 1, bits=8)
    config = banked(columns, rows)
    tiling = tile_layer(made, config, "scatter")
    seen = torch.zeros(channels, 18, 14, dtype=torch.int64)
    for unit in plan_tiling(tiling, config).units:
        (block,) = unit_outputs(made, tiling, unit.part, unit.raster)
        seen[slice(*block.channels), block.rows[:, None], block.columns] += 1
        if not unit.drained:
            assert not unit.values
            continue
        drained, hit = unit_drain(tiling, unit.part, unit.raster), 0
        assert drained.places <= rows
        for line, place in itertools.product(range(drained.lines), range(drained.length)):
            for c, _, x in zip(*drained.columns(), strict=True):
                pixel = drained.first[0] + line, drained.first[1] + place * drained.step[1] + x
                hit += pixel[0] < drained.complete and pixel[1] < 14
                assert block.channels[0] <= c < block.channels[1]
        assert hit == unit.values
    assert (seen == 1).all()


@pytest.mark.parametrize(("columns", "channels"), SHAPES)
@pytest.mark.parametrize("stride", [1, 2])
def test_the_simulator_computes_the_runtime_s_integers(columns, channels, stride) -> None:
    generator = torch.Generator().manual_seed(channels)
    side, out = (9, 12), tuple((n - 1) * stride + 2 for n in (9, 12))
    weight = torch.randn(5, channels, 4, 4, generator=generator)
    bias = torch.randn(channels, *out, generator=generator)
    nodes = (
        Node("x", Input(), (), (5, *side)),
        Node("conv", ConvTranspose2d(weight, None, stride, 1), ("x",), (channels, *out)),
        Node("bias", TexelBias(bias), ("conv",), (channels, *out)),
        Node("act", LeakyRelu(0.2), ("bias",), (channels, *out)),
    )
    feeds = {"x": torch.randn(1, 5, *side, generator=generator)}
    quantized = quantized_of(Graph(nodes, {"y": "act"}), feeds, RECIPES["w8a8"])
    program = compile_program(quantized, banked(columns, 256))
    assert program.steps[0].tiling is not None
    assert program.steps[0].tiling.mapping == "scatter"
    held_against_the_runtime(quantized, program, feeds)


@pytest.mark.parametrize(
    ("arguments", "columns", "message"),
    [
        (("conv_transpose2d", 4, 4, (5, 5), (3, 3), 2, 1), 8, "transposed kernels of 4 x 4 alone"),
        (("conv_transpose2d", 4, 4, (5, 5), (4, 4), 4, 0), 8, "strides of 1 and 2, not 4"),
        (("conv_transpose2d", 4, 5, (5, 5), (4, 4), 2, 1), 8, "5 channels on 8 columns"),
        (("conv_transpose2d", 4, 1, (5, 5), (4, 4), 2, 1), 8, "1 channels on 8 columns"),
        (("conv_transpose2d", 4, 4, (5, 5), (4, 4), 2, 1), 32, "array.columns is 32"),
    ],
)
def test_what_is_not_built_is_named(layer, arguments, columns, message) -> None:
    with pytest.raises(EscaError, match=message):
        overlap_banks(layer(*arguments, bits=8), columns)


def test_accumulators_that_are_too_small_are_named(layer) -> None:
    made = layer("conv_transpose2d", 4, 8, (32, 32), (4, 4), 2, 1, bits=8)
    tiling = tile_layer(made, banked(8), "scatter")
    with pytest.raises(EscaError, match=r"needs 256 rows in half .*accumulator_bytes holds 128"):
        plan_tiling(tiling, banked(8, 128))
