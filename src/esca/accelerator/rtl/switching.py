"""What a frame switches in the hardware: changes of register bits, module by module, and energy
estimated from them.

Of a module, registers are watched in a compiled simulation. Its gates are those of
:mod:`esca.accelerator.rtl.gates`, in NAND2 of the same number of transistors; each is taken to
change as often as a register bit of its module on average. A flip-flop takes the clock's energy in
every cycle: nothing is gated. Memories, wires beyond the technology's load of a gate, and glitches
are in no figure.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from esca.accelerator.config import Node
from esca.accelerator.rtl.gates import TOP, TRANSISTORS, GateCount
from esca.accelerator.technology import Estimate, TechnologyTable, figure, sum_of

Changes = Mapping[tuple[str, ...], tuple[int, int]]
"""By a register's path: its bits, and how many changes they made."""


@dataclass(frozen=True)
class ModuleEnergy:
    """All modules of a ``kind``, without those in them. ``activity``: changes of a register bit a
    cycle; ``transistors`` of all; ``energy`` of a cycle in pJ.
    """

    kind: str
    number: int
    transistors: int
    activity: float
    energy: Estimate


def kinds_of(text: str, top: str) -> Mapping[str, Mapping[str, str]]:
    """Of a design in RTLIL: by module, the kind of each cell that is a module. ``top`` is called
    :data:`TOP`.
    """
    cells: dict[str, dict[str, str]] = {}
    for module in re.split(r"^module \\", text, flags=re.MULTILINE)[1:]:
        name = module.split(None, 1)[0]
        found = re.findall(r"^  cell \\(\S+) \\(\S+)$", module, re.MULTILINE)
        cells[TOP if name == top else name] = {cell: kind for kind, cell in found}
    return {
        name: {cell: kind for cell, kind in mine.items() if kind in cells}
        for name, mine in cells.items()
    }


def module_of(path: tuple[str, ...], kinds: Mapping[str, Mapping[str, str]]) -> str:
    """The kind of module in which a register stands."""
    kind = TOP
    for name in path:
        if name not in kinds[kind]:
            break
        kind = kinds[kind][name]
    return kind


def module_energies(
    counts: Mapping[str, GateCount],
    kinds: Mapping[str, Mapping[str, str]],
    changes: Changes,
    cycles: int,
    table: TechnologyTable,
    node: Node,
) -> list[ModuleEnergy]:
    """Kinds of modules, the one that takes most first. ``cycles`` that were watched."""
    bits: dict[str, int] = defaultdict(int)
    moved: dict[str, int] = defaultdict(int)
    for path, (width, count) in changes.items():
        kind = module_of(path, kinds)
        bits[kind] += width
        moved[kind] += count
    whole = sum(moved.values()) / max(1, sum(bits.values())) / cycles
    gate, clocked = (figure(table.energy, name, node) for name in ("nand2", "flip_flop"))
    made = []
    for kind, number in _numbers(counts).items():
        one = counts[kind]
        # Gates without a register of their own switch as the machine does on average.
        activity = moved[kind] / bits[kind] / cycles if bits[kind] else whole
        nand2 = one.gate_transistors / TRANSISTORS["NAND"]
        energy = gate * (nand2 * activity * number) + clocked * (one.flip_flops * number)
        made.append(ModuleEnergy(kind, number, one.transistors * number, activity, energy))
    return sorted(made, key=lambda one: -one.energy.value)


def total_energy(modules: Iterable[ModuleEnergy]) -> Estimate:
    """Of a cycle in pJ."""
    return sum_of(one.energy for one in modules)


def below(kind: str, counts: Mapping[str, GateCount]) -> dict[str, int]:
    """A module and all in it: how often each kind stands in one of it."""
    found = {kind: 1}
    for part, number in counts[kind].parts.items():
        for inner, many in below(part, counts).items():
            found[inner] = found.get(inner, 0) + number * many
    return found


def _numbers(counts: Mapping[str, GateCount]) -> dict[str, int]:
    return below(TOP, counts)
