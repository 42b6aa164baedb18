"""Move, upsample and grid-sample engines against the simulator: integers, cycles, windows."""

from dataclasses import replace

import pytest
import torch
from tests.accelerator.rtl.engine_bench import check_layer
from tests.accelerator.rtl.small_program import small_config
from tests.accelerator.test_program import RECIPES, quantized_of

from esca.accelerator.compiler import compile_layer
from esca.accelerator.hardware.jobs import ENGINES
from esca.accelerator.rtl.compiled import compiled
from esca.accelerator.rtl.engine_sizes import check_depth, engine_sizes
from esca.accelerator.rtl.engines import Engines
from esca.accelerator.rtl.grid_sample import GRID_DEPTH
from esca.accelerator.rtl.hardware_program import hardware_program
from esca.errors import EscaError
from esca.graph import Graph, Node
from esca.graph.ops import (
    Concat,
    Conv2d,
    GridSample,
    Input,
    Linear,
    PixelShuffle,
    Reshape,
    TexelBias,
    Upsample,
)

CONFIG = small_config()
LOW = replace(
    CONFIG,
    engines=replace(CONFIG.engines, grid_window_rows=8),
    buffers=replace(CONFIG.buffers, output_bytes=1024),
)
"""Few rows at once, of a window that moves over the texture."""


@pytest.fixture(scope="module")
def simulation():
    return compiled(Engines(engine_sizes(CONFIG), ENGINES))


def rand(*shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(sum(shape))
    return 0.3 * torch.randn(*shape, generator=generator)


def made_of(nodes: list[Node], recipe: str, outputs: dict[str, str]):
    """Quantized, each input from random values."""
    feeds = {node.name: rand(2, *node.shape) for node in nodes if isinstance(node.op, Input)}
    return quantized_of(Graph(tuple(nodes), outputs), feeds, replace(RECIPES[recipe], texture=10))


def pointwise(name: str, shape: tuple[int, ...], of: str, channels: int = 4) -> Node:
    """What reads a map, so that it has a grid of its own."""
    op = Conv2d(rand(channels, shape[0], 1, 1), rand(channels), 1, 0)
    return Node(name, op, (of,), (channels, *shape[1:]))


@pytest.mark.parametrize("recipe", ["w8a8", "w4a4"])
def test_concatenations_and_other_shapes(simulation, recipe: str) -> None:
    sizes, maps = engine_sizes(CONFIG), (16, 17, 5)
    nodes = [
        Node("a", Input(), (), (8,)),
        Node("b", Input(), (), (20,)),
        Node("both", Concat(), ("a", "b"), (28,)),
        Node("fc", Linear(rand(48, 28), rand(48)), ("both",), (48,)),
        Node("pixel", Reshape((48, 1, 1)), ("fc",), (48, 1, 1)),
        Node("square", Reshape((8, 2, 3)), ("fc",), (8, 2, 3)),
        pointwise("o1", (48, 1, 1), "pixel"),
        pointwise("o2", (8, 2, 3), "square"),
        Node("x", Input(), (), maps),
        Node("y", Input(), (), (32, *maps[1:])),
        Node("xy", Concat(), ("x", "y"), (48, *maps[1:])),
        pointwise("o3", (48, *maps[1:]), "xy"),
    ]
    quantized = made_of(nodes, recipe, {name: name for name in ("o1", "o2", "o3")})
    for layer in ("both", "pixel", "square", "xy"):
        jobs = check_layer(simulation, sizes, quantized, CONFIG, layer)
        assert jobs["move"] == jobs["stores"]
    assert jobs["move"] > (recipe == "w8a8")  # rows of maps in several chunks


@pytest.mark.parametrize("recipe", ["w8a8", "w4a4"])
@pytest.mark.parametrize(("mode", "factor"), [("bilinear", 2), ("nearest", 2), ("bilinear", 4)])
def test_upsample(simulation, recipe: str, mode: str, factor: int) -> None:
    shape = (16, 13, 9)
    large = (16, *(factor * side for side in shape[1:]))
    nodes = [
        Node("x", Input(), (), shape),
        Node("large", Upsample(factor, mode), ("x",), large),  # type: ignore[arg-type]
        pointwise("texture", large, "large", 3),
    ]
    quantized = made_of(nodes, recipe, {"texture": "texture"})
    jobs = check_layer(simulation, engine_sizes(CONFIG), quantized, CONFIG, "large")
    assert jobs["upsample"] > (recipe == "w8a8")


def sample_graph(height: int, width: int) -> list[Node]:
    """Textures (3, height, width), sampled near their own places."""
    shape = (height, width)
    y, x = torch.meshgrid(*(torch.linspace(-1, 1, size) for size in shape), indexing="ij")
    return [
        Node("t", Input(), (), (16, *shape)),
        pointwise("texture", (16, *shape), "t", 3),
        Node("shift", Conv2d(0.01 * rand(2, 16, 1, 1), rand(2), 1, 0), ("t",), (2, *shape)),
        Node("place", TexelBias(torch.stack([x, y])), ("shift",), (2, *shape)),
        Node("moved", GridSample(), ("texture", "place"), (3, *shape)),
    ]


@pytest.mark.parametrize(("side", "config"), [((12, 15), CONFIG), ((45, 8), LOW)])
def test_samples(simulation, side: tuple[int, int], config) -> None:
    quantized = made_of(sample_graph(*side), "w8a8", {"out": "moved"})
    jobs = check_layer(simulation, engine_sizes(CONFIG), quantized, config, "moved")
    assert jobs["grid_sample"] > (config is LOW)


def test_what_engines_do_not_take_is_named() -> None:
    nodes = [
        Node("x", Input(), (), (16, 4, 4)),
        Node("shuffled", PixelShuffle(2), ("x",), (4, 8, 8)),
        pointwise("texture", (4, 8, 8), "shuffled"),
    ]
    program = compile_layer(made_of(nodes, "w8a8", {"o": "texture"}), CONFIG, "shuffled")
    with pytest.raises(EscaError, match="'shuffled': the move engine takes reshapes"):
        hardware_program(program, ENGINES)
    with pytest.raises(EscaError, match="'shuffled': move engine: not built"):
        hardware_program(program)
    with pytest.raises(EscaError, match="epilogue_latency_cycles is 8, expected 16 or more"):
        check_depth(replace(engine_sizes(CONFIG), latency=8), GRID_DEPTH, "grid_sample")
