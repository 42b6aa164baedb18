"""Frames of the machine that is built, in the simulator: everything accounted for."""

import subprocess
import sys
from collections import Counter
from dataclasses import replace
from typing import get_args

import pytest
from tests.accelerator.rtl.small_program import crowded_program

from esca.accelerator import avatar_workload, load_config, time_workload
from esca.accelerator.hardware.frame import hardware_frame
from esca.accelerator.hardware.latencies import CONTROL_CYCLES, SETUP
from esca.accelerator.hardware.sizes import check_sizes
from esca.accelerator.hardware.weight_words import tile_words
from esca.accelerator.order import place
from esca.accelerator.plan import Engine
from esca.accelerator.schedule import schedule_jobs
from esca.errors import EscaError


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


@pytest.mark.parametrize("name", ["mixed-8x8", "edge-8x8"])
def test_what_is_moved_does_not_depend_on_how(frames, name) -> None:
    """Bytes by layer and kind are those of the schedule."""
    timing, workload = frames[name], avatar_workload("base", 256, "texture", "w4a8")
    placement = place(workload, timing.plans, timing.setup)
    scheduled = schedule_jobs(workload, placement, timing.setup)
    moved = [Counter() for _ in scheduled.plans]
    for entry in scheduled.entries:
        if entry.traffic:
            moved[entry.layer][entry.traffic] += entry.bytes
    for layer, wanted in zip(timing.layers, moved, strict=True):
        assert {kind: size for kind, size in layer.dram_bytes.items() if size} == wanted


def test_a_unit_by_hand(frames) -> None:
    """The last layer's first unit: whole words of weights and biases, whole rows of sums."""
    frame = frames["mixed-8x8"]
    plan = frame.plans[-1]
    mine = [span for span in frame.timeline if span.layer == plan.layer.name]
    first = {span.what: span for span in reversed(mine)}
    (y0, y1, x0, x1), part = plan.units[0].raster, plan.units[0].part
    rows = (y1 - y0) * (x1 - x0)
    assert first["epilogue"].cycles == max(8, rows)
    assert first["texel_biases"].cycles == SETUP + rows * 8 * 8 // 64
    # 16 channels, two a PE in this mode, of four slots of a 2 x 2 kernel: 32 atoms on 8 rows.
    assert first["array"].cycles == 4 * max(8, rows)
    words = tile_words(plan.tiling, part)
    assert words.rows == len(words.taps_y) * len(words.taps_x) * words.atoms * words.atom_bytes // 2
    assert (first["weights"].cycles - SETUP) * 8 % (words.rows * 16) == 0


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"engines": {"epilogue_lanes": 3}}, "engines.epilogue_lanes is 3, expected 4, 8 or more"),
        ({"engines": {"epilogue_latency_cycles": 2}}, "epilogue_latency_cycles is 2, expected 8"),
        ({"buffers": {"accumulator_banks": 4}}, "accumulator_banks is 4, expected 8 or more"),
        ({"memory": {"dram_latency_cycles": 16}}, "latency_cycles is 16, expected more than 16"),
    ],
)
def test_what_no_machine_is_built_for_is_named(change, match) -> None:
    config = load_config("ecp5-8x8")
    for group, fields in change.items():
        config = replace(config, **{group: replace(getattr(config, group), **fields)})
    with pytest.raises(EscaError, match=match):
        time_workload(avatar_workload("base", 256, "texture", "w8a8"), config)


@pytest.mark.parametrize(
    ("field", "expected"),
    [("move_values_per_cycle", "8 or more"), ("upsample_values_per_cycle", "8 or more"),
     ("grid_samples_per_cycle", "1")],
)  # fmt: skip
def test_rates_of_engines_are_those_that_are_built(field, expected) -> None:
    config = load_config("mixed-8x8")
    check_sizes(config, get_args(Engine))
    config = replace(config, engines=replace(config.engines, **{field: 4}))
    check_sizes(config, ("array", "linear"))
    with pytest.raises(EscaError, match=f"engines.{field} is 4, expected {expected} where"):
        check_sizes(config, get_args(Engine))


def test_nobody_starts_before_what_it_waits_for() -> None:
    """And the array as soon as that is there: loads that wait for their banks come later."""
    frame = hardware_frame(crowded_program(8))
    starts, results = frame.cycles()
    jobs = [one.job for one in frame.jobs]
    late = [
        result - start - job.cycles - job.latency
        for job, start, result in zip(jobs, starts, results, strict=True)
    ]
    assert {job.queue for job, more in zip(jobs, late, strict=True) if more} == {"loads"}
    free = 0
    for job, start in zip(jobs, starts, strict=True):
        ready = [results[other] for other in job.after]
        ready += [starts[other] + jobs[other].cycles for other in job.reuses]
        assert start >= max(ready, default=-CONTROL_CYCLES) + CONTROL_CYCLES
        if job.queue == "array":
            assert start == max(free, *ready) + CONTROL_CYCLES
            free = start + job.cycles


def test_no_hardware_tools_are_needed() -> None:
    code = (
        "import sys; sys.modules['amaranth'] = None\n"
        "from esca.accelerator import avatar_workload, load_config, time_workload\n"
        "made = avatar_workload('base', 256, 'texture', 'w8a8')\n"
        "print(time_workload(made, load_config('ecp5-8x8')).cycles)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) == 777_930  # what the compiled hardware takes
