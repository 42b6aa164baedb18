"""Frames of the machine that is built, in the simulator: everything accounted for."""

import subprocess
import sys

import pytest

from esca.accelerator import avatar_workload, load_config, time_workload
from esca.accelerator.hardware.latencies import CONTROL_CYCLES, array_latency
from esca.accelerator.hardware.weight_words import tile_words


@pytest.fixture(scope="module")
def frames():
    workload = avatar_workload("base", 256, "texture", "w4a8")
    return {name: time_workload(workload, load_config(name)) for name in ("mixed-8x8", "edge-8x8")}


@pytest.mark.parametrize("name", ["mixed-8x8", "edge-8x8"])
def test_the_array_works_waits_or_changes_units(frames, name) -> None:
    frame = frames[name]
    control = CONTROL_CYCLES if frame.setup.buffers.banked else 0
    units = [span for span in frame.timeline if span.engine == "array"]
    last = units[-1]
    busy = sum(span.cycles + control for span in units)
    assert last.start + last.cycles + control == busy + sum(frame.waited_cycles.values())
    assert frame.engine_cycles["array"] == sum(layer.engine_cycles for layer in frame.layers)


def test_what_is_moved_does_not_depend_on_how(frames) -> None:
    for timing in frames.values():
        stored = sum(plan.layer.texel_bias_bytes for plan in timing.plans)
        assert timing.traffic["texel_biases"] == stored
        for layer, plan in zip(timing.layers, timing.plans, strict=True):
            moved = layer.dram_bytes["outputs"]
            assert moved in (0, plan.layer.output.bytes)
        assert timing.layers[-1].dram_bytes["outputs"] > 0


def test_a_unit_by_hand(frames) -> None:
    """The first unit of a layer: whole words of weights, whole rows of sums."""
    frame = frames["mixed-8x8"]
    plan, bus = frame.plans[-1], 8
    mine = [span for span in frame.timeline if span.layer == plan.layer.name]
    (y0, y1, x0, x1), part = plan.units[0].raster, plan.units[0].part
    rows = (y1 - y0) * (x1 - x0)
    epilogue = next(span for span in mine if span.engine == "epilogue")
    biases = next(span for span in mine if span.what == "texel_biases")
    array = next(span for span in mine if span.engine == "array")
    assert epilogue.cycles == max(8, rows)
    assert biases.cycles == 4 + rows * 8 * 8 // 8 // bus
    words = tile_words(plan.tiling, part)
    assert words.rows * 16 >= plan.tiling.passes[0].tile_columns[0] * words.atom_bytes
    assert array.cycles % rows == 0 and array.start > 0
    assert array_latency(8, 8, 4) == 14 + 7 + 4 + 8


def test_no_hardware_tools_are_needed() -> None:
    code = (
        "import sys; sys.modules['amaranth'] = None\n"
        "from esca.accelerator import avatar_workload, load_config, time_workload\n"
        "made = avatar_workload('base', 256, 'texture', 'w8a8')\n"
        "print(time_workload(made, load_config('ecp5-8x8')).cycles)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) > 700_000
