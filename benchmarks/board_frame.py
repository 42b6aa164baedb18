"""A texture over the serial line of a simulated board: a decoder of random weights, its program,
feature map and texture bit by bit through UART, protocol and SDRAM, held against the simulator.

    python benchmarks/board_frame.py --side 8 [--preset ecp5-4x4]

The texture has 8 times the side of the feature map. Without a preset the machine is the small one
with which programs are verified.
"""

import argparse
import itertools
from time import process_time

import numpy as np
import torch

from esca.accelerator.compiler import compile_program
from esca.accelerator.machine import execute
from esca.accelerator.rtl.board.core import board_settings
from esca.accelerator.rtl.board.host import Board
from esca.accelerator.rtl.board.own_config import board_config
from esca.accelerator.rtl.board.sdram_part import ULX3S_SDRAM
from esca.accelerator.rtl.board.session import Session
from esca.accelerator.rtl.board.simulated import JoinedBoard
from esca.accelerator.rtl.hardware_program import hardware_program
from esca.accelerator.rtl.random_programs import small_config
from esca.accelerator.rtl.top import Top
from esca.graph import Graph, Node
from esca.graph.ops import ConvTranspose2d, Input, LeakyRelu, TexelBias
from esca.quantization import Recipe, TexelMaps, collect, quantize

CHANNELS = (16, 16, 8, 3)
CLOCK, DIVISOR = 50e6, 4


def decoder(side: int) -> Graph:
    """x (16, side, side) -> texture (3, 8 side, 8 side)."""
    generator = torch.Generator().manual_seed(7)
    nodes, last = [Node("x", Input(), (), (CHANNELS[0], side, side))], "x"
    for number, (cin, cout) in enumerate(itertools.pairwise(CHANNELS)):
        side *= 2
        shape = (cout, side, side)
        weight = torch.randn(cin, cout, 4, 4, generator=generator) * 0.5
        conv = ConvTranspose2d(weight, torch.randn(cout, generator=generator), 2, 1)
        bias = TexelBias(torch.randn(*shape, generator=generator))
        steps = [(f"conv{number}", conv), (f"bias{number}", bias)]
        if cout != CHANNELS[-1]:
            steps.append((f"act{number}", LeakyRelu(0.2)))
        for name, step in steps:
            nodes.append(Node(name, step, (last,), shape))
            last = name
    return Graph(tuple(nodes), {"texture": last})


def main() -> None:
    """Build, load, run and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=8)
    parser.add_argument("--bits", default="w8a8")
    parser.add_argument("--preset")
    options = parser.parse_args()
    config = board_config(options.preset) if options.preset else small_config()
    graph = decoder(options.side)
    generator = torch.Generator().manual_seed(1)
    feeds = {"x": torch.randn(2, *graph.by_name["x"].shape, generator=generator)}
    recipe = Recipe(
        "random", range="minmax", weight_range="minmax", granularity="channel_phase"
    ).with_bits(options.bits)
    quantized = quantize(graph, collect(graph, lambda: [feeds], TexelMaps(), hessians=()), recipe)
    program = compile_program(quantized, config)
    made = hardware_program(program)
    began = process_time()
    simulated = JoinedBoard(Top(config), board_settings(config, ULX3S_SDRAM, CLOCK, DIVISOR))
    board = Board(simulated)
    session = Session(board, made)
    session.load()
    loaded = simulated.cycles
    (tensor,) = program.workload.inputs
    values = np.random.default_rng(1).integers(0, 1 << tensor.bits, tensor.shape)
    frame = session.run({tensor.name: values})
    (wanted,) = execute(program, {tensor.name: torch.from_numpy(values)}).outputs.values()
    (found,) = frame.outputs.values()
    different = int((found.ravel() != wanted.numpy().ravel()).sum())
    print(
        f"{config.name}: {different:,} of {found.size:,} integers differ; program of "
        f"{len(made.image):,} bytes, {len(made.constants):,} columns of constants, "
        f"{len(made.fed):,} jobs; last job starts in cycle {max(made.frame.starts()):,} with ideal "
        f"memory, the board took {frame.status.cycles:,}; {loaded:,} cycles to load at "
        f"{DIVISOR} a bit, {simulated.cycles - loaded:,} for the frame; "
        f"{board.repeated} requests repeated, memory refused {simulated.wrongs or 'nothing'}; "
        f"{process_time() - began:.0f} s"
    )


if __name__ == "__main__":
    main()
