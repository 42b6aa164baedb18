"""Constants of the epilogue by column, as its memory holds them with the program."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from esca.accelerator.axes import Ints
from esca.accelerator.constants import LayerConstants
from esca.accelerator.hardware.unit_drain import UnitDrain, unit_drain
from esca.accelerator.isa import Instruction
from esca.accelerator.mappings import Pass, Tiling
from esca.accelerator.program import MachineProgram, Step
from esca.accelerator.rtl.requantize import stored_shift
from esca.accelerator.rtl.weight_program import tile_matrix
from esca.accelerator.unit_outputs import Raster
from esca.accelerator.weights import Part
from esca.errors import EscaError

Column = Mapping[str, Any]
"""Values of :data:`esca.accelerator.rtl.constants_ram.CONSTANTS`."""

NO_FACTOR = {"mantissa": 0, "shift": 0}
NO_RAMP: Mapping[str, Mapping[str, int]] = {axis: {"start": 0, "step": 0} for axis in "yx"}
_UNUSED = {
    "factor": NO_FACTOR,
    "bias": 0,
    "correction": 0,
    "texel": NO_FACTOR,
    "ramp": NO_RAMP,
}


@dataclass
class ConstantTable:
    """``entries`` of the memory; those of a unit's ``columns`` columns lie one behind the other,
    phase after phase where columns hold outputs of several, and equal ones once.
    """

    columns: int
    entries: list[Column] = field(default_factory=list)
    known: dict[str, int] = field(default_factory=dict)

    def add(self, phases: Sequence[Sequence[Column]]) -> int:
        """Where the constants of a unit's columns begin."""
        padded = [
            column for unit in phases for column in (*unit, *[_UNUSED] * (self.columns - len(unit)))
        ]
        if repr(padded) not in self.known:
            self.known[repr(padded)] = len(self.entries)
            self.entries += padded
        return self.known[repr(padded)]


def factor_values(mantissa: int, shift: int) -> dict[str, int]:
    """Values of :data:`esca.accelerator.rtl.requantize.FACTOR`."""
    return {"mantissa": int(mantissa), "shift": stored_shift(int(shift))}


def unit_columns(
    tiling: Tiling, constants: LayerConstants, part: Part, corrections: Ints, raster: Raster
) -> list[list[Column]]:
    """Constants of a unit's columns; ``corrections`` (columns,) are added to their sums. Where
    overlaps are added a column holds outputs of several phases: constants of each, those of y
    first.

    EscaError for more than one texel bias, stored or a ramp.
    """
    name = tiling.layer.name
    if len(tiling.layer.texel_bias_bits) + tiling.layer.ramps > 1:
        raise EscaError(f"rtl: layer {name!r}: the epilogue adds one texel bias, stored or a ramp")
    drained = unit_drain(tiling, part, raster)
    if tiling.mapping != "scatter":
        return [_phase_columns(tiling, constants, part, corrections, drained, (0, 0))]
    stride = range(tiling.layer.stride)
    return [
        _phase_columns(tiling, constants, part, corrections, drained, (y, x))
        for y in stride
        for x in stride
    ]


def _phase_columns(
    tiling: Tiling,
    constants: LayerConstants,
    part: Part,
    corrections: Ints,
    drained: UnitDrain,
    first: tuple[int, int],
) -> list[Column]:
    """``first`` (y, x): phase of a place, where its position does not say it."""
    tables, p = constants.tables, tiling.passes[part[0]]
    channel, y, x = drained.columns()
    made: list[Column] = []
    for c, position, correction in zip(channel, zip(y, x, strict=True), corrections, strict=False):
        phases = tables["mantissa"].shape[1:]
        if tiling.mapping == "scatter":
            phase = tuple((at + q) % n for at, q, n in zip(first, position, phases, strict=True))
        else:
            phase = _phase(p, position, phases)
        texel, ramp = NO_FACTOR, NO_RAMP
        if "texel_mantissa" in tables:
            texel = factor_values(tables["texel_mantissa"][0, c], tables["texel_shift"][0, c])
        if "ramp_mantissa" in tables:
            texel = factor_values(tables["ramp_mantissa"][0, c], tables["ramp_shift"][0, c])
            ramp = _ramp(
                drained,
                position,
                tables["ramp_start"][0, c].tolist(),
                tables["ramp_step"][0, c].tolist(),
            )
        made.append(
            {
                "factor": factor_values(tables["mantissa"][c][phase], tables["shift"][c][phase]),
                "bias": int(tables["bias"][c]),
                "correction": int(correction),
                "texel": texel,
                "ramp": ramp,
            }
        )
    return made


def _ramp(
    drained: UnitDrain,
    position: tuple[int, int],
    start: Sequence[int],
    rise: Sequence[int],
) -> Mapping[str, Mapping[str, int]]:
    """A ramp from the unit's first place on; ``start`` and ``rise`` of y and x are the map's."""
    made = {}
    for axis in range(2):
        made["yx"[axis]] = {
            "start": start[axis] + rise[axis] * (drained.first[axis] + position[axis]),
            "step": rise[axis] * drained.step[axis],
        }
    return made


def _phase(p: Pass, position: tuple[int, int], phases: tuple[int, ...]) -> tuple[int, ...]:
    """Phase of all outputs of a position; one that has none does not matter."""
    found = []
    for axis, place, count in zip((p.y, p.x), position, phases, strict=True):
        outputs = axis.output[:, place]
        seen = {*(outputs[outputs >= 0] % count).tolist()}
        if len(seen) > 1:
            raise AssertionError(f"outputs of one position have phases {seen}")
        found.append(seen.pop() if seen else 0)
    return tuple(found)


def corrections(program: MachineProgram, step: Step, part: Part) -> Ints:
    """(columns,) what the array's zero point adds to the sums of a tile, negated."""
    sums = tile_matrix(program, step, part).astype(np.int64).sum((0, 1))
    made: Ints = -step.constants.scalars["source_zero"] * sums
    return made


Key = tuple[int, Part, Raster]


def constants_key(step: Step, made: Instruction) -> Key:
    """Units of an epilogue with one key have the same constants: those of a part, but a ramp begins
    in each raster elsewhere.
    """
    return made.layer, made.part, made.raster if step.layer.ramps else (0, 0, 0, 0)


def constant_table(
    program: MachineProgram, columns: int, centred: bool
) -> tuple[ConstantTable, dict[Key, int]]:
    """All constants of a program, and where those of each :func:`constants_key` begin. ``centred``:
    activations come to the array without their zero point.
    """
    table, places = ConstantTable(columns), dict[Key, int]()
    fixes: dict[tuple[int, Part], Ints] = {}
    for made in program.instructions:
        step = program.steps[made.layer]
        if made.op != "epilogue" or constants_key(step, made) in places:
            continue
        assert step.tiling is not None
        where = made.layer, made.part
        if where not in fixes and centred:
            fixes[where] = np.zeros(columns, np.int64)
        elif where not in fixes:
            fixes[where] = corrections(program, step, made.part)
        unit = unit_columns(step.tiling, step.constants, made.part, fixes[where], made.raster)
        places[constants_key(step, made)] = table.add(unit)
    return table, places
