"""Layers that are moved or interpolated as hardware takes them: records of jobs and of loads."""

from math import ceil
from typing import Any

import numpy as np

from esca.accelerator.hardware.bank_places import loaded_rows
from esca.accelerator.hardware.cycles import moved_runs, moved_values
from esca.accelerator.hardware.dram_maps import row_pitch
from esca.accelerator.hardware.formats import BITS, FORMATS, format_of
from esca.accelerator.hardware.jobs import ENGINES, HardwareJob
from esca.accelerator.isa import Instruction
from esca.accelerator.program import MachineProgram, Step
from esca.accelerator.rtl.column_constants import factor_values
from esca.accelerator.rtl.engine_records import WINDOW
from esca.accelerator.rtl.engine_sizes import MOVE_WORDS, EngineSizes
from esca.accelerator.rtl.grid_sample import CHANNELS, FIXED_BITS
from esca.accelerator.rtl.records import LAYOUT, pack, unpack
from esca.accelerator.workload import TensorShape, WorkLayer
from esca.errors import EscaError

Payload = dict[str, Any]

LARGEST_FACTOR = 8
"""Of an upsample."""


class EngineProgram:
    """Of the layers of a ``program`` that engines beside the array run: payloads."""

    def __init__(self, program: MachineProgram, sizes: EngineSizes) -> None:
        self.program, self.sizes = program, sizes
        self.runs: dict[int, tuple[tuple[int, int], ...]] = {}
        for number, step in enumerate(program.steps):
            if step.engine in ENGINES:
                self._check(number, step)

    def _check(self, number: int, step: Step) -> None:
        """EscaError for what an engine is not made for."""
        layer, where = step.layer, f"rtl: layer {step.layer.name!r}: "
        if (-1, layer.output.name) in self.program.regions:
            raise EscaError(f"{where}outputs of {step.engine} that stay on chip: not built")
        for tensor in layer.inputs:
            if (number, tensor.name) not in self.program.regions:
                raise EscaError(f"{where}operands of {step.engine} that are on chip: not built")
        if step.engine == "move":
            self._check_move(number, layer, where)
        elif step.engine == "upsample":
            self._check_upsample(layer, where)
        else:
            self._check_sample(step, where)
        for operand, tensor in enumerate(layer.inputs):
            taken, room = self._room(number, operand, tensor)
            if taken > room:
                raise EscaError(
                    f"{where}rows of {tensor.name!r} take {taken} words of the {step.engine} "
                    f"engine's memory, {room} are there"
                )

    def _room(self, number: int, operand: int, tensor: TensorShape) -> tuple[int, int]:
        """Words that a window takes, and those that there are."""
        step, ring = self.program.steps[number], self._ring(number, operand)
        row = row_pitch(tensor, self.sizes.bus_bytes) // self.sizes.bus_bytes
        if step.engine == "move":
            return ring * row, MOVE_WORDS
        if step.engine == "upsample":
            return ring // 2 * self._pair(tensor), self.sizes.upsample_words
        if operand:
            return ring * row, self.sizes.place_words
        return ring // 2 * row, self.sizes.texels

    def _ring(self, number: int, operand: int) -> int:
        """Rows that an operand's memory holds; an even number where odd rows lie apart."""
        step = self.program.steps[number]
        rows = self.program.regions[number, step.layer.inputs[operand].name].rows
        plain = step.engine == "move" or (step.engine == "grid_sample" and operand)
        return rows if plain else 2 * ceil(rows / 2)

    def _deep(self, tensor: TensorShape) -> int:
        """Bus words of a pixel, as a power of two."""
        return (
            tensor.channels * BITS[format_of(tensor)] // (8 * self.sizes.bus_bytes)
        ).bit_length() - 1

    def _pair(self, tensor: TensorShape) -> int:
        """Words of a bank that two rows of a map take."""
        return ceil(tensor.width / 2) << self._deep(tensor)

    def _check_move(self, number: int, layer: WorkLayer, where: str) -> None:
        formats = {format_of(tensor) for tensor in (*layer.inputs, layer.output)}
        names = {tensor.name for tensor in layer.inputs}
        if layer.kind == "pixel_shuffle" or len(layer.inputs) > 2 or formats - {*BITS}:
            raise EscaError(
                f"{where}the move engine takes reshapes and concatenations of two tensors of 4, 8 "
                "or 16 bits"
            )
        if len(formats) > 1 or len(names) < len(layer.inputs):
            raise EscaError(f"{where}operands and output are stored differently or are the same")
        bits, wide = BITS[format_of(layer.output)], 8 * self.sizes.bus_bytes
        self.runs[number] = moved = moved_runs(layer, self.sizes.bus_bytes)
        values = moved_values(layer, self.sizes.bus_bytes)
        channels = [(count - 1) * values + last for count, last in moved]
        # No run may lie in two words, neither where it comes from nor where it goes.
        pixels, ends = np.arange(layer.output.width), 0
        total = sum(channels) * bits
        for count, (runs, last) in zip(channels, moved, strict=True):
            sizes = np.array([values] * (runs - 1) + [last]) * bits
            inside = np.cumsum(sizes) - sizes
            starts = [pixels[:, None] * total + ends + inside]
            if layer.kind == "concat":
                starts.append(pixels[:, None] * count * bits + inside)
            if any((start % wide + sizes > wide).any() for start in starts):
                raise EscaError(f"{where}values that are moved together lie in two bus words")
            ends += count * bits

    def _check_upsample(self, layer: WorkLayer, where: str) -> None:
        tensor, wide = layer.input, 8 * self.sizes.bus_bytes
        bits = BITS.get(format_of(tensor), 0)
        words = tensor.channels * bits // wide
        if bits not in (4, 8) or tensor.channels * bits % wide or words & (words - 1) or not words:
            raise EscaError(
                f"{where}the upsample engine takes pixels of 1, 2, 4 .. words of {wide} bits, not "
                f"{tensor.channels} values of {tensor.bits}"
            )
        if layer.factor not in (2, 4, LARGEST_FACTOR):
            raise EscaError(f"{where}an upsample by {layer.factor}, expected 2, 4 or 8")

    def _check_sample(self, step: Step, where: str) -> None:
        texture, places = step.layer.inputs
        if (texture.channels, format_of(texture)) != (CHANNELS, "tens"):
            raise EscaError(
                f"{where}the grid-sample engine takes {CHANNELS} values of 9 or 10 bits a texel, "
                f"not {texture.channels} of {texture.bits}"
            )
        if (places.channels, format_of(places)) != (2, "words"):
            raise EscaError(f"{where}places of {places.bits} bits, expected 11 to 16")
        for mantissa, shift in step.constants.tables["places"].tolist():
            if (1 << places.bits) * abs(mantissa) >> (shift - 1) >= 1 << FIXED_BITS:
                raise EscaError(f"{where}places lie too far outside")

    def load(self, one: HardwareJob, address: int) -> Payload:
        """Of a job that brings rows of an operand, which lies at ``address``."""
        assert one.rows is not None
        name, low, high = one.rows
        number = self.program.instructions[one.instruction].layer
        step, bus = self.program.steps[number], self.sizes.bus_bytes
        operand = [tensor.name for tensor in step.layer.inputs].index(name)
        tensor, ring = step.layer.inputs[operand], self._ring(number, operand)
        row, first = row_pitch(tensor, bus) // bus, low % ring
        plain = {"first": first * row, "last": ring * row - 1, "pair": 0, "odd": 0, "deep": 0}
        if step.engine == "move":
            window = plain | {"odd": operand}
        elif step.engine == "grid_sample" and operand:
            window = plain
        else:
            pair = row if step.engine == "grid_sample" else self._pair(tensor)
            deep = 0 if step.engine == "grid_sample" else self._deep(tensor)
            window = {
                "first": first // 2 * pair,
                "last": (ring // 2 - 1) * pair,
                "pair": pair,
                "odd": first % 2,
                "deep": deep,
            }
        layout = unpack(LAYOUT, pack(WINDOW, window, f"rtl: tensor {name!r}"))
        made = loaded_rows(tensor, (low, high), address, layout, bus)
        if step.engine == "grid_sample":
            kept = {key: made[key] for key in ("dram", "row_bytes", "rows", "pitch")}
            return {**kept, "places": operand, "window": window}
        return made | {"engine": 1 + ENGINES.index(step.engine)}

    def job(self, made: Instruction) -> Payload:
        """Of an engine's job."""
        step = self.program.steps[made.layer]
        match step.engine:
            case "move":
                return self._move(made, step.layer)
            case "upsample":
                return self._upsample(made, step)
        return self._sample(made, step)

    def _move(self, made: Instruction, layer: WorkLayer) -> Payload:
        y0, y1, _, width = made.raster
        bits, values = BITS[format_of(layer.output)], moved_values(layer, self.sizes.bus_bytes)
        size, operands = bits // 4, []
        apart = layer.output.height * layer.output.width
        for number, (runs, last) in enumerate(self.runs[made.layer]):
            tensor, ring = layer.inputs[number], self._ring(made.layer, number)
            row = row_pitch(tensor, self.sizes.bus_bytes) * 2
            place = {"first": y0 % ring * row, "row": row, "rows": ring - y0 % ring}
            run, pixel = values * size, tensor.channels * size
            if layer.kind == "reshape":
                across = layer.output.width * size
                place = {"first": y0 * across, "row": across, "rows": 0}
                run, pixel = (run if apart == 1 else apart * size), size
            operands.append({**place, "runs": runs, "last": last, "run": run, "pixel": pixel})
        none = dict.fromkeys(operands[0], 0)
        return {
            "operands": [*operands, none][:2],
            "both": int(len(operands) == 2),
            "values": values,
            "format": FORMATS.index(format_of(layer.output)),
            "width": width,
            "rows": y1 - y0,
            "results": made.results,
        }

    def _source(self, made: Instruction, layer: WorkLayer, pair: int) -> Payload:
        """Rows of the first operand that a job may read."""
        window = self.program.config.engines.grid_window_rows
        y0, y1 = made.raster[:2]
        first, end = (layer.first_input_row(y0, 0, window), layer.input_rows(y1, 0, window))
        ring = self._ring(made.layer, 0)
        return {
            "first": first,
            "count": end - first,
            "ring_first": first % ring,
            "ring": ring,
            "pair": pair,
            "height": layer.input.height,
            "width": layer.input.width,
        }

    def _upsample(self, made: Instruction, step: Step) -> Payload:
        layer, (y0, y1, _, width) = step.layer, made.raster
        return {
            "source": self._source(made, layer, self._pair(layer.input)),
            "factor": layer.factor.bit_length() - 1,
            "bilinear": step.constants.scalars["bilinear"],
            "phase": y0 % layer.factor,
            "row": y0 // layer.factor,
            "rows": y1 - y0,
            "width": width,
            "beats": layer.input.channels // self.sizes.bus_bytes,
            "deep": self._deep(layer.input),
            "nibbles": int(format_of(layer.input) == "nibbles"),
            "results": made.results,
        }

    def _sample(self, made: Instruction, step: Step) -> Payload:
        texture, places = step.layer.inputs
        y0, y1, _, width = made.raster
        bus, scalars = self.sizes.bus_bytes, step.constants.scalars
        ring, row = self._ring(made.layer, 1), row_pitch(places, bus) // bus
        x, y = (factor_values(*pair) for pair in step.constants.tables["places"])
        return {
            "source": self._source(made, step.layer, row_pitch(texture, bus) // bus),
            "rows": y1 - y0,
            "width": width,
            "place": y0 % ring * row,
            "place_last": ring * row - 1,
            "place_zero": scalars["place_zero"],
            "x": x,
            "y": y,
            "zero": scalars["source_zero"],
            "top": scalars["top"],
            "results": made.results,
        }
