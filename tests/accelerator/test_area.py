from dataclasses import replace

import pytest

from esca.accelerator import AcceleratorConfig, load_config, preset_names
from esca.accelerator.area import ARRAY_BLOCKS, adder, area, gate_counts, multiplexer, multiplier
from esca.accelerator.technology import load_technology


def test_gates_by_hand() -> None:
    """A 2 x 2 multiplier: four ANDs of two NAND2, one row of two full adders."""
    assert (multiplier(2, 2).nand2, multiplier(2, 2).xor2) == (4 * 2 + 2 * 3, 2 * 2)
    assert (adder(8).nand2, adder(8).xor2, adder(8).flip_flop) == (24, 16, 0)
    assert multiplexer(4, 16).nand2 == 3 * 3 * 16
    assert multiplexer(1, 16).nand2 == 0


def test_blocks_by_hand() -> None:
    made = area(load_config("dense-16x16"), 28)
    bits = 8 * 524288
    assert made.blocks["activation_buffer"].value == pytest.approx(bits * 0.127 * 1.8e-6)
    # A place: 16-bit operand, two sets of weights, sums of 8 + 8 + log2(16) bits.
    place = 3 * 16 + 20
    assert made.blocks["registers"].value == pytest.approx(256 * place * 3.68e-6)
    assert made.blocks["mux"].value == 0


@pytest.mark.parametrize("name", preset_names())
def test_totals_and_scaling(name: str) -> None:
    config = load_config(name)
    made = [area(config, node) for node in (45, 28, 7)]
    assert made[0].total.value > made[1].total.value > made[2].total.value
    for estimate in made:
        assert estimate.blocks["control"].value == 0
        total = sum(block.value for block in estimate.blocks.values())
        assert estimate.total.value == pytest.approx(total)
        assert estimate.total.low <= estimate.total.value <= estimate.total.high
        parts = sum(estimate.blocks[block].value for block in ARRAY_BLOCKS)
        assert estimate.array.value == pytest.approx(parts)


def test_hardware_corrects_logic_and_no_memory() -> None:
    config = load_config("ecp5-8x8")
    technology = replace(config.technology, constants="calibrated")
    before, after = area(config), area(replace(config, technology=technology))
    share = load_technology("calibrated").hardware
    assert after.array.value == pytest.approx(share.array.value * before.array.value)
    assert after.blocks["activation_buffer"] == before.blocks["activation_buffer"]
    stored = before.blocks["linear"].value - before.logic["linear"].value
    assert stored > 0
    wanted = stored + share.linear.value * before.logic["linear"].value
    assert after.blocks["linear"].value == pytest.approx(wanted)
    steered = after.array.value + after.blocks["epilogue"].value + after.logic["linear"].value
    assert after.blocks["control"].value == pytest.approx(share.control.value * steered)


def test_a_mode_takes_what_the_others_lack() -> None:
    """Four 4 x 4 multipliers, three adders between them, shifted or not, serve all three modes."""
    config = load_config("dense-16x16")
    place = (4 * multiplier(4, 4), 3 * adder(12) + 3 * multiplexer(2, 12) + adder(20))
    counts = gate_counts(config)
    assert (counts["multipliers"], counts["adders"]) == tuple(256 * gates for gates in place)
    assert gate_counts(_with_macs(config, 1, 1, 4)) == counts
    only = gate_counts(_with_macs(config, 1, 1, 1))
    assert only["adders"] == 256 * (3 * adder(12) + adder(20))
    assert only["registers"].flip_flop == 256 * (3 * 8 + 20)
    # Four 4 x 8 products a cycle: eight multipliers, and two operands of 32 bits.
    more = gate_counts(_with_macs(config, 1, 4, 8))
    assert more["multipliers"] == 256 * 8 * multiplier(4, 4)
    assert more["adders"] == 256 * (7 * adder(12) + 4 * multiplexer(2, 12) + adder(20))
    assert more["registers"].flip_flop == 256 * (3 * 32 + 20)


def _with_macs(config: AcceleratorConfig, *macs: int) -> AcceleratorConfig:
    wide, mixed, narrow = macs
    array = replace(config.array, macs_8bit=wide, macs_4x8=mixed, macs_4bit=narrow)
    return replace(config, array=array)


def test_muxes_are_what_they_cost() -> None:
    """The same array with and without the mux differs by mux, forwarded inputs and selects."""
    config = load_config("esca-16x16")
    plain = replace(config, array=replace(config.array, mux_width=1))
    more, less = gate_counts(config), gate_counts(plain)
    assert {block for block in more if more[block] != less[block]} == {"mux"}
    assert more["mux"].nand2 == 256 * 3 * 3 * 16
    assert more["mux"].flip_flop == 256 * (3 * 16 + 2 * 4 * 2)
    narrow = replace(config, mappings=("compressed", "phases"))
    saved = more["registers"].flip_flop - gate_counts(narrow)["registers"].flip_flop
    assert saved == 256 * (4 * 12 - 20)
