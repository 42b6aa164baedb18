"""Whole programs on the compiled machine: outputs and start cycles are the simulator's."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.accelerator.rtl.small_program import (
    crowded_program,
    packed_config,
    small_config,
    small_program,
)

from esca.accelerator import load_config, time_workload
from esca.accelerator.events import simulate
from esca.accelerator.hardware.latencies import CONTROL_CYCLES
from esca.accelerator.rtl.engine_records import PARTS
from esca.accelerator.rtl.hardware_program import hardware_program
from esca.accelerator.rtl.verify import Machine, verify
from esca.accelerator.schedule import SERVERS
from esca.errors import EscaError


@pytest.fixture(scope="module")
def machine():
    return Machine(small_config(), 1 << 20, PARTS)


def feeds_of(program, seed):
    rng = np.random.default_rng(seed)
    return {
        tensor.name: torch.from_numpy(rng.integers(0, 1 << tensor.bits, tensor.shape))
        for tensor in program.workload.inputs
    }


@pytest.mark.parametrize("bits", ["w4a4", "w8a8"])
def test_a_decoder(machine, bits) -> None:
    program = small_program(bits)
    for seed, stalls in ((1, None), (2, 5)):
        found = verify(machine, program, feeds_of(program, seed), stalls)
        assert (found.equal, found.different) == (("texture",), ())
        assert not found.run.alarms and not found.run.memory_errors
        assert not found.late
        if stalls is None:
            assert found.run.cycles == time_workload(program.workload, program.config).cycles


@pytest.mark.parametrize("outputs", [4, 8])
def test_rows_that_come_while_the_epilogue_writes(machine, outputs) -> None:
    program = crowded_program(outputs)
    made = hardware_program(program, PARTS)
    starts = made.frame.starts()
    free = simulate([one.job for one in made.jobs], SERVERS, control=CONTROL_CYCLES)
    assert sum(a != b for a, b in zip(free, starts, strict=True)) > 20  # banks hold rows up
    found = verify(machine, program, feeds_of(program, 3))
    assert found.passed and found.run.starts[-1] > max(free)
    assert found.run.cycles == time_workload(program.workload, program.config).cycles
    assert verify(machine, program, feeds_of(program, 4), 5).passed


def test_a_machine_of_packed_products_and_half_the_lanes() -> None:
    config = packed_config()
    program = small_program("w4a4", config)
    found = verify(Machine(config, 1 << 20), program, feeds_of(program, 1))
    assert found.passed and sum(found.jobs.values()) > 60
    with pytest.raises(EscaError, match=r"conv0'.* need 8x8 products, which the array of packed"):
        small_program("w8a8", config)


def test_another_configuration_is_refused(machine) -> None:
    program = replace(small_program("w4a4"), config=load_config("ecp5-8x8"))
    with pytest.raises(EscaError, match=r"the program is for ecp5-8x8 .*, not for "):
        verify(machine, program, {})
