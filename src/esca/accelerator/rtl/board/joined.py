"""A board's shell and the machine in it, compiled apart and run as one.

The machine's part is the one that programs are verified on, and it costs time only while it works.
"""

import ctypes
from typing import Any

import numpy as np
from amaranth.lib import wiring
from numpy.typing import NDArray

from esca.accelerator.rtl.board.shell import BoardShell
from esca.accelerator.rtl.compiled import Simulation, compiled
from esca.accelerator.rtl.native import native_library
from esca.accelerator.rtl.ports import Port, ports

_POINTER, _LONG = ctypes.c_void_p, ctypes.c_uint64
_PREFIX = "machine__"


class Joined:
    """``machine`` behind the ports of a ``simulation`` of its ``shell``, which has it
    from now on. ``machine_cycles``: those in which its clock ran.
    """

    def __init__(
        self, simulation: Simulation, shell: BoardShell, machine: wiring.Component
    ) -> None:
        library = native_library("esca.accelerator.rtl.board", "joined.cc")
        self._model = ctypes.CDLL(str(library))
        self._model.joined_create.restype = _POINTER
        self._model.joined_create.argtypes = [
            *[_POINTER] * 5, _LONG, _LONG, _POINTER, _LONG, _POINTER, _LONG, _POINTER,
        ]  # fmt: skip
        self._model.joined_cycles.restype = _LONG
        self._model.joined_cycles.argtypes = [_POINTER]
        self._model.joined_destroy.argtypes = [_POINTER]
        self._machine = compiled(machine)
        outs, ins = _ports(shell, wiring.Out), _ports(shell, wiring.In)
        takes, gives = _ports(machine, wiring.In), _ports(machine, wiring.Out)
        there, back = _copies(outs, takes, _PREFIX, ""), _copies(gives, ins, "", _PREFIX)
        wakes = (f"{_PREFIX}constants", f"{_PREFIX}begin", "leds")
        wake = np.array([outs[name].first for name in wakes], "<i4")
        self.esca_run = self._model.joined_run
        self._shell, self._code = simulation._design, simulation._code
        self._joined = _POINTER(
            self._model.joined_create(
                simulation._design, _function(simulation, "run"), _function(simulation, "peek"),
                self._machine._design, _function(self._machine, "run"),
                _words(takes), _words(gives), there.ctypes.data, len(there),
                back.ctypes.data, len(back), wake.ctypes.data,
            )
        )  # fmt: skip
        attached: Any = simulation
        attached._design, attached._code = self._joined, self

    @property
    def machine_cycles(self) -> int:
        """See above."""
        return int(self._model.joined_cycles(self._joined))

    def esca_destroy(self, design: Any) -> None:
        """What a simulation calls in the end."""
        self._model.joined_destroy(design)
        self._code.esca_destroy(self._shell)


def _function(simulation: Simulation, name: str) -> ctypes.c_void_p:
    return ctypes.cast(getattr(simulation._code, f"esca_{name}"), _POINTER)


def _ports(component: wiring.Component, flow: wiring.Flow) -> dict[str, Port]:
    return {port.name: port for port in ports(component, flow)}


def _words(found: dict[str, Port]) -> int:
    return sum(port.words for port in found.values())


def _copies(
    sources: dict[str, Port], targets: dict[str, Port], before: str, behind: str
) -> NDArray[np.int32]:
    """(n, 3): words from, to, and how many, of the ports of both whose names differ by prefixes."""
    pairs = [
        (port, targets[behind + name.removeprefix(before)])
        for name, port in sources.items()
        if name.startswith(before) and behind + name.removeprefix(before) in targets
    ]
    return np.array([(one.first, to.first, one.words) for one, to in pairs], "<i4")
