"""A component as a simulation that Verilator compiles: the second simulator, and the fast one.

Verilator orders the whole design once, where CXXRTL runs module by module until nothing changes.
It does not come as a Python package: the suite does not need it, whole frames profit from it.
"""

import re
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from amaranth.lib import wiring

from esca.accelerator.rtl.compiled import Simulation
from esca.accelerator.rtl.emit import tool_versions, verilog_text
from esca.accelerator.rtl.harness import Harness
from esca.accelerator.rtl.tools import kept_library, run_cxx, run_tool
from esca.errors import EscaError

_NAME = "design"
_RUNTIME = ("verilated.cpp", "verilated_threads.cpp")
_FLAGS = ("-std=c++17", "-fPIC", "-w")
_OPTIONS = (
    *("--cc", "design.v", "--top-module", _NAME, "--Mdir", "made", "-O3", "--no-timing"),
    *("--output-split", "20000", "-Wno-fatal", "-Wno-lint", "-Wno-style"),
    *("--x-assign", "unique", "--x-initial", "unique"),
)
_RESET_CYCLES = 1 << 14
"""Longer than any pipeline: their registers have no reset, and what they begin with has to run out;
and than accumulators take that become 0 row by row.
"""
_MOST_WORDS = 1 << 12
"""More than a design has words of inputs."""


def verilated(
    component: wiring.Component, unknown: int | None = None, cache: Path | None = None
) -> Simulation:
    """Compile a component with Verilator (5 or later); ``cache`` as for
    :func:`esca.accelerator.rtl.compiled.compiled`.

    With a seed in ``unknown`` registers and memories begin with random bits instead of their
    initial values, and the design is reset: what depends on a value that nobody wrote shows.
    EscaError where a tool is missing or fails.
    """
    library = _library(component, unknown is None, cache)
    return Simulation(library, component, seed=0 if unknown is None else 1 + unknown)


def _library(component: wiring.Component, initial: bool, cache: Path | None) -> Path:
    options = (*_OPTIONS, *_FLAGS, _version(), str(tool_versions()))
    with TemporaryDirectory(prefix="esca-rtl-") as scratch:
        text = verilog_text(component, _NAME, Path(scratch), initial, simulated=True)
    harness = _HARNESS.text(component)
    return kept_library(
        (text, harness, *options), lambda folder: _build(folder, text, harness), cache
    )


def _build(folder: Path, text: str, harness: str) -> Path:
    (folder / "design.v").write_text(text)
    (folder / "harness.cc").write_text(harness)
    run_tool("verilator", _OPTIONS, folder)
    library = Path(_asked("--getenv", "VERILATOR_ROOT")) / "include"
    includes = ["-Imade", f"-I{library}", f"-I{library / 'vltstd'}"]
    sources = sorted((folder / "made").glob("*.cpp"))
    for source in sources:
        # What runs once is large, and not worth the compiler's time.
        level = "-O0" if source.stem.endswith("Slow") else "-O2"
        arguments = [*_FLAGS, level, *includes, "-c", f"made/{source.name}"]
        run_cxx([*arguments, "-o", f"made/{source.stem}.o"], folder)
    objects = [f"made/{source.stem}.o" for source in sources]
    run = [str(library / name) for name in _RUNTIME]
    flags = [*_FLAGS, "-O2", "-shared", "-pthread", *includes]
    run_cxx([*flags, "harness.cc", *run, *objects, "-o", "design.so"], folder)
    return folder / "design.so"


def _version() -> str:
    found = _asked("--version")
    if not re.match(r"Verilator ([5-9]|\d\d)\.", found):
        raise EscaError(f"rtl: {found.strip()!r}, expected Verilator 5 or later")
    return found


def _asked(*arguments: str) -> str:
    """What Verilator says of itself."""
    try:
        done = subprocess.run(["verilator", *arguments], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise EscaError("rtl: verilator was not found, expected version 5 or later") from error
    return done.stdout.strip()


def _mangled(name: str) -> str:
    """A name as Verilator writes it."""
    return name.replace("__", "___05F")


_HARNESS = Harness(
    mangled=_mangled,
    head=f"""\
#include "V{_NAME}.h"
#include "verilated.h"
#include <cstdint>

template <size_t width, class Port> void put(Port &port, int word, uint32_t value) {{
    if constexpr (width <= 32) port = value;
    else if constexpr (width <= 64) {{
        const int shift = 32 * word;
        port = (port & ~(uint64_t(0xffffffff) << shift)) | uint64_t(value) << shift;
    }} else port[word] = value;
}}
template <size_t width, class Port> void get(Port &port, int word, uint32_t &to) {{
    if constexpr (width <= 64) to = uint32_t(uint64_t(port) >> (32 * word));
    else to = port[word];
}}

using Top = V{_NAME};

double sc_time_stamp() {{ return 0; }}
static void given(Top &top, const uint32_t *row);
static void clocked(Top &top, bool high) {{
    top.clk = high;
    top.eval();
}}
static Top *created(uint64_t seed) {{
    Verilated::randReset(seed ? 2 : 0);
    Verilated::randSeed(int(seed));
    Top *made = new Top;
    static const uint32_t nothing[{_MOST_WORDS}] = {{}};
    given(*made, nothing);
    made->rst = seed != 0;
    for (int half = 0; half < (seed ? {2 * _RESET_CYCLES} : 0); half++) clocked(*made, half & 1);
    made->rst = 0;
    return made;
}}
""",
)
