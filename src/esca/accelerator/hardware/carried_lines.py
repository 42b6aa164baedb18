"""Where each layer's sums that wait for inputs below lie, in the memory that all of them share."""

from math import ceil

from esca.accelerator.overlap import overlap_banks
from esca.accelerator.program import MachineProgram
from esca.errors import EscaError


def carried_rows(program: MachineProgram, layer: int) -> int:
    """Rows of accumulators that a layer carries from chunk to chunk, of all its channels."""
    step = program.steps[layer]
    if step.tiling is None or step.tiling.mapping != "scatter":
        return 0
    chunks = {
        one.raster for one in program.instructions if one.layer == layer and one.op == "array"
    }
    if len(chunks) < 2:
        return 0
    made = step.layer
    banks = overlap_banks(made, step.tiling.array.columns)
    groups = ceil(made.output.channels / banks.together)
    return groups * banks.carried_lines(made) * banks.length(made.output.width)


def carried_places(program: MachineProgram) -> dict[int, int]:
    """First row of every layer that carries lines. Layers that take turns, strip by strip, lie one
    behind the other; EscaError where they do not fit.
    """
    spans: dict[int, tuple[int, int]] = {}
    for number, made in enumerate(program.instructions):
        if made.op == "array":
            spans[made.layer] = spans.get(made.layer, (number, number))[0], number
    room = program.config.accumulator_rows
    places: dict[int, int] = {}
    ends: dict[int, int] = {}
    for layer, (first, _) in sorted(spans.items(), key=lambda item: item[1]):
        rows = carried_rows(program, layer)
        if not rows:
            continue
        beside = [ends[other] for other in places if spans[other][1] > first]
        places[layer] = max(beside, default=0)
        ends[layer] = places[layer] + rows
        if ends[layer] > room:
            raise EscaError(
                f"layer {program.steps[layer].layer.name!r}: mapping scatter carries {rows} rows "
                f"of accumulators beside {places[layer]} of layers before, there is room for {room}"
            )
    return places
