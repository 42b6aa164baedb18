"""Layouts of all regions of a program's activation buffer, and where in the banks they begin."""

from dataclasses import replace

from esca.accelerator.allocate import RegionKey
from esca.accelerator.footprint import array_readers, bank_line_bytes
from esca.accelerator.layout import Layout, find_layout
from esca.accelerator.program import MachineProgram
from esca.accelerator.rtl.adapt import tensor_shapes
from esca.accelerator.rtl.engine_records import ENGINES
from esca.errors import EscaError


def region_layouts(program: MachineProgram) -> dict[RegionKey, Layout]:
    """Of every region, at the address that it has in the program.

    EscaError where regions are not those of banks, or one has no layout.
    """
    config = program.config
    if not config.buffers.banked:
        raise EscaError(
            f"rtl: {config.name}: buffers.banked is false, expected true: maps take more in banks"
        )
    tensors, line = tensor_shapes(program.workload), bank_line_bytes(config)
    found = {}
    for key, region in program.regions.items():
        steps = [step for number, step in enumerate(program.steps) if key[0] in (-1, number)]
        tilings = array_readers(region.tensor, steps)
        engines = {
            step.engine for step in steps if region.tensor in [t.name for t in step.layer.inputs]
        }
        if engines and engines <= {"linear", *ENGINES}:  # which keep their operands themselves
            continue
        if not tilings:
            raise EscaError(f"rtl: tensor {region.tensor!r}: no layer reads it on the array")
        layout = find_layout(tensors[region.tensor], tilings, region.rows)
        found[key] = replace(layout, base=region.address // line)
    return found
