"""A board as a compiled simulation: its serial line is a stream of bytes, bit by bit."""

import numpy as np
from amaranth.lib import wiring
from numpy.typing import NDArray

from esca.accelerator.rtl.board.joined import Joined
from esca.accelerator.rtl.board.sdram_model import SdramModel
from esca.accelerator.rtl.board.shell import BoardSettings, BoardShell
from esca.accelerator.rtl.board.uart import BITS
from esca.accelerator.rtl.compiled import Simulation, compiled

BLOCK = 4096
"""Cycles that are run at once."""

PATIENCE = 100_000


class SimulatedBoard:
    """A ``simulation`` of a ``component`` with a board's ports, and memory; a stream for
    :class:`esca.accelerator.rtl.board.host.Board` that gives up after ``patience`` cycles without a
    byte. ``image``: of memory. ``cycles`` so far; ``leds`` in the last one.
    """

    def __init__(
        self,
        component: wiring.Component,
        simulation: Simulation,
        settings: BoardSettings,
        patience: int = PATIENCE,
    ) -> None:
        self.divisor, self.patience, self._simulation = settings.divisor, patience, simulation
        self._sdram = SdramModel(simulation, component, settings.part, settings.clock_hertz)
        self.image = self._sdram.image
        self.cycles = 0
        self.leds = 0
        self._sending: list[NDArray[np.int64]] = []
        self._line = _Line(settings.divisor)

    @property
    def wrongs(self) -> dict[str, int]:
        """See :attr:`SdramModel.wrongs`."""
        return self._sdram.wrongs

    def write(self, data: bytes) -> None:
        """Bytes onto the line, one behind the other."""
        self.write_bits(line_bits(data, self.divisor))

    def write_bits(self, bits: NDArray[np.int64]) -> None:
        """The line itself, a cycle each."""
        self._sending.append(bits)

    def read(self) -> bytes:
        """What has come; none after ``patience`` quiet cycles behind all that was sent."""
        quiet = 0
        while quiet < self.patience:
            waiting = sum(map(len, self._sending))
            found = self.wait(BLOCK)
            if found:
                return found
            quiet += 0 if waiting else BLOCK
        return b""

    def wait(self, cycles: int) -> bytes:
        """Run; bytes that came meanwhile."""
        line = np.concatenate([*self._sending, np.zeros(0, np.int64)])
        self._sending = [line[cycles:]] if len(line) > cycles else []
        now = line[:cycles]
        rx = np.pad(now, (0, cycles - len(now)), constant_values=1)
        seen = self._simulation.run(cycles, rx=rx)
        self.cycles += cycles
        self.leds = int(seen["leds"][-1])
        return self._line.bytes(seen["tx"])


class JoinedBoard(SimulatedBoard):
    """With ``machine`` in its shell, compiled apart; ``joined`` counts the machine's cycles."""

    def __init__(
        self, machine: wiring.Component, settings: BoardSettings, patience: int = PATIENCE
    ) -> None:
        shell = BoardShell(machine, settings)
        simulation = compiled(shell)
        self.joined = Joined(simulation, shell, machine)
        super().__init__(shell, simulation, settings, patience)


def line_bits(data: bytes, divisor: int) -> NDArray[np.int64]:
    """The line while bytes go over it, a value a cycle."""
    octets = np.frombuffer(data, np.uint8)[:, None] >> np.arange(8) & 1
    whole = np.pad(octets, ((0, 0), (1, 1)), constant_values=((0, 0), (0, 1)))
    return np.repeat(whole.astype(np.int64).ravel(), divisor)


class _Line:
    """Bytes in what a line was, cycle by cycle."""

    def __init__(self, divisor: int) -> None:
        self.divisor, self._left = divisor, np.zeros(0, np.int64)

    def bytes(self, seen: NDArray[np.int64]) -> bytes:
        """Those that end in the next cycles of the line."""
        line, made, at = np.concatenate([self._left, seen]), bytearray(), 0
        length = BITS * self.divisor
        while True:
            low = np.flatnonzero(line[at:] == 0)
            if not len(low):
                self._left = np.zeros(0, np.int64)
                return bytes(made)
            at += int(low[0])
            if at + length > len(line):
                self._left = line[at:]
                return bytes(made)
            bits = line[at + self.divisor // 2 : at + length : self.divisor]
            made.append(int(bits[1:9] @ (1 << np.arange(8))))
            at += length - self.divisor // 2
