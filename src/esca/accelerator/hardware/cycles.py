"""Cycles that each instruction takes in hardware: whole words, whole rows of sums, padded tiles.

What no engine is built for (elementwise layers, pixel shuffles, moves of ten bits) keeps the
compiler's cycles.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil

from esca.accelerator.config import AcceleratorConfig
from esca.accelerator.hardware.formats import BITS, STORED_BITS, format_of, row_words, stored_code
from esca.accelerator.hardware.jobs import bus_bytes
from esca.accelerator.hardware.latencies import array_latency
from esca.accelerator.hardware.unit_drain import unit_drain
from esca.accelerator.hardware.weight_words import TileWords, tile_words
from esca.accelerator.hardware.whole_stores import Chunk, StoredChunk, chunk_of
from esca.accelerator.isa import Instruction
from esca.accelerator.program import MachineProgram, Step
from esca.accelerator.reads import PassReads, pass_reads
from esca.accelerator.weights import Part
from esca.accelerator.workload import WorkLayer

CONSTANT_BYTES = 16
"""Of the constants that follow the weights of each output of the linear engine."""


def timed_program(program: MachineProgram, chunks: Mapping[Chunk, StoredChunk]) -> MachineProgram:
    """A program with one store a chunk (``chunks``), with the cycles and latencies of hardware."""
    cycles = Cycles(program, chunks)
    made = tuple(cycles.timed(one) for one in program.instructions)
    return replace(program, instructions=made)


def drain_turns(config: AcceleratorConfig) -> int:
    """Cycles in which the lanes take a row of sums."""
    columns = config.array.columns
    return ceil(columns / min(config.engines.epilogue_lanes, columns))


def lane_words(layer: WorkLayer, lanes: int) -> int:
    """Words of ``lanes`` weights that an output of the linear engine takes."""
    return ceil(layer.input.values / lanes)


def linear_outputs(program: MachineProgram) -> dict[tuple[int, Part], tuple[int, int]]:
    """Outputs (from, to) of the linear engine's units, by layer and part of its weights."""
    return {
        (made.layer, made.part): (made.raster[2], made.raster[3])
        for made in program.instructions
        if made.op == "linear"
    }


def drain_bytes(places: int, columns: int, bits: int, bus: int) -> int:
    """Of the texel biases of a unit, one a raster place and column, in whole bus words."""
    size = STORED_BITS[stored_code(bits)]
    return ceil(places * columns * size / (8 * bus)) * bus


def moved_runs(layer: WorkLayer, bus: int) -> tuple[tuple[int, int], ...]:
    """Of each operand of a move: runs a pixel, and values of the last one."""
    values = moved_values(layer, bus)
    tensors = (layer.output,) if layer.kind == "reshape" else layer.inputs
    counts = [tensor.channels for tensor in tensors]
    return tuple((ceil(count / values), (count - 1) % values + 1) for count in counts)


def moved_values(layer: WorkLayer, bus: int) -> int:
    """Neighbours that are moved in a cycle; a reshape of a map gathers them one by one."""
    if layer.kind == "reshape" and layer.output.height * layer.output.width > 1:
        return 1
    return min(bus, 8 * bus // BITS[format_of(layer.output)])


@dataclass(frozen=True, eq=False)
class LayerWords:
    """Of a layer on the array: ``words`` of each tile, ``first`` tile that has words of a key, and
    ``spans``, words that lie together in DRAM, each once, by the part that loads them.
    """

    words: Mapping[Part, TileWords]
    first: Mapping[bytes, Part]
    spans: Mapping[Part, Sequence[TileWords]]


def layer_words(step: Step) -> LayerWords:
    """The words of a program's layer."""
    assert step.tiling is not None
    words: dict[Part, TileWords] = {}
    spans: dict[Part, list[TileWords]] = {part: [] for part in step.weights}
    first: dict[bytes, Part] = {}
    for part in step.shared:
        made = words[part] = tile_words(step.tiling, part)
        if first.setdefault(made.key, part) == part:
            spans[step.shared[part]].append(made)
    return LayerWords(words, first, spans)


class Cycles:
    """Of the instructions of a ``program`` with one store a chunk."""

    def __init__(self, program: MachineProgram, chunks: Mapping[Chunk, StoredChunk]) -> None:
        self.program, self.chunks, self.config = program, chunks, program.config
        self.bus = bus_bytes(program.config)
        self.turns = drain_turns(program.config)
        self._linear = linear_outputs(program)
        self._reads: dict[int, Sequence[PassReads]] = {}
        self._words: dict[int, LayerWords] = {}

    def timed(self, made: Instruction) -> Instruction:
        """An instruction with its cycles, and its latency where that is another."""
        array = self.config.array
        if made.op == "array":
            adds = "scatter" in self.config.mappings
            latency = array_latency(array.rows, array.columns, array.macs_4bit, adds)
            return replace(made, cycles=self.of(made), latency=latency)
        return replace(made, cycles=self.of(made))

    def of(self, made: Instruction) -> int:
        """Cycles of an instruction."""
        step, config = self.program.steps[made.layer], self.config
        y0, y1, x0, x1 = made.raster
        rows = (y1 - y0) * (x1 - x0)
        match made.op:
            case "load_weights" if step.engine == "linear":
                wide = lane_words(step.layer, config.engines.linear_lanes)
                size = wide * config.engines.linear_lanes + CONSTANT_BYTES
                spans = [self._linear[made.layer, part] for part in made.parts]
                outputs = sum(high - low for low, high in spans)
                return ceil(outputs * size / self.bus)
            case "load_weights":
                row_bytes = 2 * config.array.columns
                return ceil(self._ring_rows(made) * row_bytes / self.bus)
            case "load_biases":
                assert step.tiling is not None
                bits, columns = step.layer.texel_bias_bits, config.array.columns
                drained = unit_drain(step.tiling, made.part, made.raster)
                places = drained.biased_lines * drained.length
                return sum(drain_bytes(places, columns, b, self.bus) for b in bits) // self.bus
            case "load_residual":
                return rows
            case "store":
                return self._store(made, step)
            case "array":
                assert step.tiling is not None
                tiles = self._tiles(made.layer, step)[made.part[0]].k_tiles
                return tiles * max(rows, step.tiling.load_cycles)
            case "epilogue":
                assert step.tiling is not None
                places = unit_drain(step.tiling, made.part, made.raster).places
                return max(config.array.columns, places * self.turns)
            case "linear":
                return (x1 - x0) * lane_words(step.layer, config.engines.linear_lanes)
            case "move" if step.layer.kind != "pixel_shuffle" and self._plain(step.layer):
                return rows * sum(runs for runs, _ in moved_runs(step.layer, self.bus))
            case "upsample":
                return rows * ceil(step.layer.input.channels / self.bus)
            case "grid_sample":
                return rows
        return made.cycles

    def _plain(self, layer: WorkLayer) -> bool:
        """Whether values of a map do not lie three in a word."""
        return format_of(layer.output) in BITS

    def _store(self, made: Instruction, step: Step) -> int:
        tensor = step.layer.output
        if made.queue == "linear_stores":
            bits = BITS.get(format_of(tensor), tensor.bits)
            return ceil((made.raster[3] - made.raster[2]) * bits / (8 * self.bus))
        low, high = self.chunks[chunk_of(made)].rows
        return (high - low) * row_words(tensor, self.bus)

    def _ring_rows(self, made: Instruction) -> int:
        """Rows of the weight ring that a load fills."""
        if made.layer not in self._words:
            self._words[made.layer] = layer_words(self.program.steps[made.layer])
        spans = self._words[made.layer].spans
        return sum(words.rows for part in made.parts for words in spans[part])

    def _tiles(self, layer: int, step: Step) -> Sequence[PassReads]:
        if layer not in self._reads:
            assert step.tiling is not None
            self._reads[layer] = [*pass_reads(step.tiling)]
        return self._reads[layer]
