"""A host's program, bit by bit over the serial line, on the machine with its SDRAM."""

import pytest
import torch
from tests.accelerator.rtl.small_program import (
    CHANNELS,
    packed_config,
    small_decoder,
    small_program,
)

from esca.accelerator.config import config_hash
from esca.accelerator.rtl.board.board_frames import check_board_frames
from esca.accelerator.rtl.board.core import board_settings
from esca.accelerator.rtl.board.host import Board
from esca.accelerator.rtl.board.sdram_part import ULX3S_SDRAM
from esca.accelerator.rtl.board.simulated import JoinedBoard
from esca.accelerator.rtl.top import Top
from esca.errors import EscaError

CLOCK = 50e6
DIVISOR = 4
BITS = "w4a4"


def test_textures_over_the_serial_line() -> None:
    config, decoder = packed_config(), small_decoder(BITS)  # a machine that `test_verify` compiles
    simulated = JoinedBoard(Top(config), board_settings(config, ULX3S_SDRAM, CLOCK, DIVISOR))
    board = Board(simulated)
    board.check(config_hash(config))
    with pytest.raises(EscaError, match="has configuration"):
        board.check("0" * 64)
    feeds = {"x": torch.randn(2, CHANNELS[0], 2, 2, generator=torch.Generator().manual_seed(4))}
    checks = list(check_board_frames(board, decoder, small_program(BITS, config), feeds))
    assert [(one.values, one.different) for one in checks] == [(3 * 16 * 16, 0)] * 2
    assert [one.status.runs for one in checks] == [1, 2]
    cycles = [one.status.cycles for one in checks]
    assert cycles[0] == pytest.approx(cycles[1], rel=0.05)  # refreshes fall elsewhere
    assert 0 < simulated.joined.machine_cycles < simulated.cycles // 10
    assert not simulated.wrongs and not board.repeated
