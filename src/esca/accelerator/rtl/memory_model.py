"""A memory behind the AXI ports of a compiled simulation: fixed latency, or stalls by a seed."""

import ctypes
from typing import Any

import numpy as np
from amaranth.lib import wiring
from numpy.typing import NDArray

from esca.accelerator.rtl.compiled import Simulation
from esca.accelerator.rtl.native import native_library
from esca.accelerator.rtl.ports import ports

_INPUTS = ("ar__ready", "r__valid", "r__payload", "aw__ready", "w__ready", "b__valid")
_OUTPUTS = (
    "ar__valid", "ar__payload", "r__ready",
    "aw__valid", "aw__payload", "w__valid", "w__payload", "b__ready",
)  # fmt: skip
_POINTER, _LONG = ctypes.c_void_p, ctypes.c_uint64


class Memory:
    """``size`` bytes behind the AXI ports ``names`` of a simulation, which has it from now on.

    ``image`` (size,) is the memory itself. A request that is taken in cycle t is answered from
    t + ``latency`` on, a word a cycle; a burst that was written is acknowledged ``latency`` cycles
    behind its last word. With ``stall`` from 1 to 255 any handshake of the memory's waits, in each
    cycle with that chance of 256, and some answers come later; ``seed`` decides which.
    """

    def __init__(
        self,
        simulation: Simulation,
        component: wiring.Component,
        names: tuple[str, ...],
        size: int,
    ) -> None:
        self._model = ctypes.CDLL(str(native_library("esca.accelerator.rtl", "memory_model.cc")))
        self._model.memory_create.restype = _POINTER
        self._model.memory_create.argtypes = [_LONG, _LONG]
        self._model.memory_image.restype = ctypes.POINTER(ctypes.c_uint8)
        self._model.memory_errors.restype = _LONG
        self._model.memory_set.argtypes = [_POINTER, _LONG, ctypes.c_uint32, _LONG]
        self._model.memory_run.argtypes = [
            *[_POINTER] * 3, _LONG, *[_POINTER] * 2, *[_LONG] * 2, _POINTER,
        ]  # fmt: skip
        self._memory = _POINTER(self._model.memory_create(size, len(names)))
        image = np.ctypeslib.as_array(self._model.memory_image(self._memory), (size,))
        self.image: NDArray[np.uint8] = image
        self._places = np.array([_places(component, name) for name in names], np.int32)
        self._words = [
            sum(port.words for port in ports(component, flow)) for flow in (wiring.In, wiring.Out)
        ]
        self._run = ctypes.cast(simulation._code.esca_run, _POINTER)
        attached: Any = simulation
        self._code, attached._code = simulation._code, self

    def behave(self, latency: int, stall: int = 0, seed: int = 0) -> None:
        """How the memory answers from now on."""
        self._model.memory_set(self._memory, latency, stall, seed)

    def forget(self) -> None:
        """Drop all that is asked for and under way, as after a reset, and the errors so far."""
        self._model.memory_forget(self._memory)

    @property
    def errors(self) -> int:
        """Requests outside memory or across a page, words without a request, wrong ends; offers
        that change or go before they are taken.
        """
        return int(self._model.memory_errors(self._memory))

    def esca_run(self, design: Any, cycles: int, given: int, found: int) -> None:
        """What a simulation calls to run some cycles."""
        words, places = self._words, self._places.ctypes.data
        self._model.memory_run(
            self._memory, self._run, design, cycles, given, found, *words, places
        )

    def esca_destroy(self, design: Any) -> None:
        """What a simulation calls in the end."""
        self._model.memory_destroy(self._memory)
        self._code.esca_destroy(design)


def _places(component: wiring.Component, name: str) -> list[int]:
    """Words in which the ports of an AXI port begin, and its bytes, as ``Places`` in C++."""
    first = {
        flow: {port.name: port for port in ports(component, flow)}
        for flow in (wiring.In, wiring.Out)
    }
    found = []
    for flow, members in ((wiring.In, _INPUTS), (wiring.Out, _OUTPUTS)):
        for member in members:
            port = first[flow].get(f"{name}__{member}")
            found.append(-1 if port is None else port.first)
    return [*found, (first[wiring.In][f"{name}__r__payload"].words - 1) * 4]
