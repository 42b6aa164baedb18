"""Records' payloads of a program."""

from collections.abc import Collection, Mapping
from math import ceil
from typing import Any

from esca.accelerator.hardware.bank_places import loaded_rows, place_values
from esca.accelerator.hardware.dram_maps import Bytes
from esca.accelerator.hardware.formats import format_of, row_words, stored_code
from esca.accelerator.hardware.frame import HardwareFrame
from esca.accelerator.hardware.jobs import ENGINES, FEED, HardwareJob, tensor_shapes
from esca.accelerator.hardware.unit_drain import unit_drain
from esca.accelerator.hardware.whole_stores import chunk_of
from esca.accelerator.isa import Instruction
from esca.accelerator.layout import Layout
from esca.accelerator.reads import PassReads, pass_reads
from esca.accelerator.rtl.column_constants import constant_table, constants_key
from esca.accelerator.rtl.drain import drain_sizes
from esca.accelerator.rtl.encode import DramPlaces, Payload
from esca.accelerator.rtl.engine_program import EngineProgram
from esca.accelerator.rtl.engine_sizes import engine_sizes
from esca.accelerator.rtl.epilogue_values import (
    NO_PLACE,
    NO_RESULT,
    layer_values,
    overlap_values,
    result_values,
)
from esca.accelerator.rtl.linear import linear_sizes
from esca.accelerator.rtl.linear_program import LinearProgram
from esca.accelerator.rtl.load_rows import check_loaded
from esca.accelerator.rtl.params import Parameters
from esca.accelerator.rtl.residual_rows import check_residual, residual_rows
from esca.accelerator.rtl.streams import patch_values, stream_values
from esca.accelerator.rtl.texel_rows import texel_rows
from esca.accelerator.rtl.weight_program import ProgramWeights
from esca.errors import EscaError


class Payloads:
    """Of a ``frame``: what its jobs' records say. ``maps``: addresses in DRAM; ``places`` takes
    texel biases, too. ``parts`` that the machine has. EscaError for what it is not built for.
    """

    def __init__(
        self,
        p: Parameters,
        bus: int,
        frame: HardwareFrame,
        maps: Mapping[str, int],
        weights: ProgramWeights,
        places: DramPlaces,
        parts: Collection[str],
    ) -> None:
        program = frame.program
        self.p, self.bus, self.program, self.chunks = p, bus, program, frame.chunks
        self.maps, self.layouts, self.weights, self.places = maps, frame.layouts, weights, places
        self.carried = frame.carried
        self.tensors = tensor_shapes(program.workload)
        self.sizes = drain_sizes(program.config)
        self.constants, self.first = constant_table(program, p.columns, p.centred)
        columns = len(self.constants.entries)
        if columns > self.sizes.constants:
            raise EscaError(
                f"rtl: {program.workload.name}: constants of {columns} columns, there is room for "
                f"{self.sizes.constants}"
            )
        self.texels: dict[int, tuple[int, Bytes]] = {}
        self.reads: dict[int, list[PassReads]] = {}
        self.quarter = program.config.buffers.output_bytes // 4
        self.linear = LinearProgram(program, linear_sizes(program.config), places)
        self.engines = None
        wanted = {step.engine for step in program.steps} & {*ENGINES}
        if wanted and wanted <= {*parts}:
            self.engines = EngineProgram(program, engine_sizes(program.config))
        self._lay_texels_out()
        for step in program.steps:
            if step.engine in ENGINES and self.engines is None:
                raise EscaError(f"rtl: layer {step.layer.name!r}: {step.engine} engine: not built")
            if step.layer.ramps and not self.sizes.ramps:
                raise EscaError(
                    f"rtl: layer {step.layer.name!r}: its texel bias is a ramp, which "
                    f"{program.config.name} has not: engines.grid_samples_per_cycle is 0"
                )
            if step.layer.residual is not None:
                check_residual(program, step, "residual" in parts, bus)

    def _lay_texels_out(self) -> None:
        """In DRAM, unit by unit."""
        for number, made in enumerate(self.program.instructions):
            if made.op == "load_biases":
                piece = texel_rows(self.program, made, self.p.columns, self.bus)
                if len(piece) > self.quarter:
                    raise EscaError(
                        f"instruction {number}: {len(piece)} bytes of texel biases, a quarter of "
                        f"buffers.output_bytes is {self.quarter}"
                    )
                self.texels[number] = self.places.add(len(piece)), piece

    def _reads(self, layer: int) -> list[PassReads]:
        if layer not in self.reads:
            tiling = self.program.steps[layer].tiling
            assert tiling is not None
            self.reads[layer] = [*pass_reads(tiling)]
        return self.reads[layer]

    def payload(self, one: HardwareJob) -> Payload:
        """Of a job, by its queue."""
        number = one.instruction
        made = self.program.instructions[number]
        match one.job.queue:
            case "weights":
                return self.weights.loads[number]
            case name if name == FEED:
                return self.weights.feeds[number]
            case "loads" | "grid_loads" if self._own_memory(made):
                assert one.rows is not None and self.engines is not None
                return self.engines.load(one, self.maps[one.rows[0]])
            case "loads":
                assert one.rows is not None
                name, low, high = one.rows
                layout, tensor = self._layout(made.layer, name), self.tensors[name]
                check_loaded(layout, self.bus)
                record = layout.record()
                return loaded_rows(tensor, (low, high), self.maps[name], record, self.bus)
            case "linear_loads":
                if one.rows is None:
                    return self.linear.load(number)
                name = one.rows[0]
                return self.linear.load_operand(made.layer, self.tensors[name], self.maps[name])
            case "linear":
                return self.linear.job(made)
            case "move" | "upsample" | "grid_sample":
                assert self.engines is not None
                return self.engines.job(made)
            case "biases" if made.op == "load_residual":
                step = self.program.steps[made.layer]
                assert one.rows is not None
                return residual_rows(step, made, one.rows[1], self.maps[one.rows[0]], self.bus)
            case "biases":
                address, piece = self.texels[number]
                size = {"row_bytes": len(piece), "rows": 1, "pitch": 0}
                where = dict.fromkeys(("residual", "first", "part", "nibbles"), 0)
                return {"dram": address, **size, **where, "half": made.extras}
            case "stores" | "linear_stores":
                return self._store(made)
            case "array":
                return self._array(made)
        return self._epilogue(made)

    def _own_memory(self, made: Instruction) -> bool:
        """Whether rows are loaded for an engine that keeps its operands itself."""
        return self.program.steps[made.layer].engine in ENGINES

    def _layout(self, layer: int, name: str) -> Layout:
        return self.layouts.get((layer, name)) or self.layouts[-1, name]

    def _array(self, made: Instruction) -> Payload:
        step = self.program.steps[made.layer]
        assert step.tiling is not None
        layout = self._layout(made.layer, step.layer.input.name)
        reads = self._reads(made.layer)[made.part[0]]
        zero = step.constants.scalars["source_zero"]
        stream = stream_values(step.tiling, reads, layout, made.raster, zero, made.half)
        if self.p.overlaps:
            stream["patch"] = patch_values(step.tiling, made.part, made.raster)
        return stream

    def _store(self, made: Instruction) -> dict[str, Any]:
        tensor = self.program.steps[made.layer].layer.output
        if made.queue == "linear_stores":
            return self.linear.store(made, self.maps[tensor.name])
        low, high = self.chunks[chunk_of(made)].rows
        words = row_words(tensor, self.sizes.result_bytes)
        beats = row_words(tensor, self.bus)
        engine = self._own_memory(made)
        size = 2 * ceil((high - low) / 2) * words * self.sizes.result_bytes
        if engine:
            size = (high - low) * beats * self.bus
        if size > self.quarter:
            raise EscaError(
                f"layer {self.program.steps[made.layer].layer.name!r}: rows {low} to {high} of its "
                f"output take {size} bytes, a quarter of buffers.output_bytes is {self.quarter}"
            )
        pitch = beats * self.bus
        return {
            "dram": self.maps[tensor.name] + low * pitch,
            "row_bytes": pitch,
            "rows": high - low,
            "pitch": pitch,
            "half": made.results,
            "tens": int(format_of(tensor) == "tens"),
            "engine": int(engine),
        }

    def _epilogue(self, made: Instruction) -> Payload:
        step = self.program.steps[made.layer]
        tiling, output = step.tiling, step.layer.output
        assert tiling is not None
        drained = unit_drain(tiling, made.part, made.raster)
        place, result, texel = NO_PLACE, NO_RESULT, 0
        if (-1, output.name) in self.layouts:
            place = place_values(tiling, made.part, made.raster, self.layouts[-1, output.name])
        if made.results >= 0:
            rows = self.chunks[chunk_of(made)].rows
            result = result_values(
                tiling, made.part, made.raster, rows, made.results, self.sizes.result_bytes
            )
        if made.extras >= 0 and step.layer.texel_bias_bits:
            texel = stored_code(step.layer.texel_bias_bits[0])
        overlap: Payload = {}
        if self.p.overlaps:
            overlap = {
                "overlap": overlap_values(
                    tiling, made.part, made.raster, self.carried.get(made.layer, 0)
                )
            }
        return {
            **overlap,
            "lines": drained.lines,
            "length": drained.length,
            "half": made.half,
            "constants": self.first[constants_key(step, made)],
            "texel": texel,
            "ramp": int(step.layer.ramps > 0),
            "extras": max(made.extras, 0),
            "residual": int(step.layer.residual is not None),
            "residual_zero": step.constants.scalars.get("residual_zero", 0),
            "layer": layer_values(step.constants),
            "place": place,
            "result": result,
        }
