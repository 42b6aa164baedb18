"""Who takes a net of a mapped netlist, in groups of neighbours.

A net with thousands of ends has wires all over the chip, and each one that the router gives to
another net costs hundreds of these ends again: it may never come to an end.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from esca.accelerator.rtl.floor_plan import natural_key
from esca.accelerator.rtl.hard_registers import Bit, Cell

MOST_ENDS = 256
"""Ends of one net, at most: no word of the machine has more bits but those of all columns."""


class End(NamedTuple):
    """A bit of a cell's input."""

    cell: str
    port: str
    position: int


class Fanout:
    """Cells of a ``module`` (Yosys' JSON), which it changes, and who takes each net: ``ends``."""

    def __init__(self, module: Mapping[str, Any]) -> None:
        self.cells: dict[str, Cell] = module["cells"]
        self.ends: dict[Bit, dict[End, None]] = defaultdict(dict)
        for name, cell in self.cells.items():
            self._taken_by(name, cell)
        nets = [bit for port in module["ports"].values() for bit in port["bits"]]
        nets += [bit for cell in self.cells.values() for bit in _bits(cell)]
        self._last = max((bit for bit in nets if isinstance(bit, int)), default=0)
        self._names: dict[Bit, tuple[str, int]] = {}
        for name, net in module["netnames"].items():
            for number, bit in enumerate(() if net["hide_name"] else net["bits"]):
                known, _ = self._names.get(bit, (None, 0))
                if known is None or (len(name), name) < (len(known), known):
                    self._names[bit] = name, number

    def groups(self, ends: Iterable[End], most: int) -> list[list[End]]:
        """Ends in groups of ``most`` at most, as few and as equal as can be. Neighbours are in one:
        they come first to bits of one register, or to nets with like names.
        """
        near = sorted(ends, key=lambda end: self._place(end.cell))
        count = -(-len(near) // most)
        marks = [len(near) * number // max(count, 1) for number in range(count + 1)]
        return [near[low:high] for low, high in pairwise(marks)]

    def new_net(self) -> int:
        """A number that no net has."""
        self._last += 1
        return self._last

    def moved(self, ends: Sequence[End], net: Bit) -> None:
        """Inputs take another net from now on."""
        for end in ends:
            bits = self.cells[end.cell]["connections"][end.port]
            del self.ends[bits[end.position]][end]
            bits[end.position] = net
            self.ends[net][end] = None

    def added(self, name: str, cell: Cell) -> None:
        """A new cell."""
        self.cells[name] = cell
        self._taken_by(name, cell)

    def _taken_by(self, name: str, cell: Cell) -> None:
        for port, bits in cell["connections"].items():
            if cell["port_directions"][port] == "input":
                for position, bit in enumerate(bits):
                    self.ends[bit][End(name, port, position)] = None

    def _place(self, cell: str) -> tuple[list[tuple[int, str]], int]:
        """Where what a cell makes comes to: the first net with a name, and the bit of it. Yosys
        gives no names to tables in the midst of an expression.
        """
        seen, around = {cell}, [cell]
        while around:
            outs = [bit for name in around for bit in _bits(self.cells[name], "output")]
            named = [self._names[bit] for bit in outs if bit in self._names]
            if named:
                return min((natural_key(name), number) for name, number in named)
            takers = dict.fromkeys(end.cell for bit in outs for end in self.ends.get(bit, ()))
            around = [name for name in takers if name not in seen]
            seen.update(around)
        return natural_key(cell), 0


def _bits(cell: Cell, way: str | None = None) -> Iterator[Bit]:
    """What is connected to a cell, or to its ports of one direction."""
    for port, bits in cell["connections"].items():
        if way in (None, cell["port_directions"][port]):
            yield from bits
