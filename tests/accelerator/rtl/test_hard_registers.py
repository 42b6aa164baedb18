"""Netlists do the same with registers inside their hard blocks as with registers around them."""

import numpy as np
import pytest

from esca.accelerator.rtl.hard_registers import Absorbed, absorb_registers, trim_carries
from esca.accelerator.rtl.netlist_names import name_cells

CLOCK, ENABLE, RESET = 2, 3, 4
CYCLES = 60


class Netlist:
    """Cells as Yosys writes them, each bit of a bus a net."""

    def __init__(self):
        self.next, self.cells, self.inputs, self.outputs = 5, {}, {}, {}

    def bus(self, width):
        bits = [*range(self.next, self.next + width)]
        self.next += width
        return bits

    def input(self, name, width):
        self.inputs[name] = self.bus(width)
        return self.inputs[name]

    def cell(self, kind, parameters, ins, outs):
        name = f"${kind}{len(self.cells)}"
        self.cells[name] = {
            "hide_name": 1,
            "type": kind,
            "parameters": parameters,
            "port_directions": dict.fromkeys(ins, "input") | dict.fromkeys(outs, "output"),
            "connections": {port: [bit] for port, bit in {**ins, **outs}.items()},
        }

    def register(self, data, enable="1", reset="0", start="RESET"):
        out = self.bus(len(data))
        mux = "1" if enable == "1" else "CE"
        for bit, q in zip(data, out, strict=True):
            wires = {"CLK": CLOCK, "DI": bit, "LSR": reset}
            if mux == "CE":
                wires["CE"] = enable
            settings = {"CEMUX": mux, "CLKMUX": "CLK", "REGSET": start}
            self.cell("TRELLIS_FF", settings, wires, {"Q": q})
        return out

    def product(self, a, b):
        """Of an unsigned and a signed operand of 8 bits."""
        out = self.bus(16)
        ins = {f"A{i}": bit for i, bit in enumerate([*a, *["0"] * (18 - len(a))])}
        ins |= {f"B{i}": bit for i, bit in enumerate([*b, *[b[-1]] * (18 - len(b))])}
        ins |= {"SIGNEDA": "1", "SIGNEDB": "1"}
        self.cell("MULT18X18D", {}, ins, {f"P{i}": bit for i, bit in enumerate(out)})
        return out

    def memory(self, address):
        """A word of a memory that holds its address times 3."""
        out = self.bus(8)
        ins = {f"ADA{i}": bit for i, bit in enumerate(address)}
        ins |= {"CLKA": CLOCK, "OCEA": "1", "RSTA": "0"}
        outs = {f"DOA{i}": bit for i, bit in enumerate(out)}
        self.cell("DP16KD", {"REGMODE_A": "NOREG"}, ins, outs)
        return out

    def module(self):
        ports = {n: {"direction": "input", "bits": b} for n, b in self.inputs.items()}
        ports |= {n: {"direction": "output", "bits": b} for n, b in self.outputs.items()}
        return {"ports": ports, "cells": self.cells, "netnames": {}}


def run(module, seed):
    """Outputs in each cycle, from random inputs and an enable that comes and goes."""
    rng = np.random.default_rng(seed)
    nets = {"0": 0, "1": 1}
    held = {name: {} for name in module["cells"]}
    seen = []

    def value(cell, prefix):
        ports = (p for p in cell["connections"] if p[: len(prefix)] == prefix)
        numbered = [p for p in ports if p[len(prefix) :].isdecimal()]
        bits = {int(p[len(prefix) :]): nets.get(cell["connections"][p][0], 0) for p in numbered}
        return sum(bit << i for i, bit in bits.items())

    def show(cell, prefix, word):
        for port, (bit,) in cell["connections"].items():
            if port.startswith(prefix) and port[len(prefix) :].isdecimal():
                nets[bit] = word >> int(port[len(prefix) :]) & 1

    def signed(word):
        return word - (word >> 17 << 18)

    def inner(cell, state):
        """What a DSP's output register takes, or its output."""
        a, b = (
            state.get(side, 0)
            if f"REG_INPUT{side}_CLK" in cell["parameters"]
            else value(cell, side)
            for side in "AB"
        )
        return signed(a) * signed(b) & (1 << 36) - 1

    for _ in range(CYCLES):
        for port in module["ports"].values():
            if port["direction"] == "input":
                nets |= dict(zip(port["bits"], rng.integers(0, 2, 64).tolist(), strict=False))
        nets[ENABLE] = int(rng.integers(0, 2))
        nets[RESET] = int(rng.integers(0, 4) == 0)
        for name, cell in module["cells"].items():
            if cell["type"] == "TRELLIS_FF":
                nets[cell["connections"]["Q"][0]] = held[name].get("q", 0)
            elif cell["type"] == "DP16KD":
                late = cell["parameters"]["REGMODE_A"] == "OUTREG"
                show(cell, "DOA", held[name].get("late" if late else "word", 0))
        for name, cell in module["cells"].items():
            if cell["type"] == "MULT18X18D":
                registered = "REG_OUTPUT_CLK" in cell["parameters"]
                show(cell, "P", held[name].get("p", 0) if registered else inner(cell, held[name]))
        seen.append([nets[bit] for p in module["ports"].values() for bit in p["bits"]])
        after = {}
        for name, cell in module["cells"].items():
            wires, state = cell["connections"], dict(held[name])

            def on(port, wires=wires, nets=nets):
                return nets[wires[port][0]] if port in wires else 1

            if cell["type"] == "TRELLIS_FF":
                if on("LSR") and wires["LSR"] != ["0"]:
                    state["q"] = 0
                elif on("CE"):
                    state["q"] = nets[wires["DI"][0]]
            elif cell["type"] == "DP16KD":
                state["word"] = value(cell, "ADA") * 3 & 255
                if on("OCEA"):
                    state["late"] = held[name].get("word", 0)
            else:
                if on("CE2"):
                    state["p"] = inner(cell, held[name])
                for number, side in enumerate("AB"):
                    if on(f"CE{number}"):
                        state[side] = value(cell, side)
            after[name] = state
        held = after
    return seen


def test_an_element_of_the_array():
    """A weight with an enable, an operand without, a product; the operand goes on as well."""
    made = Netlist()
    operand = made.register(made.input("x", 8))
    weight = made.register(made.input("w", 8), ENABLE)
    made.outputs["sum"] = made.register(made.product(operand, weight))
    made.outputs["passed"] = operand
    before = run(made.module(), 1)
    module = made.module()
    assert absorb_registers(module) == Absorbed(0, 1, 1)
    assert run(module, 1) == before
    kept = [cell for cell in module["cells"].values() if cell["type"] == "TRELLIS_FF"]
    assert [cell["connections"]["Q"][0] for cell in kept] == operand
    assert len({tuple(row) for row in before}) > CYCLES // 2


def test_a_memory_before_a_product():
    made = Netlist()
    word = made.register(made.memory(made.input("address", 8)))
    weight = made.register(made.input("w", 8))
    made.outputs["product"] = made.register(made.product(word, weight), ENABLE)
    before = run(made.module(), 2)
    module = made.module()
    assert absorb_registers(module) == Absorbed(1, 1, 0)
    assert run(module, 2) == before


@pytest.mark.parametrize("change", [{"reset": RESET}, {"start": "SET"}])
def test_what_stays_where_it_is(change):
    made = Netlist()
    operand = made.register(made.input("x", 8), **change)
    product = made.product(operand, made.register(made.input("w", 8)))
    made.outputs["late"] = made.register(product, **change)
    word = made.memory(made.input("address", 8))
    made.outputs["word"], made.outputs["again"] = made.register(word), word
    count = len(made.cells)
    module = made.module()
    assert absorb_registers(module) == Absorbed(0, 0, 0)
    assert len(module["cells"]) == count


def test_a_carry_that_nobody_takes_goes():
    made = Netlist()
    (a,), carries = made.input("a", 1), made.bus(4)
    for number in range(3):  # the last one's is an output, the first one's the next cell's
        ins = {"CIN": carries[number - 1] if number == 1 else "0", "A0": a}
        if number == 2:
            del ins["CIN"]
        made.cell("CCU2C", {}, ins, {"S0": made.bus(1)[0], "COUT": carries[number]})
    made.outputs["top"] = [carries[2]]
    module = made.module()
    assert trim_carries(module) == 1
    outs = [cell["connections"]["COUT"] for cell in module["cells"].values()]
    assert outs == [[carries[0]], ["x"], [carries[2]]]
    assert [*module["cells"].values()][2]["connections"]["CIN"] == ["x"]


def test_cells_are_called_after_what_they_drive():
    made = Netlist()
    out = made.register(made.input("x", 2))
    module = made.module() | {
        "netnames": {
            "inside.sum": {"hide_name": 0, "bits": out},
            "inside.deeper.sum_in": {"hide_name": 0, "bits": out},
            "$private": {"hide_name": 1, "bits": made.inputs["x"]},
        }
    }
    cells = [*module["cells"].values()]
    name_cells(module)
    assert [*module["cells"].values()] == cells
    assert all(name.startswith("inside.sum_TRELLIS_FF") for name in module["cells"])
    assert len(module["cells"]) == 2
