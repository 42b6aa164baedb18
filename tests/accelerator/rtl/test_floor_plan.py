"""The floor plan of an ECP5 85F."""

import re
from collections import Counter

import pytest

from esca.accelerator.rtl.floor_plan import planned

SITE = re.compile(r"X(\d+)/Y(\d+)/(EBR|MULT18_)(\d)$")


def machine(rows: int, columns: int, lanes: int, rams: dict[str, int]) -> dict:
    """Cells of a machine as mapping names them."""
    products = [
        f"inside.path.array.pe_{r}_{c}.product_M" for r in range(rows) for c in range(columns)
    ]
    products += [f"inside.drain.lane_{n}.register${i}_M" for n in range(lanes) for i in range(5)]
    products += [f"inside.linear.register${i}_M" for i in range(8)]
    memories = [f"inside.{part}.0.{i}" for part, count in rams.items() for i in range(count)]
    kinds = [(name, "MULT18X18D") for name in products] + [(name, "DP16KD") for name in memories]
    return {"cells": {name: {"type": kind} for name, kind in [*kinds, ("inside.x", "LUT4")]}}


RAMS = {
    "path.front.banks.bank_0": 64, "path.ring.memory": 16, "linear.weights": 30,
    "path.accumulators.bank_0": 16, "drain.constants": 27, "drain.extras": 16,
    "drain.results.slot_0": 32, "fetch.line_linear.line": 7,
}  # fmt: skip


def test_each_hard_block_has_a_site_of_its_own_kind() -> None:
    module = machine(8, 8, 8, RAMS)
    sites = planned(module)
    hard = {name: cell["type"] for name, cell in module["cells"].items() if cell["type"] != "LUT4"}
    assert sites.keys() == hard.keys()
    assert len(set(sites.values())) == len(hard) == 112 + 208
    # Rows and columns in which a placement of nextpnr's own (0.11.1) uses such sites.
    rows = {"DP16KD": {22, 46, 70, 82}, "MULT18X18D": {10, 34, 58}}
    for name, site in sites.items():
        x, y, kind, number = SITE.match(site).groups()
        assert int(y) in rows[hard[name]]
        assert kind == ("EBR" if hard[name] == "DP16KD" else "MULT18_")
        inside = (int(x) - (4 if int(x) < 66 else 6)) % 9
        assert inside == (2 * int(number) if kind == "EBR" else int(number))


def test_no_group_of_multipliers_has_more_than_three_elements() -> None:
    """A group takes four enables, and a constant one is one of them."""
    groups = Counter()
    for name, site in planned(machine(8, 8, 8, RAMS)).items():
        if ".pe_" in name:
            x, y, *_ = SITE.match(site).groups()
            groups[(int(x) - (4 if int(x) < 66 else 6)) // 9, y] += 1
    assert max(groups.values()) == 3 and len(groups) == 8 * 3


def test_neighbours_in_the_array_are_neighbours_on_the_chip() -> None:
    sites = planned(machine(8, 8, 8, RAMS))
    where = {
        tuple(map(int, found.groups())): tuple(map(int, SITE.match(site).groups()[:2]))
        for name, site in sites.items()
        if (found := re.search(r"pe_(\d+)_(\d+)", name))
    }
    for (row, column), (x, y) in where.items():
        if (row, column + 1) in where:
            assert (where[row, column + 1][0] - x, where[row, column + 1][1]) in ((9, y), (11, y))
        if (row + 1, column) in where:
            beside, below = where[row + 1, column]
            assert abs(beside - x) <= 5 and y - below in (0, 24)


@pytest.mark.parametrize(("rams", "rows"), [({"drain.constants": 209}, 4), ({}, 13)])
def test_what_does_not_fit_has_no_plan(rams: dict[str, int], rows: int) -> None:
    assert planned(machine(rows, 13 if rows == 13 else 4, 4, rams)) == {}


def test_a_small_machine_lies_together() -> None:
    sites = planned(machine(4, 4, 4, {"path.front.banks.bank_0": 16, "drain.constants": 4}))
    columns = [int(SITE.match(s)[1]) for n, s in sites.items() if ".pe_" in n or "banks" in n]
    assert max(columns) - min(columns) < 40
