"""A component through the open tools for ECP5: what it takes, and how fast it runs.

Yosys maps it, nextpnr places and routes it with several seeds; both are PyPI's ``yowasp-`` builds.
"""

import json
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amaranth.lib import wiring

from esca.accelerator.rtl.boxed import Boxed
from esca.accelerator.rtl.emit import rtlil_text
from esca.accelerator.rtl.hard_registers import Absorbed
from esca.accelerator.rtl.mapping import mapped
from esca.accelerator.rtl.tools import OutOfTimeError, run_nextpnr
from esca.errors import EscaError

DEVICES = ("25k", "45k", "85k")
"""ECP5 sizes, in thousands of LUTs."""

SPEEDS = (6, 7, 8)
"""Speed grades of an ECP5; the higher, the faster."""

KINDS: Mapping[str, str] = {
    "TRELLIS_COMB": "LUT4",
    "TRELLIS_FF": "flip-flops",
    "DP16KD": "block RAM",
    "MULT18X18D": "DSP",
}
"""nextpnr's cells and what tables call them. A carry takes two LUT4."""

LOG = "nextpnr.log"

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Step:
    """One stretch of a critical path: from a cell to the next. ``routing`` and ``logic`` in ns."""

    part: str
    logic: float
    routing: float


@dataclass(frozen=True)
class Placed:
    """One seed's result. ``fmax_hertz``: after routing, or what distances let expect where it is
    not routed; ``path``: of the slowest clock-to-clock path, by part of the design, where it is.
    """

    seed: int
    fmax_hertz: float
    path: tuple[Step, ...]


@dataclass(frozen=True)
class Implementation:
    """``used`` and ``available`` by :data:`KINDS`, of the box's registers, too; ``box_registers``:
    how many those are. ``absorbed``: registers that went into hard blocks. ``routed``: whether
    wires are known. ``unfinished``: seeds that did not end in time.
    """

    name: str
    device: str
    speed: int
    used: Mapping[str, int]
    available: Mapping[str, int]
    box_registers: int
    absorbed: Absorbed
    placed: tuple[Placed, ...]
    routed: bool
    unfinished: tuple[int, ...] = ()

    @property
    def best(self) -> Placed:
        """The fastest seed."""
        return max(self.placed, key=lambda one: one.fmax_hertz)

    @property
    def worst(self) -> Placed:
        """The slowest seed."""
        return min(self.placed, key=lambda one: one.fmax_hertz)


def implement(
    component: wiring.Component,
    name: str,
    device: str = "85k",
    clock_hertz: float = 150e6,
    seeds: Sequence[int] = (1, 2, 3),
    speed: int = 6,
    flat: bool = True,
    routed: bool = True,
    progress: Progress | None = None,
    finished: Callable[[Placed], None] | None = None,
    seconds: float | None = None,
) -> Implementation:
    """Map, place and route ``component``, with the delays of a ``speed`` grade. ``clock_hertz``:
    what the tools aim at; missing it is a result, not an error. ``flat``: logic is mapped across
    modules. Not ``routed``, it is placed alone, and the clock estimated from distances.
    ``progress`` counts the mapping and each seed, ``finished`` is told each seed when it ends.
    A seed that takes more than ``seconds`` is left out. EscaError if a tool fails, as where the
    design does not fit, and where no seed ends.

    The design has no reset: registers begin as the FPGA's configuration has them.
    """
    if device not in DEVICES:
        raise EscaError(f"rtl: device {device!r}, expected one of {', '.join(DEVICES)}")
    if speed not in SPEEDS:
        raise EscaError(f"rtl: speed grade {speed}, expected one of {', '.join(map(str, SPEEDS))}")
    if not seeds:
        raise EscaError("rtl: seeds are empty, expected one or more")
    box = Boxed(component, name)
    with tempfile.TemporaryDirectory(prefix="esca-rtl-") as scratch:
        folder = Path(scratch)
        (folder / "design.il").write_text(rtlil_text(box, "boxed"))
        absorbed = mapped(folder, "boxed", flat, device, resets=False)
        reports, placed, unfinished = [], [], []
        for number, seed in enumerate(seeds):
            if progress:
                progress(1 + number, 1 + len(seeds))
            try:
                report = _reported(folder, device, speed, clock_hertz, seed, routed, seconds)
            except OutOfTimeError:
                unfinished.append(seed)
                continue
            reports.append(report)
            placed.append(_placed(seed, report) if routed else _estimated(seed, folder))
            if finished:
                finished(placed[-1])
        if progress:
            progress(1 + len(seeds), 1 + len(seeds))
    if not reports:
        raise EscaError(f"rtl: {name}: no seed of {list(seeds)} ended within {seconds:g} s")
    used, available = utilization(reports[0])
    return Implementation(
        name,
        device,
        speed,
        used,
        available,
        box.registers,
        absorbed,
        tuple(placed),
        routed,
        tuple(unfinished),
    )


def _reported(
    folder: Path,
    device: str,
    speed: int,
    clock_hertz: float,
    seed: int,
    routed: bool,
    seconds: float | None,
) -> dict[str, Any]:
    report = f"report{seed}.json"
    arguments = [
        *(
            f"--{device}",
            "--speed",
            str(speed),
            "--json",
            "design.json",
            "--report",
            report,
            "--seed",
            str(seed),
        ),
        *("--freq", f"{clock_hertz / 1e6:g}", "--log", LOG),
        *(() if routed else ("--no-route",)),
    ]
    run_nextpnr(arguments, folder, seconds)
    found: dict[str, Any] = json.loads((folder / report).read_text())
    return found


def _estimated(seed: int, folder: Path) -> Placed:
    """The clock behind placement, which stands in no report."""
    found = re.findall(r"Max frequency for clock .*: ([\d.]+) MHz", (folder / LOG).read_text())
    if not found:
        raise EscaError("rtl: nextpnr: its log names no clock, expected one behind placement")
    return Placed(seed, 1e6 * float(found[-1]), ())


def utilization(report: Mapping[str, Any]) -> tuple[dict[str, int], dict[str, int]]:
    """Cells that a report of nextpnr says are used, and available, by :data:`KINDS`."""
    cells = report["utilization"]
    nothing = {"used": 0, "available": 0}
    used, available = (
        {name: cells.get(cell, nothing)[what] for cell, name in KINDS.items()}
        for what in ("used", "available")
    )
    return used, available


def _placed(seed: int, report: Mapping[str, Any]) -> Placed:
    clocks = report["fmax"]
    if len(clocks) != 1:
        raise EscaError(f"rtl: nextpnr: {len(clocks)} clocks, expected one")
    slowest: Sequence[Mapping[str, Any]] = max(
        (one["path"] for one in report["critical_paths"] if _inside(one)), key=_delay, default=()
    )
    achieved = next(iter(clocks.values()))["achieved"]
    return Placed(seed, achieved * 1e6, _steps(slowest))


def _inside(path: Mapping[str, Any]) -> bool:
    """Whether a path starts and ends at the clock's edge, not at a pin."""
    return "async" not in path["from"] and "async" not in path["to"]


def _delay(path: Sequence[Mapping[str, Any]]) -> float:
    return sum(float(step["delay"]) for step in path)


def _steps(path: Sequence[Mapping[str, Any]]) -> tuple[Step, ...]:
    """Stretches in one part of the design, joined; what has no name of its own belongs to what
    comes before.
    """
    made: list[Step] = []
    for step in path:
        part = part_of(step["to"]["cell"])
        routing = step["type"] == "routing"
        logic_ns, routing_ns = (0.0, step["delay"]) if routing else (step["delay"], 0.0)
        if made and (made[-1].part == part or not part):
            last = made.pop()
            part, logic_ns, routing_ns = last.part, logic_ns + last.logic, routing_ns + last.routing
        made.append(Step(part, logic_ns, routing_ns))
    return tuple(made)


def part_of(cell: str) -> str:
    """The design's own name of the place where a cell lies: ``inside.path.array.pe_3_2.product``
    of ``inside.path.array.pe_3_2.product_TRELLIS_FF_Q_5_DI_LUT4_Z``.
    """
    return re.split(r"_(?=TRELLIS|LUT4|PFUMX|L6MUX21|CCU2C|MULT18X18D|DP16KD|PDPW16KD)|\$", cell)[0]
