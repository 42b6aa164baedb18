"""Copies of a reset that many flip-flops take, each for those of one part of the design.

A net with thousands of ends has wires all over the chip, and each one that the router gives to
another net costs hundreds of these ends again: with one reset for all, it does not come to an end.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from esca.accelerator.rtl.floor_plan import natural
from esca.accelerator.rtl.hard_registers import FLIP_FLOP, Bit

MOST_ENDS = 512
"""Flip-flops that one copy resets."""

_COPY = {
    "CEMUX": "1 ",
    "CLKMUX": "CLK",
    "GSR": "DISABLED",
    "LSRMUX": "LSR",
    "REGSET": "SET",
    "SRMODE": "LSR_OVER_CE",
}
_ENDS = ("LSR", "M", "A", "B", "C", "D", "C0", "DI", "CE")
"""Ports of cells of logic that a reset may go to."""


def with_reset_tree(module: dict[str, Any], most: int = MOST_ENDS) -> int:
    """Put flip-flops between each reset of more than ``most`` flip-flops of a mapped module (Yosys'
    JSON) and all that take it, in place; returns how many. It comes a cycle later, everywhere in
    the same. They begin set: the design is in reset in its first cycle.
    """
    cells, made = module["cells"], 0
    taken = Counter(_reset(cell) for cell in cells.values() if cell["type"] == FLIP_FLOP)
    for net, count in taken.items():
        if count > most and net is not None:
            made += _copied(module, net, most)
    return made


def _reset(cell: dict[str, Any]) -> Bit | None:
    """The net that resets a flip-flop with the clock, if one does."""
    (net,) = cell["connections"].get("LSR", ["0"])
    return net if isinstance(net, int) and cell["parameters"].get("SRMODE") != "ASYNC" else None


def _copied(module: dict[str, Any], net: Bit, most: int) -> int:
    cells = module["cells"]
    ends = [
        (name, port)
        for name in natural(cells)
        for port, bits in cells[name]["connections"].items()
        if bits == [net] and cells[name]["port_directions"][port] == "input"
    ]
    clocks = {
        cells[name]["connections"]["CLK"][0] for name, _ in ends if cells[name]["type"] == FLIP_FLOP
    }
    if len(clocks) != 1 or not {port for _, port in ends} <= {*_ENDS}:
        return 0
    groups = [ends[first : first + most] for first in range(0, len(ends), most)]
    (clock,), free = clocks, _free_bit(module)
    for number, group in enumerate(groups):
        copy = free + number
        cells[f"reset_copy_{net}_{number}"] = _flip_flop(clock, net, copy)
        for name, port in group:
            cells[name]["connections"][port] = [copy]
    return len(groups)


def _free_bit(module: dict[str, Any]) -> int:
    buses = [bits for cell in module["cells"].values() for bits in cell["connections"].values()]
    buses += [port["bits"] for port in module["ports"].values()]
    return 1 + max(bit for bits in buses for bit in bits if isinstance(bit, int))


def _flip_flop(clock: Bit, taken: Bit, given: Bit) -> dict[str, Any]:
    wires: dict[str, Sequence[Bit]] = {
        "CLK": [clock], "DI": [taken], "LSR": ["0"], "Q": [given],
    }  # fmt: skip
    return {
        "hide_name": 0,
        "type": FLIP_FLOP,
        "parameters": dict(_COPY),
        "attributes": {},
        "port_directions": {**dict.fromkeys(("CLK", "DI", "LSR"), "input"), "Q": "output"},
        "connections": wires,
    }
