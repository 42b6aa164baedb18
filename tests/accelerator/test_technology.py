from itertools import pairwise
from math import exp, log

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from esca.accelerator.technology import (
    CORRECTED,
    NODES,
    NOTHING,
    Energies,
    Estimate,
    Factor,
    Hardware,
    figure,
    is_derived,
    load_technology,
    parse_technology,
    technology_hash,
)
from esca.errors import EscaError

TABLE = load_technology("default")


def shipped() -> dict:
    from importlib import resources

    path = resources.files("esca.accelerator") / "technologies" / "default.yaml"
    return yaml.safe_load(path.read_text())


def test_cited_figures_are_taken_as_they_are() -> None:
    assert figure(TABLE.energy, "multiply_8bit", 45).value == 0.2
    assert figure(TABLE.energy, "sram_1_mb", 7).value == 14
    assert not is_derived(TABLE.energy.add_32bit, 7)
    assert is_derived(TABLE.energy.add_32bit, 28)


def test_a_node_between_two_lies_on_their_power_law() -> None:
    p = log(0.2 / 0.07) / log(45 / 7)
    assert figure(TABLE.energy, "multiply_8bit", 28).value == pytest.approx(0.07 * 4**p)


def test_gates_follow_the_constant_that_the_table_names() -> None:
    cells = TABLE.area.sram_bit.at
    assert figure(TABLE.area, "nand2", 7).value == pytest.approx(0.614 * cells[7] / cells[28])
    energy = [figure(TABLE.energy, "nand2", node).value for node in NODES]
    adds = [figure(TABLE.energy, "add_8bit", node).value for node in NODES]
    assert [a / b for a, b in zip(energy, adds, strict=True)] == pytest.approx(
        [energy[0] / adds[0]] * 3
    )


def test_everything_shrinks_with_the_node_and_lies_in_its_bounds() -> None:
    for group in (TABLE.energy, TABLE.area):
        for name in vars(group):
            figures = [figure(group, name, node) for node in (45, 28, 7)]
            assert all(a.value >= b.value for a, b in pairwise(figures))
            assert all(f.low <= f.value <= f.high for f in figures)


def test_rules_meet_the_cited_figures() -> None:
    prices = Energies(TABLE, 45)
    assert prices.multiply(8, 8).value == 0.2
    assert prices.multiply(4, 4).value == pytest.approx(0.05)
    # Horowitz has 3.1 pJ for 32 x 32 bits, which the table does not contain.
    assert prices.multiply(32, 32).value == pytest.approx(3.1, rel=0.04)
    assert (prices.add(8).value, prices.add(32).value) == (0.03, 0.1)
    assert prices.add(20).value == pytest.approx(0.065)
    for size, word in ((8192, 10), (32768, 20), (2**20, 100)):
        assert prices.sram(size, "x").value == pytest.approx(word / 8)
    assert prices.sram(16384, "x").value == pytest.approx(exp((log(10) + log(20)) / 2) / 8)
    assert prices.dram().value == 64


@given(st.floats(1024, 4e6), st.floats(1.0, 1.9))
def test_larger_banks_cost_more(size: float, factor: float) -> None:
    prices = Energies(TABLE, 28)
    larger = min(size * factor, 4e6)
    assert prices.sram(size, "x").value <= prices.sram(larger, "x").value * (1 + 1e-9)


def test_the_hash_follows_figures() -> None:
    data = shipped()
    again = parse_technology(yaml.safe_dump(data), "x")
    assert technology_hash(again) == technology_hash(TABLE)
    data["energy"]["dram"]["at"][28] = 9.0
    assert technology_hash(parse_technology(yaml.safe_dump(data), "x")) != technology_hash(TABLE)


def test_corrections_by_part() -> None:
    table = load_technology("calibrated")
    assert (table.energy, table.area) == (TABLE.energy, TABLE.area)
    assert technology_hash(table) != technology_hash(TABLE)
    fixed = Hardware(
        array=Factor(2.0, 0.5, 2.0), epilogue=Factor(4.0), control=Factor(0.5, 0.9, 1.1)
    )
    one = Estimate(1.0, 0.5, 2.0)
    counted = dict.fromkeys((*CORRECTED, "upsample"), one)
    made = fixed.area(counted)
    assert made["adders"] == made["mux"] == Estimate(2.0, 0.5, 8.0)
    assert made["epilogue"] == Estimate(4.0, 2.0, 8.0)
    assert made["linear"] == made["upsample"] == one
    steered = (4 * 2 + 4 + 1, 4 * 0.5 + 2 + 0.5, 4 * 8 + 8 + 2)
    wanted = [0.5 * x * y for x, y in zip(steered, (1, 0.9, 1.1), strict=True)]
    control = made["control"]
    assert [control.value, control.low, control.high] == pytest.approx(wanted)
    assert TABLE.hardware.area(counted) == counted | {"control": NOTHING}


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("energy", "dram", "at"), {28: 8.0}, r"mine: energy.dram: .*`follows`"),
        (("energy", "dram", "at"), {14: 8.0}, r"mine: energy.dram.at.14"),
        (("energy", "dram", "high"), 0.5, r"mine: energy.dram.high"),
        (("energy", "leakage"), {}, r"mine: energy.leakage: Unexpected"),
        (("area", "nand2", "follows"), "wire", r"nand2 follows wire"),
        (("area", "nand2", "at"), {28: -1.0}, r"mine: area.nand2.at.28"),
    ],
)
def test_what_is_wrong_is_named(path: tuple[str, ...], value: object, message: str) -> None:
    data = shipped()
    inner = data
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    with pytest.raises(EscaError, match=message):
        parse_technology(yaml.safe_dump(data), "mine")


def test_missing_constants_and_banks_out_of_range_are_named() -> None:
    data = shipped()
    del data["energy"]["dram"]
    with pytest.raises(EscaError, match=r"mine: energy.dram: Field required"):
        parse_technology(yaml.safe_dump(data), "mine")
    with pytest.raises(EscaError, match="no constant 'leakage'"):
        figure(TABLE.energy, "leakage", 28)
    with pytest.raises(EscaError, match="weight_buffer: banks of 100 bytes"):
        Energies(TABLE, 28).sram(100, "weight_buffer")
    with pytest.raises(
        EscaError, match=r"technology.constants: 'foundry' is none of calibrated, default"
    ):
        load_technology("foundry")
