"""Constants that nextpnr would bring by wires from one table: resets, enables and choices of
multipliers, and addresses of small memories. Each group of neighbours gets a table of its own.

A net of a constant has ends all over the chip, some where wires are few, and routing may never end.
"""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from esca.accelerator.rtl.fanout import End, Fanout
from esca.accelerator.rtl.floor_plan import multiplier_group
from esca.accelerator.rtl.hard_registers import Cell

MEMORY_ENDS = 32
"""Address bits of small memories that share a table; nextpnr makes up to four ends of each."""

_MULTIPLIER, _MEMORY = "MULT18X18D", "TRELLIS_DPR16X4"
_WIRED = ("CE", "RST", "SIGNED", "SOURCE")
"""How ports of a multiplier begin whose constants have no bits of the configuration."""


def with_local_constants(module: dict[str, Any], sites: Mapping[str, str]) -> int:
    """Give constants of multipliers and small memories of a mapped module (Yosys' JSON) tables, in
    place; returns how many. ``sites``: of multipliers by cell; those of a group share their tables,
    since a group takes four enables and four resets. One without a site is left as it is.
    """
    fanout, made = Fanout(module), 0
    for value in "01":
        by_site: dict[str, list[End]] = defaultdict(list)
        addresses: list[End] = []
        for end in fanout.ends[value]:
            kind = fanout.cells[end.cell]["type"]
            if kind == _MEMORY:
                addresses.append(end)
            elif kind == _MULTIPLIER and end.port.startswith(_WIRED) and end.cell in sites:
                by_site[multiplier_group(sites[end.cell])].append(end)
        groups = [*by_site.values(), *fanout.groups(addresses, MEMORY_ENDS)]
        for number, group in enumerate(groups):
            net = fanout.new_net()
            fanout.moved(group, net)
            fanout.added(f"constant_{value}_{number}", _table(value, net))
        made += len(groups)
    return made


def _table(value: str, net: int) -> Cell:
    inputs = dict.fromkeys("ABCD", "input")
    return {
        "hide_name": 0,
        "type": "LUT4",
        "parameters": {"INIT": 16 * value},
        "attributes": {},
        "port_directions": {**inputs, "Z": "output"},
        "connections": {**{port: ["0"] for port in inputs}, "Z": [net]},
    }
