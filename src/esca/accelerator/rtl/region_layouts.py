"""Layouts of all regions of a program's activation buffer, and where in the banks they begin."""

from collections.abc import Mapping
from dataclasses import replace

from esca.accelerator.allocate import RegionKey
from esca.accelerator.program import MachineProgram
from esca.accelerator.rtl.activations import bank_words
from esca.accelerator.rtl.adapt import tensor_shapes
from esca.accelerator.rtl.layout import Layout, find_layout
from esca.errors import EscaError


def region_layouts(program: MachineProgram) -> dict[RegionKey, Layout]:
    """Of every region, the largest first, in the first gap: regions share words only where the
    simulator lets them share bytes, so that its semaphores keep them apart.

    EscaError where a region has no layout, or there is no gap for it.
    """
    tensors = tensor_shapes(program.workload)
    found = {}
    for key, region in program.regions.items():
        tilings = [
            step.tiling
            for number, step in enumerate(program.steps)
            if step.tiling is not None
            and step.layer.input.name == region.tensor
            and key[0] in (-1, number)
        ]
        if not tilings:
            raise EscaError(f"rtl: tensor {region.tensor!r}: no layer reads it on the array")
        found[key] = find_layout(tensors[region.tensor], tilings, region.rows)
    return _placed(program, found)


def _placed(
    program: MachineProgram, layouts: Mapping[RegionKey, Layout]
) -> dict[RegionKey, Layout]:
    room, regions = bank_words(program.config), program.regions
    made: dict[RegionKey, Layout] = {}
    for key in sorted(layouts, key=lambda key: -layouts[key].words):
        apart = [
            (other.base, other.base + other.words)
            for name, other in made.items()
            if not regions[key].overlaps(regions[name])
        ]
        size = layouts[key].words
        bases = sorted({0, *(end for _, end in apart)})
        free = (
            base
            for base in bases
            if base + size <= room
            and all(base + size <= low or high <= base for low, high in apart)
        )
        base = next(free, None)
        if base is None:
            raise EscaError(
                f"rtl: tensor {key[1]!r}: no gap of {size} words among the {room} of a sub-bank "
                "(buffers.activation_bytes)"
            )
        made[key] = replace(layouts[key], base=base)
    return {key: made[key] for key in layouts}
