"""A board's bitstream: Verilog, constraints, and what the open tools make of them."""

import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from esca.accelerator.config import AcceleratorConfig, config_hash
from esca.accelerator.rtl.board.core import BoardCore, board_settings
from esca.accelerator.rtl.board.sdram_part import ULX3S_SDRAM
from esca.accelerator.rtl.board.uart import baud_divisor
from esca.accelerator.rtl.board.ulx3s import NAME, Ulx3s, constraints
from esca.accelerator.rtl.emit import rtlil_text, tool_versions
from esca.accelerator.rtl.implement import utilization
from esca.accelerator.rtl.mapping import mapped
from esca.accelerator.rtl.parts import TOP, mapped_flat
from esca.accelerator.rtl.tools import run_nextpnr, run_tool, run_yosys
from esca.accelerator.rtl.top import Top

DEVICE, PACKAGE = "85k", "CABGA381"
STEPS = 4

_VERILOG = ("read_rtlil design.il", "proc", "opt_clean", "memory_collect", "write_verilog design.v")
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Bitstream:
    """``path`` of a file of ``size`` bytes. ``used`` and ``available`` by
    :data:`esca.accelerator.rtl.implement.KINDS`; ``fmax_hertz`` after routing, ``met`` if that is
    the clock or more.
    """

    path: Path
    size: int
    used: Mapping[str, int]
    available: Mapping[str, int]
    clock_hertz: float
    fmax_hertz: float

    @property
    def met(self) -> bool:
        """Whether the board may run it."""
        return self.fmax_hertz >= self.clock_hertz


def build_bitstream(
    config: AcceleratorConfig,
    folder: Path,
    clock_hertz: float,
    baud: float,
    seed: int = 1,
    progress: Progress | None = None,
) -> Bitstream:
    """Make ``ulx3s.v``, ``ulx3s.lpf`` and ``ulx3s.bit`` in ``folder``. A clock that is missed is a
    result, not an error. EscaError for what hardware is not made for, and where a tool fails.
    """
    divisor = baud_divisor(clock_hertz, baud)
    core = BoardCore(Top(config), board_settings(config, ULX3S_SDRAM, clock_hertz, divisor))
    board = Ulx3s(core, clock_hertz)
    tools = ", ".join(f"{tool} {number}" for tool, number in tool_versions().items())
    about = f"{NAME} with {config.name}, configuration {config_hash(config)}; {tools}"
    folder.mkdir(parents=True, exist_ok=True)
    done = iter(range(1, STEPS + 1))

    def step() -> None:
        if progress:
            progress(next(done), STEPS)

    (folder / f"{NAME}.lpf").write_text(f"# {about}\n{constraints()}")
    with tempfile.TemporaryDirectory(prefix="esca-board-") as scratch:
        work = Path(scratch)
        (work / "design.il").write_text(rtlil_text(board, NAME, [*board.ports.values()]))
        run_yosys(_VERILOG, work)
        (folder / f"{NAME}.v").write_text(f"// {about}\n" + (work / "design.v").read_text())
        shutil.copy(folder / f"{NAME}.lpf", work / "design.lpf")
        step()
        mapped(work, NAME, mapped_flat(TOP), DEVICE)
        step()
        run_nextpnr(
            [
                *(f"--{DEVICE}", "--package", PACKAGE, "--json", "design.json"),
                *("--lpf", "design.lpf", "--textcfg", "design.config", "--report", "report.json"),
                *("--freq", f"{clock_hertz / 1e6:g}", "--seed", str(seed)),
            ],
            work,
        )
        step()
        run_tool("yowasp-ecppack", ["--compress", "design.config", "design.bit"], work)
        step()
        report = json.loads((work / "report.json").read_text())
        made = folder / f"{NAME}.bit"
        shutil.copy(work / "design.bit", made)
    return Bitstream(
        made,
        made.stat().st_size,
        *utilization(report),
        clock_hertz,
        1e6 * min(one["achieved"] for one in report["fmax"].values()),
    )
