"""Fully connected layers as hardware takes them: weights and constants in DRAM, records."""

from math import ceil
from typing import Any

import numpy as np

from esca.accelerator.hardware.cycles import CONSTANT_BYTES, lane_words, linear_outputs
from esca.accelerator.hardware.dram_maps import Bytes, row_pitch
from esca.accelerator.hardware.formats import BITS, FORMATS, format_of
from esca.accelerator.isa import Instruction
from esca.accelerator.packed import unpacked
from esca.accelerator.program import MachineProgram, Step
from esca.accelerator.rtl.column_constants import factor_values
from esca.accelerator.rtl.encode import DramPlaces
from esca.accelerator.rtl.epilogue_values import layer_values
from esca.accelerator.rtl.linear import CONSTANTS, LinearSizes
from esca.accelerator.rtl.linear_records import (
    MOST_INPUTS,
    MOST_OUTPUTS,
    OPERAND_BYTES,
    WEIGHT_BYTES,
)
from esca.accelerator.rtl.records import pack
from esca.accelerator.workload import TensorShape, WorkLayer
from esca.errors import EscaError

Payload = dict[str, Any]


def check_linear(layer: WorkLayer) -> None:
    """EscaError for a layer that the engine is not made for."""
    where, inputs = f"rtl: layer {layer.name!r}", layer.input.values
    if inputs > MOST_INPUTS or layer.input.bits <= 4 or layer.input.bits > 8:
        raise EscaError(
            f"{where}: {inputs} inputs of {layer.input.bits} bits, expected {MOST_INPUTS} at most, "
            "of 5 to 8 bits"
        )
    if layer.residual is not None or layer.texel_bias_bits or layer.ramps:
        raise EscaError(f"{where}: the linear engine adds biases of channels alone")
    if format_of(layer.output) == "tens":
        raise EscaError(f"{where}: {layer.output.bits} bits are stored, expected 4, 8 or 16")


def linear_rows(
    program: MachineProgram, made: Instruction, outputs: tuple[int, int], sizes: LinearSizes
) -> Bytes:
    """(outputs, bytes) that a load of weights brings for some ``outputs`` (from, to): the weights
    of each, then its constants.
    """
    step, (part,) = program.steps[made.layer], made.parts
    layer = step.layer
    low, high = outputs
    address, _ = step.weights[part]
    inputs = layer.input.values
    flat = unpacked(program.image, address, layer.weight_bits, 0, (high - low) * inputs)
    weights = flat.reshape(high - low, inputs)
    wide = lane_words(layer, sizes.lanes) * sizes.lanes
    room = np.zeros((high - low, wide + CONSTANT_BYTES), np.uint8)
    room[:, :inputs] = weights.astype(np.int8).view(np.uint8)
    tables, zero = step.constants.tables, step.constants.scalars["source_zero"]
    for row, output in enumerate(range(low, high)):
        values = {
            "bias": int(tables["bias"][output]),
            "correction": int(-zero * weights[row].sum()),
            "factor": factor_values(
                tables["mantissa"][output, 0, 0], tables["shift"][output, 0, 0]
            ),
        }
        bits = pack(CONSTANTS, values, f"rtl: layer {layer.name!r}: output {output}")
        room[row, wide:] = np.frombuffer(bits.to_bytes(CONSTANT_BYTES, "little"), np.uint8)
    if (high - low) * wide > WEIGHT_BYTES or high - low > MOST_OUTPUTS:
        raise EscaError(
            f"rtl: layer {layer.name!r}: {high - low} outputs of {wide} bytes in one job, expected "
            f"{MOST_OUTPUTS} and {WEIGHT_BYTES} bytes at most"
        )
    return room


class LinearProgram:
    """Of the linear layers of a ``program``: rows of weights in DRAM (``pieces``), and payloads."""

    def __init__(self, program: MachineProgram, sizes: LinearSizes, places: DramPlaces) -> None:
        self.program, self.sizes = program, sizes
        self.pieces: dict[int, tuple[int, Bytes]] = {}
        steps = {made.layer for made in program.instructions if made.op == "linear"}
        for number in steps:
            check_linear(program.steps[number].layer)
        # First words of operands that are loaded, by layer, and of those that stay on chip.
        self.operands: dict[int, int] = {}
        self.kept: dict[str, int] = {}
        self.ends = {"loaded": 0, "kept": 0}
        for number in sorted(steps):
            self._place(number)
        outputs = linear_outputs(program)
        for number, made in enumerate(program.instructions):
            if made.op == "load_weights" and program.steps[made.layer].engine == "linear":
                rows = linear_rows(program, made, outputs[made.layer, made.parts[0]], sizes)
                self.pieces[number] = places.add(rows.size), rows

    def _place(self, number: int) -> None:
        """Where a layer's operand lies, and its output, if it stays on chip."""
        program, layer = self.program, self.program.steps[number].layer
        tensor, where = layer.input, f"rtl: layer {layer.name!r}: "
        if (number, tensor.name) in program.regions:
            self.operands[number] = self._taken("loaded", tensor)
        elif tensor.name not in self.kept:
            raise EscaError(f"{where}its operand stays on chip from another engine: not built")
        made = layer.output
        if (-1, made.name) not in program.regions:
            return
        readers = {step.engine for step in program.steps if made in step.layer.inputs}
        if readers != {"linear"} or format_of(made) != "bytes":
            raise EscaError(
                f"{where}its output stays on chip, expected 8 bits for the linear engine alone"
            )
        self.kept[made.name] = self._taken("kept", made)

    def _taken(self, memory: str, tensor: TensorShape) -> int:
        """Where in a memory of operands a tensor's words begin."""
        place = self.ends[memory]
        self.ends[memory] = place + ceil(tensor.values / self.sizes.lanes)
        if self.ends[memory] * self.sizes.lanes > OPERAND_BYTES:
            raise EscaError(
                f"rtl: tensor {tensor.name!r}: operands of the linear engine take more than "
                f"{OPERAND_BYTES} bytes"
            )
        return place

    def load(self, number: int) -> Payload:
        """Of a load of weights."""
        address, rows = self.pieces[number]
        made = self.program.instructions[number]
        return {
            "dram": address,
            "row_bytes": rows.shape[1],
            "rows": len(rows),
            "pitch": rows.shape[1],
            "weights": 1,
            "half": made.half,
            "words": (rows.shape[1] - CONSTANT_BYTES) // self.sizes.bus_bytes,
            "operand": 0,
        }

    def load_operand(self, layer: int, tensor: TensorShape, address: int) -> Payload:
        """Of a load of a layer's operand."""
        pitch = row_pitch(tensor, self.sizes.bus_bytes)
        size = {"dram": address, "row_bytes": pitch, "rows": 1, "pitch": pitch}
        return {**size, "weights": 0, "half": 0, "words": 0, "operand": self.operands[layer]}

    def job(self, made: Instruction) -> Payload:
        """Of the engine's job."""
        step = self.program.steps[made.layer]
        layer, name = step.layer, step.layer.output.name
        on_chip, kept = made.layer not in self.operands, 0
        operand = self.kept[layer.input.name] if on_chip else self.operands[made.layer]
        if name in self.kept:
            each, bus = self.sizes.lanes // self.sizes.bus_bytes, self.sizes.bus_bytes
            kept = self.kept[name] * each + made.raster[2] // bus
        return {
            "operand": operand,
            "on_chip": int(on_chip),
            "keep": int(name in self.kept),
            "kept": kept,
            "half": made.half,
            "words": lane_words(layer, self.sizes.lanes),
            "outputs": made.raster[3] - made.raster[2],
            "layer": layer_values(step.constants),
            "format": FORMATS.index(format_of(layer.output)),
            "results": max(made.results, 0),
        }

    def store(self, made: Instruction, address: int) -> Payload:
        """Of a store to a map at ``address``; EscaError where it begins inside a bus word."""
        step: Step = self.program.steps[made.layer]
        tensor, (low, high) = step.layer.output, made.raster[2:]
        bits = BITS[format_of(tensor)]
        bus = self.sizes.bus_bytes
        if low * bits % (8 * bus):
            raise EscaError(
                f"rtl: layer {step.layer.name!r}: outputs from {low} on of {bits} bits are stored "
                f"inside a word of {bus} bytes"
            )
        size = ceil((high - low) * bits / (8 * bus)) * bus
        return {
            "dram": address + low * bits // 8,
            "row_bytes": size,
            "rows": 1,
            "pitch": size,
            "half": made.results,
            "tens": 0,
            "engine": 0,
        }
