"""Whole programs on a machine that adds where outputs overlap: outputs and start cycles."""

from functools import cache

import numpy as np
import pytest
import torch
from tests.accelerator.test_program import RECIPES, quantized_of

from esca.accelerator import time_workload
from esca.accelerator.compiler import compile_program
from esca.accelerator.hardware.carried_lines import carried_places, carried_rows
from esca.accelerator.program import MachineProgram
from esca.accelerator.rtl.engine_records import PARTS
from esca.accelerator.rtl.random_programs import overlap_config
from esca.accelerator.rtl.verify import Machine, verify
from esca.graph import Graph, Node
from esca.graph.ops import ConvTranspose2d, Input, LeakyRelu, TexelBias


@pytest.fixture(scope="module")
def machine() -> Machine:
    return Machine(overlap_config(), 1 << 20, PARTS)


@cache
def program(channels: tuple[int, ...], side: tuple[int, int], stride: int) -> MachineProgram:
    """x (16, *side) -> texture by a transposed convolution a number of ``channels``."""
    generator = torch.Generator().manual_seed(7)

    def rand(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator) * 0.5

    nodes, last, inputs = [Node("x", Input(), (), (16, *side))], "x", 16
    for number, outputs in enumerate(channels):
        side = ((side[0] - 1) * stride + 2, (side[1] - 1) * stride + 2)
        shape, final = (outputs, *side), number == len(channels) - 1
        op = ConvTranspose2d(rand(inputs, outputs, 4, 4), rand(outputs), stride, 1)
        biased = "texture" if final else f"bias{number}"
        nodes.append(Node(f"conv{number}", op, (last,), shape))
        nodes.append(Node(biased, TexelBias(rand(*shape)), (f"conv{number}",), shape))
        if not final:
            nodes.append(Node(f"act{number}", LeakyRelu(0.2), (biased,), shape))
        last, inputs = f"act{number}", outputs
    feeds = {"x": rand(2, *nodes[0].shape)}
    quantized = quantized_of(Graph(tuple(nodes), {"texture": "texture"}), feeds, RECIPES["w8a8"])
    return compile_program(quantized, overlap_config())


CASES = [  # channels, side, stride
    ((3,), (4, 4), 2),
    ((2,), (9, 6), 2),
    ((8,), (9, 6), 2),
    ((4,), (9, 9), 1),
    ((8, 1), (14, 12), 2),
]


@pytest.mark.parametrize("case", CASES)
def test_a_program(machine, case) -> None:
    made = program(*case)
    assert {step.tiling.mapping for step in made.steps if step.tiling} == {"scatter"}
    rng = np.random.default_rng(1)
    (tensor,) = made.workload.inputs
    feeds = {"x": torch.from_numpy(rng.integers(0, 1 << tensor.bits, tensor.shape))}
    found = verify(machine, made, feeds)
    assert found.passed and found.jobs["epilogue"] < found.jobs["array"]
    assert found.run.cycles == time_workload(made.workload, made.config).cycles
    assert verify(machine, made, feeds, 5).passed


def test_layers_that_take_turns_carry_their_lines_side_by_side() -> None:
    made = program(*CASES[-1])
    order = [one.layer for one in made.instructions if one.op == "array"]
    assert order != sorted(order)  # strip by strip
    places = carried_places(made)
    assert sorted(places) == [0, 1]
    spans = [range(first, first + carried_rows(made, layer)) for layer, first in places.items()]
    assert spans[0] and spans[1] and not {*spans[0]} & {*spans[1]}
    alone = program(*CASES[2])
    assert carried_places(alone) == {0: 0} and carried_rows(alone, 0) == 2 * 2 * 12
    assert not carried_places(program(*CASES[0]))  # all lines at once
