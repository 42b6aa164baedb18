"""A host's program, bit by bit over the serial line, on the machine with its SDRAM."""

import numpy as np
import pytest
import torch
from tests.accelerator.rtl.small_program import small_config, small_program

from esca.accelerator.config import config_hash
from esca.accelerator.machine import execute
from esca.accelerator.rtl.board.core import board_settings
from esca.accelerator.rtl.board.host import Board
from esca.accelerator.rtl.board.sdram_part import ULX3S_SDRAM
from esca.accelerator.rtl.board.session import Session
from esca.accelerator.rtl.board.simulated import SimulatedBoard
from esca.accelerator.rtl.hardware_program import hardware_program
from esca.accelerator.rtl.top import Top
from esca.errors import EscaError

CLOCK = 50e6
DIVISOR = 4


def test_a_texture_over_the_serial_line() -> None:
    config, program = small_config(), small_program("w8a8")
    simulated = SimulatedBoard(Top(config), board_settings(config, ULX3S_SDRAM, CLOCK, DIVISOR))
    board = Board(simulated)
    board.check(config_hash(config))
    with pytest.raises(EscaError, match="has configuration"):
        board.check("0" * 64)
    session = Session(board, hardware_program(program))
    session.load()
    (tensor,) = program.workload.inputs
    cycles = []
    for seed in (1, 2):
        values = np.random.default_rng(seed).integers(0, 1 << tensor.bits, tensor.shape)
        frame = session.run({tensor.name: values})
        wanted = execute(program, {tensor.name: torch.from_numpy(values)}).outputs["texture"]
        np.testing.assert_array_equal(frame.outputs["texture"].ravel(), wanted.numpy().ravel())
        assert frame.status.runs == seed and not frame.status.line_errors
        cycles.append(frame.status.cycles)
    assert cycles[0] == pytest.approx(cycles[1], rel=0.05)  # refreshes fall elsewhere
    assert simulated.machine_cycles < simulated.cycles // 10
    assert not simulated.wrongs and not board.repeated
