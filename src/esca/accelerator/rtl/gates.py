"""How many gates a component is, before any technology: for area, and to compare designs.

Yosys maps every module to simple gates. Memories stay memories, counted in bits.
"""

import json
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amaranth.lib import wiring

from esca.accelerator.rtl.emit import rtlil_text
from esca.accelerator.rtl.tools import run_yosys

TRANSISTORS: Mapping[str, int] = {
    "NOT": 2, "NAND": 4, "NOR": 4, "AND": 6, "OR": 6, "AOI3": 6, "OAI3": 6,
    "XOR": 12, "XNOR": 12, "MUX": 12,
}  # fmt: skip
"""Of a gate in static CMOS, as Yosys' ``stat -tech cmos`` counts them."""

FLIP_FLOP = 16
"""Transistors of a flip-flop; an enable adds a MUX, a synchronous reset an AND."""

TOP = "design"


@dataclass(frozen=True)
class GateCount:
    """A module without the modules in it: ``gates``, ``flip_flops``, ``memory_bits`` and
    ``transistors`` of gates and flip-flops. ``parts``: how many of which modules are in it.
    """

    gates: int
    flip_flops: int
    memory_bits: int
    transistors: int
    parts: Mapping[str, int]

    @property
    def gate_transistors(self) -> int:
        """Those of gates, enables and resets of flip-flops among them."""
        return self.transistors - FLIP_FLOP * self.flip_flops


def count_gates(component: wiring.Component) -> dict[str, GateCount]:
    """Modules of a component by kind, the whole as :data:`TOP`. EscaError if Yosys fails."""
    with tempfile.TemporaryDirectory(prefix="esca-rtl-") as scratch:
        folder = Path(scratch)
        (folder / "design.il").write_text(rtlil_text(component, TOP))
        run_yosys(_MAPPING, folder)
        stored, mapped = (
            json.loads((folder / name).read_text())["modules"]
            for name in ("bits.json", "gates.json")
        )
    return {
        _plain(kind): _count(found, int(stored[kind].get("num_memory_bits", 0)), mapped)
        for kind, found in mapped.items()
    }


def total(counts: Mapping[str, GateCount], kind: str = TOP) -> GateCount:
    """A module with all that is in it; ``parts`` as they are."""
    made = counts[kind]
    inner = [(number, total(counts, part)) for part, number in made.parts.items()]
    return GateCount(
        made.gates + sum(number * one.gates for number, one in inner),
        made.flip_flops + sum(number * one.flip_flops for number, one in inner),
        made.memory_bits + sum(number * one.memory_bits for number, one in inner),
        made.transistors + sum(number * one.transistors for number, one in inner),
        made.parts,
    )


def tree(
    counts: Mapping[str, GateCount], least: float = 0.01
) -> Iterator[tuple[int, str, int, GateCount]]:
    """Depth, kind, number and total of all such modules in each place, the largest first; those
    with less than ``least`` of all transistors are left out.
    """
    limit = least * total(counts).transistors

    def below(depth: int, kind: str, number: int) -> Iterator[tuple[int, str, int, GateCount]]:
        yield depth, kind, number, total(counts, kind)
        parts = counts[kind].parts.items()
        sized = [
            (number * many * total(counts, part).transistors, part, many) for part, many in parts
        ]
        for size, part, many in sorted(sized, reverse=True):
            if size >= limit:
                yield from below(depth + 1, part, number * many)

    return below(0, TOP, 1)


_MAPPING = (
    "read_rtlil design.il",
    f"hierarchy -top {TOP}",
    "proc",
    "opt_clean",
    "tee -q -o bits.json stat -json",
    *("opt -full", "wreduce", "alumacc", "opt", "memory -nomap", "opt_clean"),
    *("techmap", "opt", f"abc -g {','.join(gate for gate in TRANSISTORS if gate != 'NOT')}"),
    "opt_clean",
    "tee -q -o gates.json stat -json",
)


def _count(found: Mapping[str, Any], bits: int, modules: Mapping[str, Any]) -> GateCount:
    gates = flip_flops = transistors = 0
    parts: dict[str, int] = {}
    for cell, number in found["num_cells_by_type"].items():
        name = cell.removeprefix("$_").split("_")[0]
        if name in TRANSISTORS:
            gates += number
            transistors += number * TRANSISTORS[name]
        elif "DFF" in name:
            flip_flops += number
            one = FLIP_FLOP
            one += TRANSISTORS["MUX"] if name.endswith("E") else 0
            one += TRANSISTORS["AND"] if name.startswith("S") else 0
            transistors += number * one
        elif cell in modules or f"\\{cell}" in modules:
            parts[_plain(cell)] = number
    return GateCount(gates, flip_flops, bits, transistors, parts)


def _plain(kind: str) -> str:
    """Without Yosys' mark of a name."""
    return kind.removeprefix("\\")
