"""Layouts of the regions of a program's activation buffer, and where in the banks they begin."""

from dataclasses import replace

from esca.accelerator.allocate import RegionKey
from esca.accelerator.footprint import array_readers, bank_line_bytes
from esca.accelerator.hardware.jobs import tensor_shapes
from esca.accelerator.layout import Layout, find_layout
from esca.accelerator.program import MachineProgram, Step


def readers_of(program: MachineProgram, key: RegionKey) -> tuple[Step, ...]:
    """Layers that read a region."""
    return tuple(
        step
        for number, step in enumerate(program.steps)
        if key[0] in (-1, number) and key[1] in [tensor.name for tensor in step.layer.inputs]
    )


def region_layouts(program: MachineProgram) -> dict[RegionKey, Layout]:
    """Of every region that is read on the array, at the address that it has in the program.

    EscaError where one has no layout.
    """
    tensors, line = tensor_shapes(program.workload), bank_line_bytes(program.config)
    found = {}
    for key, region in program.regions.items():
        tilings = array_readers(region.tensor, readers_of(program, key))
        if tilings:
            layout = find_layout(tensors[region.tensor], tilings, region.rows)
            found[key] = replace(layout, base=region.address // line)
    return found
