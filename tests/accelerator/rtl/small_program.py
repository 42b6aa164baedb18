"""A decoder small enough for a compiled simulation of the whole machine."""

import itertools
from dataclasses import replace
from functools import cache

import torch
from tests.accelerator.test_program import RECIPES, quantized_of

from esca.accelerator.compiler import compile_program
from esca.accelerator.config import AcceleratorConfig
from esca.accelerator.program import MachineProgram
from esca.accelerator.rtl.random_programs import small_config
from esca.graph import Graph, Node
from esca.graph.ops import Conv2d, ConvTranspose2d, Input, LeakyRelu, TexelBias
from esca.quantization.quantize import QuantizedGraph

CHANNELS = (16, 8, 4, 3)


def _graph() -> Graph:
    """x (16, 2, 2) -> texture (3, 16, 16)."""
    generator = torch.Generator().manual_seed(7)

    def rand(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator) * 0.5

    nodes, last, side = [Node("x", Input(), (), (CHANNELS[0], 2, 2))], "x", 2
    for number, (cin, cout) in enumerate(itertools.pairwise(CHANNELS)):
        side *= 2
        shape = (cout, side, side)
        conv = ConvTranspose2d(rand(cin, cout, 4, 4), rand(cout), 2, 1)
        nodes.append(Node(f"conv{number}", conv, (last,), shape))
        last = "texture" if cout == 3 else f"bias{number}"
        nodes.append(Node(last, TexelBias(rand(*shape)), (f"conv{number}",), shape))
        if cout != 3:
            last = f"act{number}"
            nodes.append(Node(last, LeakyRelu(0.2), (f"bias{number}",), shape))
    return Graph(tuple(nodes), {"texture": "texture"})


def packed_config() -> AcceleratorConfig:
    """The same machine with two 4 x 4 products a PE, half as many lanes, no linear engine."""
    config = small_config()
    array = replace(config.array, macs_8bit=0, macs_4x8=0, macs_4bit=2)
    engines = replace(config.engines, epilogue_lanes=2, linear_lanes=0)
    return replace(config, name="packed-4x4", array=array, engines=engines)


@cache
def small_decoder(bits: str) -> QuantizedGraph:
    """``bits``: a recipe's name."""
    feeds = {"x": torch.randn(2, CHANNELS[0], 2, 2, generator=torch.Generator().manual_seed(1))}
    return quantized_of(_graph(), feeds, RECIPES[bits])


@cache
def small_program(bits: str, config: AcceleratorConfig | None = None) -> MachineProgram:
    """Of :func:`small_decoder`."""
    return compile_program(small_decoder(bits), config or small_config())


@cache
def crowded_program(outputs: int) -> MachineProgram:
    """x (16, 18, 20) -> ``outputs`` channels -> texture, pixel by pixel: rows of x are awaited
    while the epilogue writes rows of the map between to the same banks.
    """
    generator = torch.Generator().manual_seed(1)

    def rand(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator) * 0.5

    nodes = (
        Node("x", Input(), (), (16, 18, 20)),
        Node("a", Conv2d(rand(outputs, 16, 1, 1), rand(outputs), 1, 0), ("x",), (outputs, 18, 20)),
        Node("texture", Conv2d(rand(3, outputs, 1, 1), rand(3), 1, 0), ("a",), (3, 18, 20)),
    )
    feeds = {"x": rand(2, 16, 18, 20)}
    quantized = quantized_of(Graph(nodes, {"texture": "texture"}), feeds, RECIPES["w4a4"])
    return compile_program(quantized, small_config())
