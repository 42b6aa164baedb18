"""Functional coverage: what of the hardware the programs that ran have used, and what not."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import product

import numpy as np

from esca.accelerator.axes import Axis
from esca.accelerator.hardware.formats import FORMATS, STORED_BITS, format_of, stored_code
from esca.accelerator.hardware.region_layouts import region_layouts
from esca.accelerator.hardware.unit_drain import unit_drain
from esca.accelerator.isa import Instruction
from esca.accelerator.layout import Layout
from esca.accelerator.mappings import Tiling
from esca.accelerator.program import MachineProgram
from esca.accelerator.reads import pass_reads

BITS = ("w4a4", "w4a8", "w8a4", "w8a8")
MAPPINGS = ("im2col", "compressed", "phases")

POINTS: Mapping[str, tuple[str, ...]] = {
    "bits and mapping": (*(" ".join(pair) for pair in product(BITS, MAPPINGS)), "w8a8 scatter"),
    "outputs side by side, where overlaps are added": ("1", "2", "4"),
    "sums carried on": ("none", "some"),
    "kernel": tuple(str(n) for n in range(1, 5)),
    "stride": ("1", "2", "3"),
    "border": ("met", "not met"),
    "columns": ("all", "some"),
    "pixels side by side in a tile": ("1", "2", "4"),
    "tile": ("longer than its weights take", "as long", "shorter"),
    "tiles of a unit": ("1", "more"),
    "outputs": ("on chip", *(f"stored as {name}" for name in FORMATS)),
    "cropped outputs": ("none", "some"),
    "texel biases": (*(str(bits) for bits in STORED_BITS), "ramp"),
    "slope": ("with", "without"),
    "atom on chip": ("1 byte", "2 bytes"),
    "values on chip": ("4 bits", "8 bits"),
    "ring of rows": ("whole map", "wraps"),
    "chunks of a stored map": ("1", "2", "more"),
}
"""What is counted, and all that may be seen of it."""

Counts = Counter[tuple[str, str]]


def coverage(programs: Iterable[MachineProgram]) -> Counts:
    """Units (of layouts, maps) of each kind in programs that hardware took."""
    counts: Counts = Counter()
    for program in programs:
        for made in program.instructions:
            if made.op == "epilogue":
                counts.update(_unit(program, made))
        for layout in region_layouts(program).values():
            counts.update(_layout(layout))
        stored: dict[int, set[int]] = {}
        for made in program.instructions:
            if made.op == "store":
                stored.setdefault(made.layer, set()).add(made.raster[0])
        for chunks in stored.values():
            number = len(chunks)
            counts["chunks of a stored map", str(number) if number < 3 else "more"] += 1
    return counts


def coverage_table(counts: Counts) -> str:
    """Lines ``group: point count ..``; what was never seen is marked ``none!``."""
    lines = []
    for group, points in POINTS.items():
        said = (f"{point}: {counts[group, point] or 'none!'}" for point in points)
        lines.append(f"{group}: " + ", ".join(said))
    seen = sum(counts[group, point] > 0 for group, points in POINTS.items() for point in points)
    return "\n".join([*lines, f"{seen} of {sum(map(len, POINTS.values()))} points"]) + "\n"


def holes(counts: Counts) -> list[tuple[str, str]]:
    """Points that were never seen."""
    return [(g, point) for g, points in POINTS.items() for point in points if not counts[g, point]]


def _unit(program: MachineProgram, made: Instruction) -> Iterator[tuple[str, str]]:
    step = program.steps[made.layer]
    layer, tiling = step.layer, step.tiling
    assert tiling is not None
    p = tiling.passes[made.part[0]]
    y0, y1, x0, x1 = made.raster
    weights, activations = tiling.widths
    yield "bits and mapping", f"w{weights}a{activations} {tiling.mapping}"
    yield "kernel", str(max(layer.kernel))
    yield "stride", str(layer.stride)
    drained = unit_drain(tiling, made.part, made.raster)
    missing = bool((p.y.output[y0:y1] < 0).any() or (p.x.output[x0:x1] < 0).any())
    border, cropped = _outside(p.y, y0, y1) or _outside(p.x, x0, x1), missing
    if tiling.mapping == "scatter":  # products that go nowhere; outputs beside the map
        border, cropped = missing, drained.length * drained.step[1] > layer.output.width
        yield "outputs side by side, where overlaps are added", str(drained.across)
        carries = drained.complete < drained.first[0] + drained.lines
        yield "sums carried on", "some" if carries else "none"
    yield "border", "met" if border else "not met"
    yield "columns", "all" if drained.count == tiling.array.columns else "some"
    yield "cropped outputs", "some" if cropped else "none"
    yield from _tiles(tiling, made)
    if (-1, layer.output.name) in program.regions:
        yield "outputs", "on chip"
    if made.results >= 0:
        yield "outputs", f"stored as {format_of(layer.output)}"
    code = stored_code(max(layer.texel_bias_bits, default=0))
    yield "texel biases", "ramp" if layer.ramps else str(STORED_BITS[code])
    yield "slope", "with" if "slope" in step.constants.scalars else "without"


def _outside(axis: Axis, low: int, high: int) -> bool:
    """Whether a weight meets the padding in some rows."""
    missing = (axis.input[low:high] < 0) & (axis.tap >= 0) & (axis.output[low:high, None] >= 0)
    return bool(np.any(missing))


def _tiles(tiling: Tiling, made: Instruction) -> Iterator[tuple[str, str]]:
    reads = list(pass_reads(tiling))[made.part[0]]
    y0, y1, x0, x1 = made.raster
    rows, load = (y1 - y0) * (x1 - x0), tiling.load_cycles
    yield "pixels side by side in a tile", str(reads.places)
    yield "tiles of a unit", "1" if reads.k_tiles == 1 else "more"
    names = POINTS["tile"]
    yield "tile", names[0] if rows > load else names[1] if rows == load else names[2]


def _layout(layout: Layout) -> Iterator[tuple[str, str]]:
    yield "atom on chip", "1 byte" if layout.atom_bytes == 1 else "2 bytes"
    yield "values on chip", f"{layout.value_bits} bits"
    yield "ring of rows", "wraps" if layout.ring_rows < layout.tensor.height else "whole map"
