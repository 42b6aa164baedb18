"""A reset that many take reaches all of them in one cycle, a cycle later."""

from itertools import pairwise

import numpy as np
import pytest

from esca.accelerator.rtl.reset_tree import with_reset_tree

CLOCK, RESET, DATA = 2, 3, 4


def flip_flop(data, reset, out, mode="LSR_OVER_CE", clock=CLOCK):
    return {
        "type": "TRELLIS_FF",
        "parameters": {"SRMODE": mode, "REGSET": "RESET"},
        "port_directions": {"CLK": "input", "DI": "input", "LSR": "input", "Q": "output"},
        "connections": {"CLK": [clock], "DI": [data], "LSR": [reset], "Q": [out]},
    }


def design(count):
    """A chain of flip-flops; a table that takes their reset, too."""
    cells = {
        f"part{number // 7}.held{number}": flip_flop(DATA + number, RESET, DATA + number + 1)
        for number in range(count)
    }
    cells["table"] = {
        "type": "LUT4",
        "parameters": {},
        "port_directions": {"A": "input", "Z": "output"},
        "connections": {"A": [RESET], "Z": [DATA + count + 1]},
    }
    return {"ports": {}, "cells": cells, "netnames": {}}


def run(module, resets, data):
    """Bits of the chain, and the table's, in each cycle."""
    cells, held, seen = module["cells"], {}, []
    for reset, value in zip(resets, data, strict=True):
        nets = {RESET: reset, DATA: value, "0": 0}
        for name, cell in cells.items():
            if cell["type"] == "TRELLIS_FF":
                begins = int(cell["parameters"]["REGSET"] == "SET")
                nets[cell["connections"]["Q"][0]] = held.get(name, begins)
        nets |= {
            cell["connections"]["Z"][0]: nets[cell["connections"]["A"][0]]
            for cell in cells.values()
            if cell["type"] == "LUT4"
        }
        seen.append([nets[bit] for bit in sorted(b for b in nets if b != "0" and b > DATA)])
        for name, cell in cells.items():
            if cell["type"] == "TRELLIS_FF":
                wires = cell["connections"]
                held[name] = 0 if nets[wires["LSR"][0]] else nets[wires["DI"][0]]
    return np.array(seen)


@pytest.mark.parametrize(("count", "copies"), [(40, 6), (8, 0), (9, 2)])
def test_all_are_reset_a_cycle_later(count, copies):
    rng = np.random.default_rng(count)
    resets = (rng.random(80) < 0.2).astype(int).tolist()
    data = rng.integers(0, 2, 80).tolist()
    before, module = design(count), design(count)
    assert with_reset_tree(module, 8) == copies
    late = resets if not copies else [1, *resets[:-1]]
    wanted, found = run(before, late, data), run(module, resets, data)
    np.testing.assert_array_equal(found[:, : count + 1], wanted[:, : count + 1])
    ends = [
        wires["LSR"][0] if (wires := cell["connections"]).get("LSR") else wires["A"][0]
        for name, cell in module["cells"].items()
        if not name.startswith("reset_copy")
    ]
    assert max(ends.count(net) for net in set(ends)) <= 9 - bool(copies)
    if copies:
        assert RESET not in ends
        parts = [net for a, b in pairwise(ends[:count]) for net in (b,) if a != b]
        assert len(parts) == len(set(parts)) == copies - 1  # neighbours share one


def test_what_is_no_common_reset_stays():
    several = {
        f"held{n}": flip_flop(DATA + n, RESET, DATA + n + 1, clock=90 + n % 2) for n in range(20)
    }
    waits = {f"held{n}": flip_flop(DATA + n, RESET, DATA + n + 1, mode="ASYNC") for n in range(20)}
    none = {f"held{n}": flip_flop(DATA + n, "0", DATA + n + 1) for n in range(20)}
    for cells in (several, waits, none):
        assert with_reset_tree({"cells": cells, "ports": {}, "netnames": {}}, 8) == 0
        assert not any(name.startswith("reset_copy") for name in cells)
