"""The box around a design against a model of it, and nextpnr's report read right."""

import json
import re
from collections import Counter
from dataclasses import replace
from importlib import resources

import numpy as np
import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator

from esca.accelerator.rtl.boxed import Boxed
from esca.accelerator.rtl.hard_registers import Absorbed
from esca.accelerator.rtl.implement import (
    LOG,
    Implementation,
    Placed,
    _estimated,
    _placed,
    implement,
    part_of,
)
from esca.accelerator.rtl.implementation_table import (
    implementation_data,
    implementation_text,
    mux_text,
)
from esca.accelerator.rtl.mapping import MUXES, PRODUCTS, SUMS
from esca.accelerator.rtl.parts import part_of_machine
from esca.accelerator.rtl.tools import NEXTPNR, run_yosys
from esca.errors import EscaError

BOTH = """
module NAME (input [3:0] a, input signed [3:0] b, input [1:0] s, output signed [7:0] y, output z);
    wire signed [4:0] wide = {1'b0, a};
    assign y = wide * b;
    assign z = s[1] ? (s[0] ? a[3] : a[2]) : (s[0] ? a[1] : a[0]);
endmodule
"""


class Twisted(wiring.Component):
    """Three bits out, made of two in."""

    a: In(1)
    b: In(1)
    out: Out(3)

    def elaborate(self, platform):
        m = Module()
        m.d.comb += [self.out[0].eq(self.a & self.b), self.out[1].eq(~self.a)]
        m.d.comb += self.out[2].eq(self.b)
        return m


def test_every_port_lies_in_the_chain():
    box = Boxed(Twisted(), "twisted")
    assert box.registers == 1 + 2 + 3
    bits = np.random.default_rng(0).integers(0, 2, 60)
    taken, told, expected = [0, 0], [0, 0, 0, 0], []
    for bit in bits:
        a, b = taken
        given = [a & b, 1 - a, b]
        expected.append(told[-1])
        told = [taken[-1], *(g ^ t for g, t in zip(given, told[:-1], strict=True))]
        taken = [int(bit), taken[0]]
    found = []

    async def drive(context):
        for bit in bits:
            context.set(box.fed, int(bit))
            found.append(context.get(box.told))
            await context.tick()

    simulator = Simulator(box)
    simulator.add_clock(1e-6)
    simulator.add_testbench(drive)
    simulator.run()
    assert found == expected
    assert len(set(found[10:])) == 2


def _proved(folder, text, maps, *mapping):
    """Yosys proves that what ``mapping`` makes of a module does the same; ``maps``: files of it."""
    for name in maps:
        (folder / name).write_text((resources.files("esca.accelerator.rtl") / name).read_text())
    for name in ("wanted", "mapped"):
        (folder / f"{name}.v").write_text(text.replace("NAME", name))
    run_yosys(
        [
            *("read_verilog wanted.v", "read_verilog mapped.v", "proc", *mapping),
            *("read_verilog -overwrite +/lattice/cells_sim_ecp5.v", "hierarchy", "proc"),
            *("flatten mapped", "miter -equiv -flatten -make_assert wanted mapped miter"),
            "sat -verify -prove-asserts miter",
        ],
        folder,
    )


def test_cells_of_the_device_make_the_same_products_and_choices(tmp_path):
    _proved(
        tmp_path,
        BOTH,
        (PRODUCTS, MUXES),
        *(f"techmap -map {PRODUCTS} mapped", "select -assert-none mapped/t:$mul"),
        *("simplemap mapped", "muxcover -mux4 mapped", "select -assert-count 1 t:$_MUX4_"),
        *(f"techmap -map {MUXES} mapped", "select -assert-count 2 mapped/t:LUT4"),
    )


COMPARED = """
module NAME (input signed [LAST:0] a, b, output signed [LAST:0] y, z, w, output l, g, e);
    assign y = a + b;
    assign z = a - b;
    assign w = a + $signed(5'd11);
    assign l = a < b;
    assign g = $unsigned(a) >= $unsigned(b);
    assign e = $signed(b[LAST-2:0]) <= $signed(a[LAST-2:0]);
endmodule
"""


@pytest.mark.parametrize(("bits", "cells"), [(7, 3 * 4 + 3), (8, 3 * 5 + 4)])
def test_sums_need_no_cell_for_what_is_carried(tmp_path, bits, cells):
    """One serves a difference and what compares. No constant goes into a chain, and nothing else
    takes a carry that a cell takes.
    """
    _proved(
        tmp_path,
        COMPARED.replace("LAST", str(bits - 1)),
        (SUMS,),
        *("alumacc mapped", "select -assert-count 4 mapped/t:$alu", f"techmap -map {SUMS} mapped"),
        *("opt mapped", "select -assert-none mapped/t:$alu", "tee -q -o cells.txt stat mapped"),
        *("simplemap mapped", "abc -g simple mapped", "opt_clean mapped"),
        "write_json mapped.json",
    )
    (found,) = re.findall(r"(\d+)\s+CCU2C|CCU2C\s+(\d+)", (tmp_path / "cells.txt").read_text())
    assert int("".join(found)) == cells
    made = json.loads((tmp_path / "mapped.json").read_text())["modules"]["mapped"]["cells"]
    taken = Counter(
        (bit, cell["type"] == "CCU2C" and port == "CIN")
        for cell in made.values()
        for port, bits in cell["connections"].items()
        if port not in ("COUT", "S0", "S1", "Y")
        for bit in bits
    )
    carries = {bit for bit, chain in taken if chain}
    assert carries and carries.isdisjoint("01")
    assert not any(taken[bit, False] for bit in carries)


def _stretch(kind, cell, delay):
    return {"type": kind, "delay": delay, "to": {"cell": cell}}


REPORT = {
    "fmax": {"$glbnet$clk": {"achieved": 151.5, "constraint": 150}},
    "critical_paths": [
        {"from": "<async>", "to": "posedge clk", "path": [_stretch("logic", "pin", 90.0)]},
        {
            "from": "posedge clk",
            "to": "posedge clk",
            "path": [
                _stretch("clk-to-q", "inside.array.pe_1_2.sum_TRELLIS_FF_Q_3", 0.5),
                _stretch("routing", "inside.array.pe_1_2.sum_LUT4_A_Z", 1.25),
                _stretch("logic", "inside.array.pe_1_2.sum_LUT4_A_Z", 0.25),
                _stretch("routing", "inside.drain.lane$slice", 2.0),
                _stretch("setup", "inside.drain.lane$slice", 0.0),
            ],
        },
    ],
}


def test_the_slowest_path_is_told_by_part():
    placed = _placed(7, REPORT)
    assert (placed.seed, placed.fmax_hertz) == (7, 151.5e6)
    steps = [(step.part, step.logic, step.routing) for step in placed.path]
    assert steps == [("inside.array.pe_1_2.sum", 0.75, 1.25), ("inside.drain.lane", 0.0, 2.0)]
    assert part_of("a.b_reg_TRELLIS_FF_Q") == "a.b_reg"


def test_table():
    made = Implementation(
        "array",
        "85k",
        6,
        {"LUT4": 12},
        {"LUT4": 48},
        5,
        Absorbed(1, 2, 3),
        (_placed(1, REPORT), _placed(2, REPORT)),
        routed=True,
    )
    data, text = implementation_data(made), implementation_text(made)
    assert data["fmax_mhz"] == 151.5
    assert data["placed"][1]["critical_path"][1]["routing_ns"] == 2.0
    assert "12 of 48 (25.0%)" in text
    assert "151.5, 151.5" in text and "sum" in text
    only_placed = replace(made, routed=False)
    assert implementation_text(only_placed).endswith("estimated behind placement")
    assert implementation_data(only_placed)["routed"] is False


class Held(wiring.Component):
    """A bit, a cycle later."""

    a: In(1)
    out: Out(1)

    def elaborate(self, platform):
        m = Module()
        m.d.sync += self.out.eq(self.a)
        return m


FAKE = """#!/bin/sh
while [ $# -gt 0 ]; do
    case $1 in --seed) seed=$2;; --report) report=$2;; --speed) speed=$2;; esac
    shift
done
test -s design.json && printf '%s' '{"fmax": {"clk": {"achieved": '$speed$seed'}},
  "critical_paths": [], "utilization": {"TRELLIS_FF": {"used": 7, "available": 9}}}' > "$report"
"""


def test_each_seed_is_told_when_it_ends(tmp_path, monkeypatch):
    tool = tmp_path / "nextpnr"
    tool.write_text(FAKE)
    tool.chmod(0o755)
    monkeypatch.setenv(NEXTPNR, str(tool))
    told, counted = [], []
    made = implement(
        Held(), "held", seeds=(4, 2), speed=7,
        progress=lambda *at: counted.append(at), finished=told.append,
    )  # fmt: skip
    assert tuple(told) == made.placed == (Placed(4, 74e6, ()), Placed(2, 72e6, ()))
    assert counted == [(1, 3), (2, 3), (3, 3)]
    assert (made.best.seed, made.worst.seed, made.used["flip-flops"]) == (4, 2, 7)
    assert (made.available["flip-flops"], made.used["DSP"], made.box_registers) == (9, 0, 3)


def test_a_seed_that_does_not_end_is_left_out(tmp_path, monkeypatch):
    tool = tmp_path / "nextpnr"
    tool.write_text(FAKE.replace("done\n", 'done\ntest "$seed" = 3 && exec sleep 60\n'))
    tool.chmod(0o755)
    monkeypatch.setenv(NEXTPNR, str(tool))
    made = implement(Held(), "held", seeds=(3, 2), seconds=1.5)
    assert (made.unfinished, [one.seed for one in made.placed]) == ((3,), [2])
    text = implementation_text(replace(made, used={"DSP": 1}, available={"DSP": 9}))
    assert "not ended in time: seed 3" in text
    assert implementation_data(made)["unfinished"] == [3]
    with pytest.raises(EscaError, match=r"held: no seed of \[3\] ended within 1\.5 s"):
        implement(Held(), "held", seeds=(3,), seconds=1.5)


def test_machines_side_by_side():
    plain = Implementation(
        "array", "85k", 6, {"LUT4": 10, "DSP": 0}, {"LUT4": 48, "DSP": 1}, 5, Absorbed(1, 2, 3),
        (_placed(1, REPORT),), routed=True,
    )  # fmt: skip
    lines = mux_text((replace(plain, used={"LUT4": 12, "DSP": 0}), plain), ("4", "1")).splitlines()
    assert [line.split() for line in lines[:3]] == [
        ["array.mux_width", "4", "1", "more"],
        ["LUT4", "12", "10", "20.0%"],
        ["DSP", "0", "0", "-"],
    ]


def test_the_clock_behind_placement_is_the_last_that_the_log_names(tmp_path):
    line = "Info: Max frequency for clock '$glbnet$clk': {} MHz (FAIL at 150.00 MHz)\n"
    (tmp_path / LOG).write_text(line.format("80.50") + "Info: else\n" + line.format("63.57"))
    assert _estimated(3, tmp_path) == Placed(3, 63.57e6, ())
    (tmp_path / LOG).write_text("Info: nothing\n")
    with pytest.raises(EscaError, match="its log names no clock"):
        _estimated(3, tmp_path)


def test_bad_input():
    with pytest.raises(EscaError, match="device '12k', expected one of 25k, 45k, 85k"):
        implement(None, "twisted", "12k")
    with pytest.raises(EscaError, match="speed grade 9, expected one of 6, 7, 8"):
        implement(None, "twisted", speed=9)
    with pytest.raises(EscaError, match="seeds are empty"):
        implement(None, "twisted", seeds=())
    with pytest.raises(EscaError, match="part 'gpu', expected one of top, path"):
        part_of_machine(None, "gpu")
    with pytest.raises(EscaError, match="3 clocks"):
        _placed(1, {"fmax": {"a": 1, "b": 2, "c": 3}})
