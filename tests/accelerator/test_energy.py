from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from tests.accelerator.conftest import make_layer

from esca.accelerator import (
    AcceleratorConfig,
    FrameTiming,
    Workload,
    avatar_workload,
    frame_data,
    load_config,
    preset_names,
    tile_layer,
    time_workload,
)
from esca.accelerator.activity import COMPONENTS, Use, layer_uses, offered, values_read
from esca.accelerator.area import area
from esca.accelerator.config import MODES
from esca.accelerator.energy import Prices, frame_energy
from esca.accelerator.structure import bank_bytes, sum_bits
from esca.accelerator.technology import NODES, Energies, figure, load_technology
from esca.errors import EscaError


def alone(config: AcceleratorConfig, bits: int = 8, weight_bits: int | None = None) -> FrameTiming:
    layer = make_layer("conv2d", 32, 16, (8, 8), (1, 1), bits=bits, weight_bits=weight_bits)
    config = replace(config, mappings=("compressed",))
    return time_workload(Workload("alone", (layer,), layer.inputs, ("y",)), config)


FLIP_FLOP = 0.001701 * 0.03 / Energies(load_technology("default"), 28).add(8).value
CHOICE = 1.5 * 0.000567 * 0.03 / Energies(load_technology("default"), 28).add(8).value
"""pJ of a bit at 45 nm: clocked, or through a 2:1 multiplexer."""


def added(bits: int) -> float:
    """pJ at 45 nm, on the line from 0.03 (8 bits) to 0.1 (32)."""
    return 0.03 + 0.07 * (bits - 8) / 24


def test_one_layer_by_hand() -> None:
    """32 -> 16 channels, 1 x 1, 64 positions, 8 bits on 16 x 16: two tiles of 64 rows."""
    frame = alone(load_config("dense-16x16"))
    (made,) = frame_energy(frame, 45).layers
    pj = {name: 1e6 * e.value for name, e in made.components.items()}
    macs = 64 * 32 * 16
    assert pj["multipliers"] == pytest.approx(macs * 0.2)
    # 16-bit products over 16 rows: sums of 20 bits. Four 4 x 4 products are composed by three
    # additions of 12 bits, each behind the choice of a shift.
    assert pj["adders"] == pytest.approx(macs * (added(20) + 3 * (added(12) + 12 * CHOICE)))
    assert pj["mux"] == 0
    dram = 32 * 16 + 32 * 64 + 16 * 64  # weights, inputs, outputs
    assert frame.dram_bytes == dram
    assert pj["dram"] == pytest.approx(dram * 64)
    kb8, kb32 = 10 / 8, 20 / 8  # pJ a byte
    # First tile writes, second reads and writes, the drain reads: 4 bytes each; banks of 8 KiB.
    assert pj["accumulators"] == pytest.approx(64 * 16 * 4 * 4 * kb8)
    # Inputs in once and past the array once; banks of 32 KiB. Outputs in and out.
    assert pj["activation_buffer"] == pytest.approx(2 * 32 * 64 * kb32)
    assert pj["output_buffer"] == pytest.approx(2 * 16 * 64 * kb32)
    clocked = 2 * 64 * 256 * (8 + 20) + 2 * (256 * 8) * 16
    assert pj["registers"] == pytest.approx(clocked * FLIP_FLOP)
    lane = 32 * 17 / 64 * 0.2 + 32 * 16 / 64 * 0.2 + 3 * 0.1 + 8 * 32 * FLIP_FLOP
    assert pj["epilogue"] == pytest.approx(64 * 16 * lane)


def test_four_bits_by_hand() -> None:
    frame = alone(load_config("dense-16x16"), bits=4)
    (made,) = frame_energy(frame, 45).layers
    macs = 64 * 32 * 16
    assert 1e6 * made.components["multipliers"].value == pytest.approx(macs * 0.05)
    # Four products of 8 bits in a place: three sums of 10 bits, then one of 8 + log2(64) = 14.
    inside = added(10) + 10 * CHOICE
    wanted = macs / 4 * (added(14) + 3 * inside)
    assert 1e6 * made.components["adders"].value == pytest.approx(wanted)


@pytest.mark.parametrize(("weights", "activations"), [(4, 8), (8, 4)])
def test_one_operand_of_four_bits_by_hand(weights: int, activations: int) -> None:
    """One tile of 32 rows, two in each place, over 64 positions."""
    frame = alone(load_config("dense-16x16"), activations, weights)
    (made,) = frame_energy(frame, 45).layers
    pj = {name: 1e6 * e.value for name, e in made.components.items()}
    macs = 64 * 32 * 16
    assert pj["multipliers"] == pytest.approx(macs * 2 * 0.05)
    # Each product of 12 bits is composed once; two are added to 13, then to 12 + log2(32) = 17.
    composed, inside = added(12) + 12 * CHOICE, added(13) + 13 * CHOICE
    assert pj["adders"] == pytest.approx(macs * composed + macs / 2 * (inside + added(17)))
    clocked = 64 * 256 * (2 * activations + 17) + 256 * 2 * weights * 16
    assert pj["registers"] == pytest.approx(clocked * FLIP_FLOP)


def test_an_array_without_the_mode_multiplies_eight_bits() -> None:
    published = load_config("esca-published")
    mixed, wide = (
        frame_energy(alone(published, 8, weights)).layers[0].components for weights in (4, 8)
    )
    same = ("multipliers", "adders", "registers", "activation_buffer", "accumulators")
    assert [mixed[name] for name in same] == [wide[name] for name in same]
    assert mixed["weight_buffer"].value < wide["weight_buffer"].value  # stored as they are


@pytest.fixture(scope="module")
def frames() -> list[FrameTiming]:
    workload = avatar_workload("warp", 256, "decoder", "w4a4")
    configs = [load_config(name) for name in preset_names()]
    return [time_workload(workload, config) for config in configs if config.array.macs_8bit]


def test_components_and_layers_add_up(frames: list[FrameTiming]) -> None:
    for frame in frames:
        energy = frame_energy(frame)
        assert sum(e.value for e in energy.components.values()) == pytest.approx(energy.total.value)
        assert energy.components["dram"].value == pytest.approx(frame.dram_bytes * 64e-6)
        assert energy.total.low < energy.total.value < energy.total.high
        data = frame_data(frame)
        assert sum(layer["energy_uj"] for layer in data["layers"]) == pytest.approx(
            data["energy_uj"]
        )
        assert all(layer["energy_uj"] > 0 for layer in data["layers"])
        assert data["energy_uj_per_texel"] == pytest.approx(data["energy_uj"] / 256**2)
        assert data["watts_at_100_fps"] == pytest.approx(data["energy_uj"] * 1e-4)


def test_a_clock_that_never_rests(frames: list[FrameTiming]) -> None:
    frame = next(one for one in frames if one.config == "ecp5-8x8")
    technology = replace(frame.setup.technology, constants="calibrated")
    setup = replace(frame.setup, technology=technology)
    before, after = frame_energy(frame), frame_energy(replace(frame, setup=setup))
    made, table = area(setup), load_technology("calibrated")
    nand2 = figure(table.area, "nand2", 28).value
    clock = table.hardware.clocked.value * figure(table.energy, "flip_flop", 28).value
    for part in ("epilogue", "linear", "control"):
        gates = 1e6 * made.logic[part].value / nand2
        spent = after.logic[part].value
        assert spent == pytest.approx(1e-6 * clock * gates * frame.cycles)
    assert before.logic["control"].value == 0
    assert after.components["adders"] == before.components["adders"]
    stored = after.components["linear"].value - after.logic["linear"].value
    assert stored == pytest.approx(before.components["linear"].value - before.logic["linear"].value)
    assert "control" in before.excluded
    assert "control" not in after.excluded


def test_smaller_nodes_take_less(frames: list[FrameTiming]) -> None:
    for frame in frames:
        nodes = [frame_energy(frame, node) for node in NODES]
        assert nodes[0].total.value > nodes[1].total.value > nodes[2].total.value
        for name in COMPONENTS:
            values = [energy.components[name].value for energy in nodes]
            assert values == sorted(values, reverse=True)


def test_encoders_have_no_texels() -> None:
    frame = time_workload(avatar_workload("base", 256, "encoder", "w8a8"), load_config("edge-8x8"))
    assert frame_energy(frame).per_texel is None
    assert frame_data(frame)["energy_uj_per_texel"] is None


@pytest.mark.parametrize("mapping", ["dense", "compressed", "phases", "scatter"])
def test_inputs_that_are_offered_are_counted(mapping: str, small: AcceleratorConfig) -> None:
    layer = make_layer("conv_transpose2d", 3, 4, (3, 5), (4, 3), 2, 1)
    for p in tile_layer(layer, small, mapping).passes:
        for axis in (p.y, p.x):
            found = {
                (row, slot, int(axis.input[row, slot, position]))
                for row, slot, position in product(*map(range, np.shape(axis.input)))
                if axis.input[row, slot, position] >= 0 and axis.tap[slot, position] >= 0
            }
            assert offered(axis) == len(found)


def test_sums_fit() -> None:
    """Sums that a PE hands on hold the largest sum over the rows of the array."""
    config = load_config("esca-16x16")
    for mode in MODES:
        widths, macs = [int(width) for width in mode.split("x")], config.array.macs(mode)
        for weights, activations in (widths, widths[::-1]):
            largest = (2**activations - 1) * 2 ** (weights - 1)
            assert config.array.rows * macs * largest < 2 ** (sum_bits(config, mode, False))
            assert config.array.rows * largest < 2 ** (sum_bits(config, mode, True) // macs)


def test_what_has_no_price_is_an_error(frames: list[FrameTiming]) -> None:
    config = frames[0].setup
    prices = Prices(config, Energies(load_technology("default"), 28))
    with pytest.raises(EscaError, match="no price of sram_byte in mux"):
        prices.of(Use("mux", "sram_byte", 1))
    with pytest.raises(EscaError, match="no price of teleport"):
        prices.of(Use("mux", "teleport", 1))  # type: ignore[arg-type]
    with pytest.raises(EscaError, match="layer 'a' uses unknown quantum"):
        prices.layer("a", [Use("quantum", "add", 1, (8, 0))])  # type: ignore[arg-type]
    plan = replace(frames[0].plans[0], engine="quantum")
    with pytest.raises(EscaError, match="no energy is known for quantum"):
        layer_uses(plan, frames[0].layers[0].dram_bytes, config)
    tiny = replace(config, buffers=replace(config.buffers, weight_bytes=1024))
    assert bank_bytes(tiny)["weight_buffer"] == 256
    with pytest.raises(EscaError, match="weight_buffer: banks of 256 bytes"):
        Prices(tiny, Energies(load_technology("default"), 28))


@pytest.mark.parametrize("mapping", ["dense", "compressed", "phases"])
def test_tiles_read_what_their_positions_need(mapping: str, small: AcceleratorConfig) -> None:
    """Against every tile's columns one by one, where no tile lies over two rows of positions."""
    layer = make_layer("conv_transpose2d", 3, 10, (3, 4), (4, 4), 2, 1)
    for p in tile_layer(layer, small, mapping).passes:
        total = start = 0
        for columns in p.tile_columns:
            places = {(start + c) // p.out_channels for c in range(columns)}
            read = set()
            for y, x in (divmod(place, p.x.positions) for place in places):
                rows, across = (
                    [
                        (r, s, axis.input[r, s, at])
                        for r, s in np.ndindex(axis.rows, axis.slots)
                        if axis.input[r, s, at] >= 0 and axis.tap[s, at] >= 0
                    ]
                    for axis, at in ((p.y, y), (p.x, x))
                )
                read |= set(product(rows, across))
            total += len(read) * p.in_channels
            start += columns
        assert values_read(p, False) == total
