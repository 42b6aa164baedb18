"""Residuals as hardware loads them: a job for each line of a unit's raster, a bus word a place."""

from typing import Any

from esca.accelerator.hardware.bank_places import unit_places
from esca.accelerator.hardware.dram_maps import row_pitch
from esca.accelerator.isa import Instruction
from esca.accelerator.program import MachineProgram, Step
from esca.accelerator.workload import TensorShape
from esca.errors import EscaError


def check_residual(program: MachineProgram, step: Step, built: bool, bus: int) -> None:
    """EscaError where a layer adds a map that hardware does not load. ``built``: whether it adds
    any.
    """
    tensor, where = step.layer.residual, f"rtl: layer {step.layer.name!r}: "
    assert tensor is not None
    if not built:
        raise EscaError(f"{where}residuals: not built")
    if (-1, tensor.name) in program.regions:
        raise EscaError(f"{where}a residual that is on chip: not built")
    if tensor.bits > 8 or tensor.channels * _bits(tensor) % (8 * bus):
        raise EscaError(
            f"{where}a residual of {tensor.channels} channels of {tensor.bits} bits, expected "
            f"pixels of whole {bus} bytes, of 8 bits at most a value"
        )


def _bits(tensor: TensorShape) -> int:
    """Of a value as it is stored."""
    return 4 if tensor.bits <= 4 else 8


def residual_rows(
    step: Step, made: Instruction, line: int, address: int, bus: int
) -> dict[str, Any]:
    """What brings the residual of a ``line`` of a unit's raster from a map at ``address``. Places
    whose outputs are cropped get anything.
    """
    tensor, tiling = step.layer.residual, step.tiling
    assert tensor is not None and tiling is not None
    places = unit_places(tiling, made.part, made.raster)
    bits, length = _bits(tensor), made.raster[3] - made.raster[2]
    pixel = tensor.channels * bits // 8
    y = min(places.first[0] + line * places.step[0], tensor.height - 1)
    byte = places.channel * bits // 8
    return {
        "dram": address + y * row_pitch(tensor, bus) + places.first[1] * pixel + byte // bus * bus,
        "row_bytes": bus,
        "rows": length,
        "pitch": places.step[1] * pixel,
        "half": made.extras,
        "residual": 1,
        "first": line * length,
        "part": byte % bus // (tiling.array.columns * bits // 8),
        "nibbles": int(bits == 4),
    }
