"""Frames of an artifact's texture decoder on a board, real or simulated."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from esca.accelerator.program import MachineProgram
from esca.accelerator.rtl.board.host import Board
from esca.accelerator.rtl.board.protocol import BoardStatus
from esca.accelerator.rtl.board.session import Session
from esca.accelerator.rtl.frames import count_different, wanted_textures
from esca.accelerator.rtl.hardware_program import hardware_program
from esca.quantization.quantize import QuantizedGraph


@dataclass(frozen=True)
class BoardCheck:
    """One frame: ``values``, integers of the texture, of which ``different`` are not the integer
    runtime's; what the board said behind it, and requests that were sent again so far.
    """

    values: int
    different: int
    status: BoardStatus
    repeated: int


def check_board_frames(
    board: Board, quantized: QuantizedGraph, program: MachineProgram, feeds: Mapping[str, Tensor]
) -> Iterator[BoardCheck]:
    """Load the ``program`` of the texture decoder and run it on frames (reals of the whole
    decoder's inputs, batch first). EscaError for another configuration than the board's, and for
    what it refuses.
    """
    session = Session(board, hardware_program(program))
    session.load()
    for maps, wanted in wanted_textures(quantized, program, feeds):
        shapes = {tensor.name: tensor.shape for tensor in program.workload.inputs}
        integers = {name: maps[name].numpy().reshape(shape) for name, shape in shapes.items()}
        frame = session.run(integers)
        different = count_different(frame.outputs, wanted)
        yield BoardCheck(wanted.numel(), different, frame.status, board.repeated)


def board_data(check: BoardCheck) -> dict[str, Any]:
    """Plain data: ``values different cycles line_errors frame_errors repeated``."""
    return {
        "values": check.values,
        "different": check.different,
        "cycles": check.status.cycles,
        "line_errors": check.status.line_errors,
        "frame_errors": check.status.frame_errors,
        "repeated": check.repeated,
    }
