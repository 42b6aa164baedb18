"""Copies of flip-flops that many take, or that several sums add: each does in every cycle what the
first one does, and drives one group of neighbours. Placed among them, it has short wires.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from esca.accelerator.rtl.fanout import MOST_ENDS, Fanout
from esca.accelerator.rtl.hard_registers import FLIP_FLOP, Bit, Cell

_SUM = "CCU2C"

_CLOCKS = ("CLK", "WCK")
"""How ports of clocks begin."""

_WORDS = ("DP16KD", "PDPW16KD")
"""Memories that give a word with their clock."""


def with_copies(module: dict[str, Any], most: int = MOST_ENDS) -> int:
    """Copy flip-flops of a mapped module (Yosys' JSON), in place; returns how many copies it made.

    One whose output more than ``most`` take has a copy for each group of ``most`` at most; one that
    is but the lowest bit of sums has one for each sum: chains stand apart, and are slow already.
    What the module does stays the same, from its first cycle on. The first flip-flop keeps the
    module's own output.

    One that drives a clock is not copied. Nor is one that catches what may change near its clock's
    edge, since a copy could see it in another cycle: what comes from outside or from a register of
    another clock, and a reset that does not wait for the clock.
    """
    fanout, made = Fanout(module), 0
    drivers = {
        bit: cell
        for cell in module["cells"].values()
        for port, bits in cell["connections"].items()
        if cell["port_directions"][port] != "input"
        for bit in bits
    }
    for name, cell in [*fanout.cells.items()]:
        if cell["type"] != FLIP_FLOP:
            continue
        (out,) = cell["connections"]["Q"]
        ends = fanout.ends[out]
        lowest = all(_is_lowest(fanout.cells[end.cell], end.port) for end in ends)
        size = 1 if lowest else most
        if len(ends) <= size or any(end.port.startswith(_CLOCKS) for end in ends):
            continue
        if _catches(cell, drivers):
            continue
        for number, group in enumerate(fanout.groups(ends, size)[1:]):
            net = fanout.new_net()
            fanout.moved(group, net)
            copy = _copy(cell, net)
            fanout.added(f"{name}_copy_{number}", copy)
            drivers[net] = copy
            made += 1
    return made


def _is_lowest(cell: Cell, port: str) -> bool:
    """Whether it is the lowest bit of a sum, beside the half cell that makes what is carried in."""
    begins = cell["type"] == _SUM and cell["connections"].get("CIN", ["x"]) == ["x"]
    return begins and port in ("A1", "B1")


def _catches(cell: Cell, drivers: Mapping[Bit, Cell]) -> bool:
    """Whether a flip-flop takes what may change near its clock's edge, by tables or directly."""
    clock = cell["connections"]["CLK"]
    unclocked = cell["parameters"].get("SRMODE") == "ASYNC"
    if unclocked and cell["connections"].get("LSR", ["0"]) != ["0"]:
        return True
    todo, seen = [*_taken(cell)], set[Bit]()
    while todo:
        bit = todo.pop()
        if bit in seen:
            continue
        seen.add(bit)
        driver = drivers.get(bit)
        if driver is None:
            return True
        if driver["type"] != FLIP_FLOP and driver["type"] not in _WORDS:
            todo += _taken(driver)
        elif any(bits != clock for bits in _clocked(driver)):
            return True
    return False


def _taken(cell: Cell) -> Iterator[Bit]:
    """Nets that a cell takes, but for clocks."""
    for port, bits in cell["connections"].items():
        if cell["port_directions"][port] == "input" and not port.startswith(_CLOCKS):
            yield from (bit for bit in bits if isinstance(bit, int))


def _clocked(cell: Cell) -> Iterator[list[Bit]]:
    """What is connected to a cell's clocks, where anything is."""
    for port, bits in cell["connections"].items():
        if port.startswith(_CLOCKS) and isinstance(bits[0], int):
            yield bits


def _copy(cell: Cell, net: Bit) -> Cell:
    wires = {port: [*bits] for port, bits in cell["connections"].items()}
    return {
        **cell,
        "parameters": dict(cell["parameters"]),
        "attributes": dict(cell.get("attributes", {})),
        "port_directions": dict(cell["port_directions"]),
        "connections": wires | {"Q": [net]},
    }
