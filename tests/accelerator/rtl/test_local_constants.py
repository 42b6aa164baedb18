"""Constants come from tables of the group, and are the same constants."""

import re
from collections import Counter
from copy import deepcopy

import pytest

from esca.accelerator.rtl.floor_plan import multiplier_group
from esca.accelerator.rtl.local_constants import MEMORY_ENDS, with_local_constants

SITES = ["X4/Y58/MULT18_0", "X5/Y58/MULT18_1", "X8/Y58/MULT18_4", "X4/Y34/MULT18_0"]
WIRED = {"CE0": "1", "CE1": 9, "RST0": "0", "RST1": "0", "SIGNEDA": "1", "SOURCEB": "0"}
PLAIN = {"CLK0": 2, "CLK1": "0", "A3": "0", "A4": "1", "C7": "0"}


def design():
    """Multipliers by their site, one without; memories of a queue; a table that stays."""
    cells = {
        f"product{site}": {
            "type": "MULT18X18D",
            "port_directions": dict.fromkeys(WIRED | PLAIN, "input"),
            "connections": {port: [bit] for port, bit in (WIRED | PLAIN).items()},
        }
        for site in [*SITES, "none"]
    }
    for number in range(20):
        cells[f"queue.{number}"] = {
            "type": "TRELLIS_DPR16X4",
            "port_directions": {"RAD": "input", "WAD": "input", "WCK": "input", "DO": "output"},
            "connections": {"RAD": [3, 4, 5, "0"], "WAD": [6, 7, 8, "0"], "WCK": [2], "DO": [10]},
        }
    cells["table"] = {
        "type": "LUT4",
        "port_directions": {"A": "input", "Z": "output"},
        "connections": {"A": ["0"], "Z": [11]},
    }
    return {"cells": cells, "ports": {}, "netnames": {}}


def values(module):
    """Each input's constant, or its net, with tables of constants read."""
    tables = {
        cell["connections"]["Z"][0]: cell["parameters"]["INIT"]
        for name, cell in module["cells"].items()
        if name.startswith("constant_")
    }
    assert all(init in (16 * "0", 16 * "1") for init in tables.values())
    return {
        (name, port, at): tables[bit][0] if bit in tables else bit
        for name, cell in module["cells"].items()
        if not name.startswith("constant_")
        for port, bits in cell["connections"].items()
        for at, bit in enumerate(bits)
    }


def test_each_group_has_its_constants():
    before = design()
    module = deepcopy(before)
    sites = {f"product{site}": site for site in SITES}
    assert with_local_constants(module, sites) == 2 * 2 + 2
    assert values(module) == values(before)
    moved, groups = {}, {}
    for name, cell in module["cells"].items():
        for port, bits in cell["connections"].items():
            for old, bit in zip(
                before["cells"].get(name, cell)["connections"][port], bits, strict=True
            ):
                if old != bit:
                    moved.setdefault(bit, []).append((name, port))
                    groups.setdefault(bit, set()).add(re.sub(r"\.\d+", "", name))
    assert sorted(map(sorted, groups.values())) == [
        *[["productX4/Y34/MULT18_0"]] * 2,
        *[sorted(f"product{site}" for site in SITES[:3])] * 2,
        *[["queue"]] * 2,
    ]
    taken = Counter(port for ends in moved.values() for _, port in ends)
    wired = {port: len(SITES) for port, bit in WIRED.items() if isinstance(bit, str)}
    assert taken == wired | {"RAD": 20, "WAD": 20}
    assert max(len(ends) for ends in moved.values()) <= MEMORY_ENDS
    assert module["cells"]["productnone"] == before["cells"]["productnone"]
    assert module["cells"]["table"] == before["cells"]["table"]


@pytest.mark.parametrize(
    ("site", "group"), [("X13/Y10/MULT18_0", "X13/Y10"), ("X109/Y34/MULT18_4", "X105/Y34")]
)
def test_a_group_begins_at_its_first_site(site, group):
    assert multiplier_group(site) == group
