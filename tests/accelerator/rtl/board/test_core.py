"""The board as one design, as it goes to the tools, with a stand-in for the machine."""

import numpy as np
from tests.accelerator.rtl.board.stub_machine import RESULTS, SETTINGS, StubMachine

from esca.accelerator.rtl.board.core import BoardCore
from esca.accelerator.rtl.board.host import Board
from esca.accelerator.rtl.board.simulated import SimulatedBoard
from esca.accelerator.rtl.compiled import compiled


def test_a_run_on_one_design() -> None:
    core = BoardCore(StubMachine(), SETTINGS)
    simulated = SimulatedBoard(core, compiled(core), SETTINGS)
    board, words = Board(simulated), np.arange(3, 19, dtype="<u4") * 0x01010101
    board.write(4096, words.tobytes())
    board.write_constants([bytes([1, 2, 3, 4, 5, 0])], 9)
    board.run(4096, RESULTS)
    found = np.frombuffer(board.read(4096 + 64, 16), "<u4")
    assert found.tolist() == [int(words.sum(dtype=np.uint32)), 0x04030201, 5, 9]
    status = board.status()
    assert (status.busy, status.alarm, status.runs) == (False, True, 1)
    assert simulated.leds & 7 == 0b101 and not simulated.wrongs
