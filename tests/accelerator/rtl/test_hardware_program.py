"""Programs for hardware: stores of whole chunks, cycles, texel biases in drain order, constants."""

from dataclasses import replace

import numpy as np
import pytest
from tests.accelerator.rtl.small_program import small_config, small_program

from esca.accelerator.hardware.jobs import FEED
from esca.accelerator.hardware.latencies import SETUP, array_latency
from esca.accelerator.packed import unpacked
from esca.accelerator.rtl import program_payloads
from esca.accelerator.rtl.drain import drain_sizes
from esca.accelerator.rtl.hardware_program import hardware_program
from esca.accelerator.rtl.params import parameters
from esca.accelerator.rtl.texel_rows import texel_rows
from esca.accelerator.schedule import SERVERS
from esca.accelerator.unit_outputs import unit_outputs
from esca.errors import EscaError


def test_jobs_take_the_cycles_of_hardware() -> None:
    program = small_program("mixed")
    made = hardware_program(program)
    for one in made.jobs:
        instruction = made.program.instructions[one.instruction]
        y0, y1, x0, x1 = instruction.raster
        rows = (y1 - y0) * (x1 - x0)
        if instruction.op == "epilogue":
            assert one.job.cycles == max(4, rows)
        if instruction.op == "array":
            assert one.job.latency == array_latency(4, 4, parameters(program.config).digits)
        if instruction.op == "load_biases":
            bits = program.steps[instruction.layer].layer.texel_bias_bits[0]
            assert one.job.cycles == SETUP + rows * 4 * bits // 64
        if instruction.op == "store":
            assert one.job.cycles == SETUP + 16 * 8
    arrays = [one for one in made.fed if one.job.queue == "array"]
    feeds = [one for one in made.fed if one.job.queue == FEED]
    assert len(made.fed) - len(made.jobs) == len(feeds) == len(arrays)


@pytest.mark.parametrize("bits", ["w4a4", "mixed", "w8a8"])
def test_transfers_take_a_cycle_a_word_that_their_records_move(bits: str) -> None:
    made = hardware_program(small_program(bits))
    moved = [
        one for one in zip(made.fed, made.payloads, strict=True) if one[0].job.queue in SERVERS
    ]
    for one, payload in moved:
        size = payload.get("bytes") or payload["rows"] * (-(-payload["row_bytes"] // 8) * 8)
        assert one.job.cycles == SETUP + -(-size // 8), one.job.queue
    assert {one.job.queue for one, _ in moved} >= {"weights", "loads", "biases", "stores"}


def test_maps_lie_in_memory_as_they_are_put() -> None:
    made = hardware_program(small_program("w4a8"))
    values = np.random.default_rng(1).integers(0, 1 << 10, (3, 16, 16))
    image = made.image.copy()
    made.put(image, "texture", values)
    np.testing.assert_array_equal(made.get(image, "texture"), values)
    changed = np.flatnonzero(image != made.image)
    size = 16 * 16 * 4
    assert made.maps["texture"] <= changed.min() < changed.max() < made.maps["texture"] + size


def test_texel_biases_in_drain_order() -> None:
    program = small_program("w8a8")
    made = next(one for one in program.instructions if one.op == "load_biases" and one.layer == 2)
    step = program.steps[2]
    stored = texel_rows(program, made, 4, 8).view(np.int8).reshape(4, 4, 4)
    low, high = made.range
    values = unpacked(program.image, step.texel_biases[0], 8, low, high)
    at = 0
    for block in unit_outputs(step.layer, step.tiling, made.part, made.raster):
        for _channel in range(block.shape[0]):
            for line in block.lines:
                for across in block.across:
                    column = at // 16
                    assert stored[line, across, column] == values[at]
                    at += 1


def test_constants_that_do_not_fit_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    program = small_program("w4a4")
    columns = len(hardware_program(program).constants)
    for room, refused in ((columns, False), (columns - 1, True)):
        monkeypatch.setattr(program_payloads, "drain_sizes", lambda c, n=room: drain_sizes(c, n))
        if refused:
            with pytest.raises(EscaError, match=f"constants of {columns} columns, .* for {room}"):
                hardware_program(program)
        else:
            hardware_program(program)


def test_what_hardware_does_not_take_is_named() -> None:
    program = small_program("w4a4")
    for engine, match in (("move", "move engine: not built"), ("epilogue", "is elementwise")):
        steps = (*program.steps[:-1], replace(program.steps[-1], engine=engine))
        with pytest.raises(EscaError, match=f"layer 'conv2'.* {match}"):
            hardware_program(replace(program, steps=steps))
    small = replace(small_config().buffers, output_bytes=2048)
    config = replace(small_config(), buffers=small)
    with pytest.raises(EscaError, match="rows 0 to 16 of its output take 1024 bytes"):
        hardware_program(replace(program, config=config))
    packed = replace(small_config(), buffers=replace(small_config().buffers, banked=False))
    with pytest.raises(EscaError, match=r"small-4x4: buffers.banked is false, expected true"):
        hardware_program(replace(program, config=packed))
