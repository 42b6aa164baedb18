"""What pictures of the machine say, against the configuration and the path's own latencies."""

import pytest

from esca.accelerator.config import load_config
from esca.accelerator.hardware.latencies import array_latency
from esca.accelerator.rtl.blocks import blocks, unit_stages, wires
from esca.accelerator.rtl.params import parameters


def test_memories_are_those_of_the_configuration():
    config = load_config("ecp5-8x8")
    made, buffers = blocks(config), config.buffers
    assert made["activations"].memory_bytes == buffers.activation_bytes
    assert made["ring"].memory_bytes == buffers.weight_bytes
    assert made["accumulators"].memory_bytes == buffers.accumulator_bytes
    assert made["results"].memory_bytes + made["extras"].memory_bytes == buffers.output_bytes


@pytest.mark.parametrize(
    ("preset", "element"),
    [
        ("ecp5-8x8", "8 x 8 bit"),
        ("mixed-8x8", "8x8, 2 of 4x8 or 4 of 4x4 bit"),
        ("ecp5-16x16", "2 of 4x4 bit"),
    ],
)
def test_an_element_is_said_as_it_is(preset, element):
    assert blocks(load_config(preset))["array"].facts[0] == element


@pytest.mark.parametrize(("preset", "overlaps"), [("ecp5-8x8", False), ("scatter-8x8", True)])
def test_a_units_way_takes_what_array_and_epilogue_take(preset, overlaps):
    config = load_config(preset)
    cycles = sum(stage.cycles for stage in unit_stages(config))
    latency = array_latency(8, 8, parameters(config).digits, overlaps)
    assert cycles == latency + config.engines.epilogue_latency_cycles
    carried = config.buffers.accumulator_bytes // 2 if overlaps else 0
    accumulators = blocks(config)["accumulators"]
    assert accumulators.memory_bytes == config.buffers.accumulator_bytes + carried


def test_ways_lead_from_block_to_block(tmp_path):
    pytest.importorskip("matplotlib")
    from esca.report.accelerator.machine import PLACES, machine_picture, way_picture

    config = load_config("ecp5-8x8")
    made, ways = blocks(config), wires(config)
    assert {end for one in ways for end in (one.source, one.target)} == set(made)
    assert made.keys() <= PLACES.keys()
    machine_picture(config.name, made, ways, tmp_path / "machine.svg")
    way_picture(config.name, unit_stages(config), tmp_path / "way.svg")
    drawn = (tmp_path / "machine.svg").read_text()
    for block in made.values():
        assert all(text in drawn for text in (block.title, *block.facts))
    assert all(stage.name in (tmp_path / "way.svg").read_text() for stage in unit_stages(config))
