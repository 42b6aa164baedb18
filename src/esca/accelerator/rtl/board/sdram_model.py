"""SDRAM at the pins of a compiled simulation, which counts what a real part would not take."""

import ctypes
from typing import Any

import numpy as np
from amaranth.lib import wiring
from numpy.typing import NDArray

from esca.accelerator.rtl.board.sdram_part import SdramPart
from esca.accelerator.rtl.compiled import Simulation
from esca.accelerator.rtl.native import native_library
from esca.accelerator.rtl.ports import ports

_WRONGS = (
    "commands before memory may be spoken to", "not set up", "wrong mode", "a bank is open",
    "a bank is closed", "activate to column", "precharge", "activate to precharge",
    "open too long", "activate to activate", "activate of another bank", "refresh cycle",
    "write recovery", "mode register", "late refresh", "both drive the bus", "word not driven",
    "no such column", "unknown command", "clock off",
)  # fmt: skip
_PINS = ("cke", "command", "bank", "address", "dqm", "dq_o", "dq_oe")
_POINTER, _LONG = ctypes.c_void_p, ctypes.c_uint64


class SdramModel:
    """A ``part`` at the pins ``name`` of a simulation, which has it from now on. Its times are
    checked in picoseconds at ``clock_hertz``. ``image`` (bytes,) is the memory itself.

    Pins that nobody drives carry noise, so that a word that is taken too early or late is wrong.
    """

    def __init__(
        self,
        simulation: Simulation,
        component: wiring.Component,
        part: SdramPart,
        clock_hertz: float,
        name: str = "pins",
    ) -> None:
        library = native_library("esca.accelerator.rtl.board", "sdram_model.cc")
        self._model = ctypes.CDLL(str(library))
        self._model.sdram_create.restype = _POINTER
        self._model.sdram_create.argtypes = [_POINTER]
        self._model.sdram_image.restype = ctypes.POINTER(ctypes.c_uint8)
        self._model.sdram_wrongs.restype = ctypes.POINTER(_LONG)
        self._model.sdram_first_wrong.restype = ctypes.c_int64
        self._model.sdram_run.argtypes = [
            *[_POINTER] * 3, _LONG, *[_POINTER] * 2, *[_LONG] * 2, _POINTER,
        ]  # fmt: skip
        times = _times(part, clock_hertz)
        self._sdram = _POINTER(self._model.sdram_create(times.ctypes.data))
        image = np.ctypeslib.as_array(self._model.sdram_image(self._sdram), (part.size,))
        self.image: NDArray[np.uint8] = image
        given, found = (
            {port.name: port.first for port in ports(component, flow)}
            for flow in (wiring.In, wiring.Out)
        )
        self._places = np.array(
            [given[f"{name}__dq_i"], *(found[f"{name}__{pin}"] for pin in _PINS)], np.int32
        )
        self._words = [
            sum(port.words for port in ports(component, flow)) for flow in (wiring.In, wiring.Out)
        ]
        self._run = ctypes.cast(simulation._code.esca_run, _POINTER)
        attached: Any = simulation
        self._code, attached._code = simulation._code, self

    @property
    def wrongs(self) -> dict[str, int]:
        """What a part would not have taken, and how often; ``cycle`` of the first."""
        counts = self._model.sdram_wrongs(self._sdram)
        found = {name: int(counts[i]) for i, name in enumerate(_WRONGS) if counts[i]}
        if found:
            found["cycle"] = int(self._model.sdram_first_wrong(self._sdram))
        return found

    def esca_run(self, design: Any, cycles: int, given: int, found: int) -> None:
        """What a simulation calls to run some cycles."""
        words, places = self._words, self._places.ctypes.data
        self._model.sdram_run(self._sdram, self._run, design, cycles, given, found, *words, places)

    def esca_destroy(self, design: Any) -> None:
        """What a simulation calls in the end."""
        self._model.sdram_destroy(self._sdram)
        self._code.esca_destroy(design)


def _times(part: SdramPart, clock_hertz: float) -> NDArray[np.uint64]:
    """As ``Part`` in C++."""
    nanoseconds = (
        1e9 / clock_hertz, part.activate_to_column, part.precharge, part.activate_to_precharge,
        part.longest_active, part.activate_to_activate, part.other_bank, part.refresh_cycle,
        part.write_recovery, part.mode_register, part.refresh, part.start,
    )  # fmt: skip
    sizes = (part.row_bits, part.column_bits, part.bank_bits, part.cas_latency)
    return np.array([*sizes, *(round(1000 * one) for one in nanoseconds)], np.uint64)
