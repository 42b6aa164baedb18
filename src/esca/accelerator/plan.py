"""One layer as a stream of work: chunks of rows, and in each the units that engines execute.

A chunk is what half of the accumulators can hold. A unit is what is drained from them at once: all
reduction tiles of one tile of outputs. Chunks and units run in order.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from math import ceil
from typing import Literal

from esca.accelerator.closed_form import pipeline_cycles
from esca.accelerator.config import ACCUMULATOR_BYTES, AcceleratorConfig
from esca.accelerator.mappings import Tiling, candidate_tilings
from esca.accelerator.overlap import PIPELINE_PLACES, overlap_banks
from esca.accelerator.reads import pass_reads
from esca.accelerator.workload import ARRAY_KINDS, ELEMENTWISE_KINDS, MOVE_KINDS, WorkLayer
from esca.errors import EscaError

Engine = Literal["array", "linear", "epilogue", "move", "upsample", "grid_sample"]

LINEAR_UNIT_BYTES = 16384
"""Weights that the linear engine fetches at once; it holds two of these."""


LINEAR_GROUP = 16
"""Outputs of which the RTL stores whole words, at 4 bits on a bus of 8 bytes and all above."""


@dataclass(frozen=True)
class Unit:
    """Work that ends in one drain.

    ``cycles``: on the layer's engine; ``stalled`` of them wait for weight tiles or accumulator
    banks. ``epilogue``: cycles of the epilogue that follows on its own engine; ``drained``: whether
    one follows, or the unit's sums are drained with those of the next. ``values``: results
    of the unit. ``part``: (pass, tile of outputs), which says which weights it reads. ``raster``:
    the rectangle (y0, y1, x0, x1) that it covers: of the pass's streamed rows on the array, of the
    output's rows and columns (of a vector: 0, 1 and a range of values) on other engines.
    """

    cycles: int
    stalled: int
    epilogue: int
    values: int
    part: tuple[int, int] = (0, 0)
    raster: tuple[int, int, int, int] = (0, 0, 0, 0)
    drained: bool = True


@dataclass(frozen=True)
class Chunk:
    """Units that bring a layer's output up to row ``output_rows``.

    They read operand ``i`` from row ``first_rows[i]`` up to ``input_rows[i]``.
    """

    output_rows: int
    first_rows: tuple[int, ...]
    input_rows: tuple[int, ...]
    units: tuple[Unit, ...]


@dataclass(frozen=True, eq=False)
class LayerPlan:
    """A layer, the engine that runs it and its chunks. ``tiling`` is set on the array alone."""

    layer: WorkLayer
    engine: Engine
    chunks: tuple[Chunk, ...]
    tiling: Tiling | None = None

    @property
    def units(self) -> tuple[Unit, ...]:
        """Units of all chunks, in order."""
        return tuple(unit for chunk in self.chunks for unit in chunk.units)

    @property
    def cycles(self) -> int:
        """Cycles of the layer's engine."""
        return sum(unit.cycles for unit in self.units)

    def window_rows(self, index: int) -> int:
        """Rows of operand ``index`` on chip at once: what a chunk reads and what the next one adds,
        which is fetched meanwhile.
        """
        firsts = [chunk.first_rows[index] for chunk in self.chunks]
        ends = [chunk.input_rows[index] for chunk in self.chunks]
        return max(end - first for first, end in zip(firsts, [*ends[1:], ends[-1]], strict=True))

    @cached_property
    def chunk_rows(self) -> int:
        """Most output rows of a chunk."""
        ends = [0, *(chunk.output_rows for chunk in self.chunks)]
        return max(b - a for a, b in pairwise(ends))

    def standalone_cycles(self, config: AcceleratorConfig) -> int:
        """Cycles of the layer alone with all operands at hand; see :func:`pipeline_cycles`."""
        together, array = [], 0
        for unit in self.units:
            array += unit.cycles
            if unit.drained:
                together.append((array, unit.epilogue))
                array = 0
        return pipeline_cycles(
            together,
            config.array.rows + config.array.columns - 2,
            config.engines.epilogue_latency_cycles,
        )


def plan_layer(layer: WorkLayer, config: AcceleratorConfig) -> LayerPlan:
    """The fastest plan of a layer: a search over the exact cycles of every mapping and tiling.

    Of equally fast plans the earlier mapping in the configuration wins, then the smaller block.
    """
    if layer.kind not in ARRAY_KINDS:
        return _engine_plan(layer, config)
    if layer.kind == "linear" and config.engines.linear_lanes and layer.residual is None:
        return _linear_plan(layer, config)
    best: tuple[int, int, LayerPlan] | None = None
    refused: EscaError | None = None
    tilings = enumerate(candidate_tilings(layer, config))
    for rank, tiling in sorted(tilings, key=lambda item: item[1].ideal_cycles):
        if best is not None and tiling.ideal_cycles > best[0]:
            break  # no plan is faster than its tiles times rows
        try:
            plan = plan_tiling(tiling, config)
        except EscaError as error:
            refused = error
            continue
        found = (plan.standalone_cycles(config), rank, plan)
        best = found if best is None else min(best, found, key=lambda item: item[:2])
    if best is None:
        raise refused or EscaError(f"layer {layer.name!r}: no tiling fits {config.name}")
    return best[2]


def plan_tiling(tiling: Tiling, config: AcceleratorConfig) -> LayerPlan:
    """Chunks and units of one tiling; EscaError where the accumulators are too small, or banked
    activations have no way to the array for what it reads.
    """
    if config.buffers.banked:
        list(pass_reads(tiling))  # refuses what has no way
    chunks = _scatter_chunks if tiling.mapping == "scatter" else _gather_chunks
    return LayerPlan(tiling.layer, "array", tuple(chunks(tiling, config)), tiling)


def _gather_chunks(tiling: Tiling, config: AcceleratorConfig) -> Iterator[Chunk]:
    """Chunks of whole rows of blocks; a row of blocks that is too long is cut into segments."""
    layer, capacity = tiling.layer, config.accumulator_rows
    longest = max(p.x.rows for p in tiling.passes)
    segments = ceil(longest / capacity)
    block = layer.stride if tiling.mapping == "compressed" else tiling.passes[0].y.positions
    step = block * layer.stride if layer.kind == "conv2d" else max(1, block // layer.stride)
    height = _window_limit(layer, max(1, capacity // longest), step, config)
    height = _result_limit(layer, height, block, config)
    total = max(p.y.rows for p in tiling.passes)
    for start in range(0, total, height):
        stop = min(total, start + height)
        units = []
        for index, p in enumerate(tiling.passes):
            lines = min(stop, p.y.rows) - start
            cuts = [p.x.rows * i // segments for i in range(segments + 1)]
            for low, high in pairwise(cuts):
                raster = (start, start + lines, low, high)
                for tile in range(p.n_tiles if lines > 0 else 0):
                    values = p.results(tile, raster)
                    # Sums that are cropped are drained with the others.
                    sums = lines * (high - low) * p.tile_columns[tile]
                    units.append(_unit(tiling, config, values, (index, tile), raster, sums))
        rows = min(layer.output.height, stop * block)
        first = layer.first_input_row(start * block)
        yield Chunk(rows, (first,), (layer.input_rows(rows),), tuple(units))


def _window_limit(layer: WorkLayer, height: int, step: int, config: AcceleratorConfig) -> int:
    """Fewer rows of blocks a chunk, ``step`` input rows each, where two chunks of input would take
    more than a quarter of the activation buffer.
    """
    tensor = layer.input
    rows = config.buffers.activation_bytes // 4 // tensor.row_bytes - layer.kernel[0]
    return height if rows >= tensor.height else max(1, min(height, rows // (2 * step)))


def _result_limit(layer: WorkLayer, height: int, block: int, config: AcceleratorConfig) -> int:
    """Fewer rows of blocks a chunk, ``block`` output rows each, where a map that does not stay on
    chip as a whole would not fit a half of the results: the RTL stores a chunk at once. Maps of up
    to a quarter of the activation buffer may stay there; those that fit a half anyway are not cut.
    """
    made, buffers = layer.output, config.buffers
    if not buffers.banked or made.bytes <= min(buffers.activation_bytes, buffers.output_bytes) // 4:
        return height
    line = ceil(made.row_bytes / config.memory.dma_bytes_per_cycle)
    rows = buffers.output_bytes // 4 // (line * config.memory.dma_bytes_per_cycle)
    return max(1, min(height, rows // block))


def _unit(
    tiling: Tiling,
    config: AcceleratorConfig,
    values: int,
    part: tuple[int, int],
    raster: tuple[int, int, int, int],
    sums: int | None,
) -> Unit:
    """``sums`` that are drained after it, if any are."""
    p = tiling.passes[part[0]]
    columns, (y0, y1, x0, x1) = p.tile_columns[part[1]], raster
    rows = (y1 - y0) * (x1 - x0)
    hits = ceil(columns / config.buffers.accumulator_banks)
    # The next tile's weights shift in while this one streams, one tile ahead and no more.
    cycles = p.k_tiles * max(rows * hits, tiling.load_cycles)
    epilogue = ceil((sums or 0) / config.engines.epilogue_lanes)
    stalled = cycles - p.k_tiles * rows
    return Unit(cycles, stalled, epilogue, values, part, raster, sums is not None)


def _carrying_height(tiling: Tiling, config: AcceleratorConfig) -> int:
    """Most input rows a chunk where sums that later rows still add to stay in the accumulators."""
    layer, (p,) = tiling.layer, tiling.passes
    s = layer.stride if layer.kind == "conv_transpose2d" else 1
    kernel_y, kernel_x = layer.kernel
    line = max(s * (p.x.rows - 1) + kernel_x, layer.output.width) * ACCUMULATOR_BYTES
    together = max(1, p.array_columns // p.group)
    carried = (kernel_y - 1) // s * s * line * p.out_channels
    half = config.buffers.accumulator_bytes // 2
    lines = (half - carried) // (line * together)
    reach = max(kernel_y, s) + layer.output_padding  # output rows that one input row may complete
    height = (lines - reach) // s + 1
    if height < 1:
        needed = carried + reach * line * together
        raise EscaError(
            f"layer {layer.name!r}: mapping scatter needs {2 * needed} bytes of accumulators, "
            f"buffers.accumulator_bytes is {2 * half}"
        )
    return _window_limit(layer, height, 1, config)


def _overlap_height(tiling: Tiling, config: AcceleratorConfig) -> int:
    """Most input rows a chunk in banks of accumulators, of which a chunk carries lines on."""
    layer, rows = tiling.layer, config.accumulator_rows
    banks = overlap_banks(layer, config.array.columns)
    length, carried = banks.length(layer.output.width), banks.carried_lines(layer)
    groups = ceil(layer.output.channels / banks.together)
    where = f"layer {layer.name!r}: mapping scatter"
    least = max(1, ceil(carried / layer.stride))  # what is carried on was not carried before
    height = (rows // length - carried - layer.output_padding) // layer.stride
    if height >= least:
        height = _window_limit(layer, height, 1, config)
        # The last chunk completes what was carried, too.
        height = _result_limit(layer, height + least, layer.stride, config) - least
    if height < min(least, layer.input.height):
        needed = (least * layer.stride + carried) * length
        raise EscaError(
            f"{where} needs {needed} rows in half of the accumulators, and as many results, "
            f"buffers.accumulator_bytes holds {rows}"
        )
    if height < layer.input.height and not PIPELINE_PLACES <= carried * length <= rows // groups:
        raise EscaError(
            f"{where} carries {groups} times {carried * length} rows of accumulators, expected "
            f"{PIPELINE_PLACES} or more, and all in {rows}"
        )
    return height


def _scatter_chunks(tiling: Tiling, config: AcceleratorConfig) -> Iterator[Chunk]:
    """Chunks of input rows; sums that later rows still add to are kept."""
    layer, (p,) = tiling.layer, tiling.passes
    banked = config.buffers.banked
    height = (_overlap_height if banked else _carrying_height)(tiling, config)
    done = 0
    for start in range(0, p.y.rows, height):
        stop = min(p.y.rows, start + height)
        complete = layer.output.height if stop == p.y.rows else complete_rows(layer, stop)
        units = []
        raster = (start, stop, 0, p.x.rows)
        for tile in range(p.n_tiles):
            low, high = p.completed(tile)
            values = (complete - done) * layer.output.width * (high - low)
            sums = values if high > low else None
            if banked and sums is not None:
                lines = drained_lines(layer, raster)
                length = overlap_banks(layer, config.array.columns).length(layer.output.width)
                sums = (lines[1] - lines[0]) * length * config.array.columns
            units.append(_unit(tiling, config, values, (0, tile), raster, sums))
        # A residual of the same map is read where the sums are complete, above the rows streamed.
        first = min(start, done) if layer.residual == layer.input else start
        done = complete
        yield Chunk(complete, (first,), (stop,), tuple(units))


def drained_lines(layer: WorkLayer, raster: tuple[int, int, int, int]) -> tuple[int, int]:
    """Output rows (from, to) that a unit of ``scatter`` adds to or completes: a raster's input rows
    reach them.
    """
    done, complete = scatter_rows(layer, raster)
    reach = raster[1] + layer.padding
    if layer.kind == "conv_transpose2d":
        reach = (raster[1] - 1) * layer.stride - layer.padding + layer.kernel[0]
    return done, max(complete, min(layer.output.height, reach))


def scatter_rows(layer: WorkLayer, raster: tuple[int, int, int, int]) -> tuple[int, int]:
    """Output rows (from, to) that the input rows of a raster complete."""
    done = complete_rows(layer, raster[0]) if raster[0] else 0
    last = raster[1] == layer.input.height
    return done, layer.output.height if last else complete_rows(layer, raster[1])


def complete_rows(layer: WorkLayer, input_rows: int) -> int:
    """Output rows to which no input row from ``input_rows`` on adds."""
    if layer.kind == "conv_transpose2d":
        rows = input_rows * layer.stride - layer.padding
    else:
        rows = input_rows + layer.padding - layer.kernel[0] + 1
    return max(0, min(layer.output.height, rows))


def _linear_plan(layer: WorkLayer, config: AcceleratorConfig) -> LayerPlan:
    """Fully connected: weights stream from DRAM through the vector engine, outputs in parts."""
    lanes, outputs = config.engines.linear_lanes, layer.output.values
    parts = max(1, min(outputs, ceil(layer.weight_bytes / LINEAR_UNIT_BYTES)))
    cuts = [outputs * i // parts for i in range(parts + 1)]
    if config.buffers.banked:  # the RTL stores whole words
        groups = max(1, LINEAR_UNIT_BYTES // (layer.input.values * LINEAR_GROUP))
        cuts = [*range(0, outputs, groups * LINEAR_GROUP), outputs]
    units = [
        Unit(ceil((b - a) * layer.input.values / lanes), 0, 0, b - a, (0, i), (0, 1, a, b))
        for i, (a, b) in enumerate(pairwise(cuts))
    ]
    return LayerPlan(layer, "linear", (Chunk(1, (0,), (1,), tuple(units)),))


def _engine_plan(layer: WorkLayer, config: AcceleratorConfig) -> LayerPlan:
    """Elementwise layers, moves, upsample and grid-sample: some rows at a time."""
    engines, output = config.engines, layer.output
    rates: dict[Engine, tuple[int, int]] = {
        "epilogue": (engines.epilogue_lanes, output.channels),
        "move": (engines.move_values_per_cycle, output.channels),
        "upsample": (engines.upsample_values_per_cycle, output.channels),
        "grid_sample": (engines.grid_samples_per_cycle, 1),
    }
    engine = _engine_of(layer)
    rate, per_texel = rates[engine]
    if not rate:
        raise EscaError(f"layer {layer.name!r}: {config.name} has no {engine} engine")
    height = max(1, config.buffers.output_bytes // 4 // output.row_bytes)
    if len(output.shape) == 1 or layer.kind == "reshape":
        height = output.height
    while height > 1 and _window_bytes(layer, height, config) > config.buffers.activation_bytes:
        height = ceil(height / 2)
    chunks = []
    for start in range(0, output.height, height):
        stop = min(output.height, start + height)
        values = (stop - start) * output.width * output.channels
        cycles = ceil(values // output.channels * per_texel / rate)
        operands, window = range(len(layer.inputs)), engines.grid_window_rows
        firsts = tuple(layer.first_input_row(start, index, window) for index in operands)
        ends = tuple(layer.input_rows(stop, index, window) for index in operands)
        unit = Unit(cycles, 0, 0, values, raster=(start, stop, 0, output.width))
        chunks.append(Chunk(stop, firsts, ends, (unit,)))
    return LayerPlan(layer, engine, tuple(chunks))


def _window_bytes(layer: WorkLayer, height: int, config: AcceleratorConfig) -> int:
    """Bytes of the rows that a chunk of ``height`` output rows reads, with those that are fetched
    for the next, at most.
    """
    total, window = 0, config.engines.grid_window_rows
    for index, tensor in enumerate(layer.inputs):
        starts = range(0, layer.output.height, height)
        rows = max(
            layer.input_rows(start + 2 * height, index, window)
            - layer.first_input_row(start, index, window)
            for start in starts
        )
        total += min(rows, tensor.height) * tensor.row_bytes
    return total


def _engine_of(layer: WorkLayer) -> Engine:
    if layer.kind in ELEMENTWISE_KINDS:
        return "epilogue"
    if layer.kind in MOVE_KINDS:
        return "move"
    if layer.kind == "upsample":
        return "upsample"
    if layer.kind == "grid_sample":
        return "grid_sample"
    raise EscaError(f"layer {layer.name!r}: no engine runs {layer.kind}")


def split(total: int, shares: list[int]) -> list[int]:
    """``total`` cut into whole numbers, nearly in proportion to ``shares``, that sum to it."""
    whole, seen, done = max(1, sum(shares)), 0, 0
    pieces = []
    for share in shares:
        seen += share
        pieces.append(total * seen // whole - done)
        done += pieces[-1]
    if sum(shares) == 0 and pieces:
        pieces[-1] += total - done
    return pieces
