"""A compiled program on a board: loaded once, then frame by frame."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from esca.accelerator.axes import Ints
from esca.accelerator.config import config_hash
from esca.accelerator.rtl.board.host import Board
from esca.accelerator.rtl.board.protocol import BoardStatus
from esca.accelerator.rtl.constants_ram import CONSTANTS
from esca.accelerator.rtl.hardware_program import HardwareProgram
from esca.errors import EscaError

POLLS = 1000
"""Questions after which a frame that is not over never will be."""


@dataclass(frozen=True, eq=False)
class BoardFrame:
    """``outputs`` (C, H, W) by label; what the board said of the run behind it."""

    outputs: dict[str, Ints]
    status: BoardStatus


class Session:
    """``made`` on a ``board``, from :meth:`load` on. EscaError where its machine is another
    configuration's, or memory is too small.
    """

    def __init__(self, board: Board, made: HardwareProgram) -> None:
        board.check(config_hash(made.program.config))
        room = board.identity.memory_bytes
        if len(made.image) > room:
            raise EscaError(f"board: the program takes {len(made.image)} of {room} bytes")
        self._board, self._made = board, made
        self._image = made.image.copy()

    def load(self) -> None:
        """Records, weights and texel biases into memory, constants into the machine."""
        self._board.write(0, _even(self._made.image.tobytes()))
        self.load_constants()

    def load_constants(self) -> None:
        """Those of the machine alone, where memory holds the program already."""
        size = self._board.identity.constant_bytes
        columns = [
            CONSTANTS.const(one).as_value().value.to_bytes(size, "little")
            for one in self._made.constants
        ]
        self._board.write_constants(columns)

    def run(self, feeds: Mapping[str, Ints]) -> BoardFrame:
        """A frame from ``feeds``, integers of every input; EscaError where it does not end or
        raises an alarm.
        """
        board, made = self._board, self._made
        for name, values in feeds.items():
            made.put(self._image, name, values)
            place = made.place(name)
            board.write(place.start, _even(self._image[place].tobytes()))
        board.run(made.directory, len(made.fed))
        for _ in range(POLLS):
            status = board.status()
            if not status.busy:
                break
        else:
            raise EscaError(f"board: the frame is not over after {POLLS} questions")
        if status.alarm:
            raise EscaError("board: the machine raised an alarm")
        return BoardFrame({name: self._output(name) for name in made.program.labels}, status)

    def _output(self, label: str) -> Ints:
        tensor = self._made.program.labels[label]
        place = self._made.place(tensor)
        stored = self._board.read(place.start, place.stop - place.start)
        self._image[place] = np.frombuffer(stored, np.uint8)
        return self._made.get(self._image, tensor)


def _even(values: bytes) -> bytes:
    return values + bytes(len(values) % 2)
