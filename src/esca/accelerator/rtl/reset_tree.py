"""A reset that many flip-flops take comes to each group of them by a flip-flop of its own.

It need not itself be of a flip-flop, and may come from anywhere, which :mod:`copies` asks for.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from esca.accelerator.rtl.fanout import MOST_ENDS, Fanout
from esca.accelerator.rtl.hard_registers import FLIP_FLOP, Bit

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
    fanout, made = Fanout(module), 0
    flip_flops = (cell for cell in fanout.cells.values() if cell["type"] == FLIP_FLOP)
    taken = Counter(_reset(cell) for cell in flip_flops)
    for net, count in taken.items():
        if count > most and net is not None:
            made += _copied(fanout, net, most)
    return made


def _reset(cell: dict[str, Any]) -> Bit | None:
    """The net that resets a flip-flop with the clock, if one does."""
    (net,) = cell["connections"].get("LSR", ["0"])
    return net if isinstance(net, int) and cell["parameters"].get("SRMODE") != "ASYNC" else None


def _copied(fanout: Fanout, net: Bit, most: int) -> int:
    ends, cells = fanout.ends[net], fanout.cells
    clocks = {
        cells[end.cell]["connections"]["CLK"][0]
        for end in ends
        if cells[end.cell]["type"] == FLIP_FLOP
    }
    if len(clocks) != 1 or not {end.port for end in ends} <= {*_ENDS}:
        return 0
    (clock,), groups = clocks, fanout.groups(ends, most)
    for number, group in enumerate(groups):
        copy = fanout.new_net()
        fanout.moved(group, copy)
        fanout.added(f"reset_copy_{net}_{number}", _flip_flop(clock, net, copy))
    return len(groups)


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
