"""Random programs, and what of the hardware they use."""

from itertools import islice

import torch
from tests.accelerator.rtl.small_program import small_config, small_program

from esca.accelerator.rtl.coverage import POINTS, coverage, coverage_table, holes
from esca.accelerator.rtl.random_programs import random_program, random_programs


def test_points_of_a_program_and_holes() -> None:
    program = small_program("w4a4")
    counts = coverage([program])
    units = sum(one.op == "epilogue" for one in program.instructions)
    for group in ("kernel", "border", "columns", "tile", "texel biases", "slope"):
        assert sum(counts[group, point] for point in POINTS[group]) == units
    assert counts["bits and mapping", "w4a4 compressed"] == 8
    assert counts["outputs", "stored as tens"] == 12
    assert counts["chunks of a stored map", "1"] == 1
    assert ("stride", "3") in holes(counts)
    assert ("stride", "2") not in holes(counts)
    lines = coverage_table(counts).splitlines()
    assert f"stride: 1: none!, 2: {units}, 3: none!" in lines
    assert len(lines) == len(POINTS) + 1


def test_random_programs_come_again_from_their_seeds() -> None:
    (first, second) = islice(random_programs(small_config(), 3), 2)
    again = random_program(small_config(), first.seed)
    assert first.seed < second.seed
    assert again.program.instructions == first.program.instructions
    assert torch.equal(*(made.feeds["x"] for made in (first, again)))
    (tensor,) = again.program.workload.inputs
    assert int(again.feeds["x"].max()) < 1 << tensor.bits
