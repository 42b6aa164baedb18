"""Copies of a register do in every cycle what it does, and each drives neighbours."""

from collections import Counter
from copy import deepcopy

import numpy as np
import pytest

from esca.accelerator.rtl.copies import with_copies
from esca.accelerator.rtl.fanout import End, Fanout

CLOCK, OTHER, DATA, ENABLE, RESET, GIVEN, SOURCE, SHARED = range(2, 10)
FREE = 20


def flip_flop(data, out, *, clock=CLOCK, enable=None, reset="0", start="RESET", mode="LSR_OVER_CE"):
    wires = {"CLK": [clock], "DI": [data], "LSR": [reset], "Q": [out]}
    if enable is not None:
        wires["CE"] = [enable]
    return {
        "type": "TRELLIS_FF",
        "parameters": {
            "CEMUX": "1" if enable is None else "CE",
            "REGSET": start,
            "SRMODE": mode,
        },
        "attributes": {"src": "a.py:1"},
        "port_directions": {p: "output" if p == "Q" else "input" for p in wires},
        "connections": wires,
    }


def xor(first, second, out):
    return {
        "type": "LUT4",
        "parameters": {},
        "port_directions": {"A": "input", "B": "input", "Z": "output"},
        "connections": {"A": [first], "B": [second], "Z": [out]},
    }


def design(words, bits, **settings):
    """A register that all bits of ``words`` registers take as their enable, which shift; a table
    takes it, too, and it is an output. Names of cells tell nothing, those of nets do.
    """
    cells = {"given": xor(DATA, ENABLE, GIVEN), "source": flip_flop(GIVEN, SOURCE)}
    cells["shared"] = flip_flop(settings.pop("data", SOURCE), SHARED, **settings)
    numbers = np.random.default_rng(0).permutation(words * bits)
    names = {f"word_{word}": [] for word in range(words)}
    for number in range(words * bits):
        out = FREE + 2 * number
        start = ("RESET", "SET")[numbers[number] % 2]
        cells[f"$held${numbers[number]}"] = flip_flop(out + 1, out, enable=SHARED, start=start)
        cells[f"$table${numbers[number]}"] = xor(max(out - 2, FREE), DATA, out + 1)
        names[f"word_{number // bits}"].append(out)
    last = FREE + 2 * words * bits
    cells["table"] = xor(SHARED, DATA, last)
    outs = [SHARED, last, *range(FREE, last, 2)]
    ports = {
        "in": {"direction": "input", "bits": [CLOCK, OTHER, DATA, ENABLE, RESET]},
        "out": {"direction": "output", "bits": outs},
    }
    names["xor"] = [last]
    nets = {name: {"hide_name": 0, "bits": bits} for name, bits in names.items()}
    return {"cells": cells, "ports": ports, "netnames": nets}


def run(module, cycles=60):
    """Outputs in each cycle, from random inputs."""
    rng = np.random.default_rng(1)
    flip_flops = {n: c for n, c in module["cells"].items() if c["type"] == "TRELLIS_FF"}
    held = {n: int(c["parameters"]["REGSET"] == "SET") for n, c in flip_flops.items()}
    seen = []
    for _ in range(cycles):
        nets = {"0": 0, "1": 1}
        nets |= {c["connections"]["Q"][0]: held[n] for n, c in flip_flops.items()}
        nets |= dict(zip((DATA, ENABLE), rng.integers(0, 2, 2), strict=True))
        for cell in module["cells"].values():
            if cell["type"] == "LUT4":
                a, b, z = (cell["connections"][port][0] for port in "ABZ")
                nets[z] = nets[a] ^ nets[b]
        seen.append([nets[bit] for bit in module["ports"]["out"]["bits"]])
        for name, cell in flip_flops.items():
            wires = cell["connections"]
            start = int(cell["parameters"]["REGSET"] == "SET")
            if nets[wires["LSR"][0]]:
                held[name] = start
            elif "CE" not in wires or nets[wires["CE"][0]]:
                held[name] = nets[wires["DI"][0]]
    return np.array(seen)


def taken(module):
    """How many take each net of a flip-flop."""
    loads = Counter(
        bit
        for cell in module["cells"].values()
        for port, bits in cell["connections"].items()
        if cell["port_directions"][port] == "input"
        for bit in bits
    )
    cells = module["cells"].items()
    return {n: loads[c["connections"]["Q"][0]] for n, c in cells if c["type"] == "TRELLIS_FF"}


KINDS = [{}, {"enable": SOURCE}, {"reset": SOURCE, "data": "1"}, {"start": "SET"}]


@pytest.mark.parametrize("settings", KINDS)
@pytest.mark.parametrize(("words", "most", "copies"), [(4, 11, 3), (4, 41, 0), (5, 50, 1)])
def test_copies_do_the_same(settings, words, most, copies):
    before = design(words, 10, **settings)
    module = deepcopy(before)
    assert with_copies(module, most) == copies
    np.testing.assert_array_equal(run(module), run(before))
    assert len(np.unique(run(module), axis=0)) > 10
    assert max(taken(module).values()) <= max(most, copies + 1)
    first = module["cells"]["shared"]
    for number in range(copies):
        copy = module["cells"][f"shared_copy_{number}"]
        assert {**copy, "connections": None} == {**first, "connections": None}
        wires = copy["connections"] | {"Q": [SHARED]}
        assert wires == first["connections"]
    assert (module == before) is (copies == 0)


def test_a_copy_drives_neighbours():
    module = design(3, 10)
    with_copies(module, 11)
    words = {bit: name for name, net in module["netnames"].items() for bit in net["bits"]}
    groups = {}
    for cell in module["cells"].values():
        wires = cell["connections"]
        if "CE" in wires:
            groups.setdefault(wires["CE"][0], set()).add(words[wires["Q"][0]])
    assert sorted(map(sorted, groups.values())) == [["word_0"], ["word_1"], ["word_2"]]


@pytest.mark.parametrize(
    "settings",
    [
        {"data": DATA},
        {"data": GIVEN},
        {"enable": ENABLE},
        {"reset": RESET},
        {"reset": SOURCE, "mode": "ASYNC"},
        {"data": FREE, "clock": OTHER},
    ],
)
def test_what_may_change_near_the_clock_is_caught_once(settings):
    module = design(2, 10, **settings)
    before = deepcopy(module)
    assert with_copies(module, 5) == 0
    assert module == before


def test_a_clock_is_not_copied():
    module = design(2, 10)
    module["cells"]["behind"] = flip_flop(DATA, 11, clock=SHARED)
    assert with_copies(module, 5) == 0


def carry(name, below, other):
    """A cell of a sum: its first takes nothing."""
    wires = {"CIN": below, "A1": other, "B1": SHARED, "S1": f"{name} sum"}
    return {
        "type": "CCU2C",
        "port_directions": {port: "output" if port == "S1" else "input" for port in wires},
        "connections": {port: [bit] for port, bit in wires.items()},
    }


@pytest.mark.parametrize(("second", "copies"), [("x", 2), (12, 0)])
def test_each_sum_that_begins_with_a_bit_has_a_copy(second, copies):
    """But where it is also a higher bit of one, which others come to, it is one."""
    module = design(0, 0)
    del module["cells"]["table"]
    below = {"first": "x", "second": second, "third": "x"}
    sums = {name: carry(name, bit, SOURCE) for name, bit in below.items()}
    module["cells"] |= deepcopy(sums)
    assert with_copies(module) == copies
    taken = [module["cells"][name]["connections"]["B1"][0] for name in sums]
    assert len(set(taken)) == copies + 1 and SHARED in taken
    drivers = {
        cell["connections"]["Q"][0]: cell
        for cell in module["cells"].values()
        if "Q" in cell["connections"]
    }
    for bit in taken:
        assert drivers[bit]["connections"] | {"Q": [SHARED]} == drivers[SHARED]["connections"]


def test_no_end_of_a_bus_is_forgotten():
    module = design(1, 2)
    module["cells"]["memory"] = {
        "type": "TRELLIS_DPR16X4",
        "port_directions": {"RAD": "input"},
        "connections": {"RAD": ["0", SHARED, SHARED, SOURCE]},
    }
    fanout = Fanout(module)
    assert [*fanout.ends[SHARED]][-2:] == [End("memory", "RAD", 1), End("memory", "RAD", 2)]
    net = fanout.new_net()
    fanout.moved([End("memory", "RAD", 2)], net)
    assert module["cells"]["memory"]["connections"]["RAD"] == ["0", SHARED, net, SOURCE]
    assert net == FREE + 4 + 1
    assert [*fanout.ends[net]] == [End("memory", "RAD", 2)]
