"""Layers for the path of the array: maps and weights in place, units as the simulator starts them,
and the sums that it takes.
"""

from collections import defaultdict
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from tests.accelerator.rtl.front_data import record_fields

from esca.accelerator.arithmetic import centred, streamed, whole
from esca.accelerator.events import Job, simulate
from esca.accelerator.hardware.latencies import CONTROL_CYCLES, array_latency
from esca.accelerator.hardware.weight_words import tile_words
from esca.accelerator.layout import find_layout
from esca.accelerator.mappings import Tiling
from esca.accelerator.plan import Unit, plan_tiling
from esca.accelerator.reads import pass_reads
from esca.accelerator.rtl.accumulators import DRAINED_LATENCY
from esca.accelerator.rtl.compiled import Simulation
from esca.accelerator.rtl.feed_record import feed_values
from esca.accelerator.rtl.path import Path
from esca.accelerator.rtl.ring import row_bytes
from esca.accelerator.rtl.streams import stream_values
from esca.accelerator.unit_outputs import unit_outputs
from esca.accelerator.weights import tile_weights

BLOCK = 4096


class Script:
    """What a simulation's inputs are in which cycle, 0 where nothing is said."""

    def __init__(self) -> None:
        self.said: dict[int, dict[str, Any]] = defaultdict(dict)

    def say(self, cycle: int, **values: Any) -> None:
        self.said[cycle].update(values)

    def run(self, simulation: Simulation, cycles: int, wanted: tuple[str, ...]) -> dict[str, Any]:
        """Outputs of each cycle."""
        found: dict[str, list] = {name: [] for name in wanted}
        for begin in range(0, cycles, BLOCK):
            count = min(BLOCK, cycles - begin)
            given: dict[str, np.ndarray] = {}
            for cycle in range(begin, begin + count):
                for name, value in self.said.get(cycle, {}).items():
                    shape = (count, *simulation.inputs[name].places.shape)
                    given.setdefault(name, np.zeros(shape, np.int64))[cycle - begin] = value
            seen = simulation.run(count, **given)
            for name in wanted:
                found[name].append(seen[name])
        return {name: np.concatenate(parts) for name, parts in found.items()}


class Case(NamedTuple):
    """A layer's tiling and units, its map (C, H, W) with its ``zero``, ``weights`` (out, ky, kx,
    in).
    """

    tiling: Tiling
    units: list[Unit]
    values: np.ndarray
    zero: int
    weights: np.ndarray

    def matrix(self, part):
        """(slots, input channels, columns) of a tile."""
        held = tile_weights(self.tiling, part)
        return held.matrix(self.weights.reshape(-1, self.weights.shape[-1])[held.pairs])


def random_case(tiling: Tiling, config, rng, units: int | None = None) -> Case:
    layer = tiling.layer
    bits, weight_bits = layer.input.bits, layer.weight_bits
    values = rng.integers(0, 1 << bits, layer.input.shape)
    shape = (layer.output.channels, *layer.kernel, layer.input.channels)
    half = 1 << (weight_bits - 1)
    weights = rng.integers(-half, half, shape).astype(np.int8)
    planned = [*plan_tiling(tiling, config).units][:units]
    return Case(tiling, planned, values, int(rng.integers(0, 1 << bits)), weights)


def place_case(script: Script, path: Path, case: Case, rng):
    """Write map and weights; the map's layout and the ring's row of every part."""
    layout = find_layout(case.tiling.layer.input, [case.tiling], case.tiling.layer.input.height)
    layout = replace(layout, base=int(rng.integers(0, path.words - layout.words + 1)))
    banks = rng.integers(0, 1 << 16, (path.p.rows, 4, path.words)).astype(np.uint16)
    layout.put(banks, np.arange(case.tiling.layer.input.height), case.values)
    for word in range(path.words):
        script.say(word, other__write=3, other__address=word, other__data=banks[:, :, word])
    rows: dict[bytes, int] = {}
    row, cycle = int(rng.integers(0, path.rows)), 0
    for part in sorted({unit.part for unit in case.units}):
        words = tile_words(case.tiling, part)
        if words.key in rows:
            continue
        rows[words.key] = row
        stored = words.packed(case.matrix(part)).reshape(-1, path.bus_bytes)
        for number, piece in enumerate(stored):
            script.say(
                cycle,
                weights__valid=1,
                weights__ring=row,
                weights__word=number,
                weights__data=piece,
            )
            cycle += 1
        row = (row + len(stored) * path.bus_bytes // row_bytes(path.p)) % path.rows
    assert sum(words.rows for words in _distinct(case)) <= path.rows
    return layout, rows, max(cycle, path.words) + 2


def _distinct(case):
    return {w.key: w for w in (tile_words(case.tiling, u.part) for u in case.units)}.values()


class Times(NamedTuple):
    """Cycles in which jobs start or give their result, as the simulator says, by unit."""

    array: list[int]
    feed: list[int]
    feed_results: list[int]
    feed_ends: list[int]
    drains: list[int]


def unit_times(p, units, cycles, tile_cycles, loads, begin) -> Times:
    """``cycles`` and ``tile_cycles`` of every unit; ``loads``: cycles of a load of weights before
    each.
    """
    jobs: list[Job] = []
    for number, (unit, busy) in enumerate(zip(units, cycles, strict=True)):
        y0, y1, x0, x1 = unit.raster
        at = len(jobs)
        jobs.append(Job("weights", loads[number], p.rows))
        reuses = [at - 4] if number > 1 else []
        jobs.append(Job("array", busy, array_latency(p.rows, p.columns, p.digits), [at], reuses))
        jobs.append(Job("epilogue", (y1 - y0) * (x1 - x0), 0, [at + 1]))
    starts = [begin + start for start in simulate(jobs, {})]
    weights, array, drains = starts[::3], starts[1::3], starts[2::3]
    feed, results, ends = [], [], []
    free, head = begin, begin
    for number, (start, busy, tile) in enumerate(zip(array, cycles, tile_cycles, strict=True)):
        free = max(free, weights[number] + loads[number])
        feed.append(free)
        heads = [head, *(start + i * tile for i in range(busy // tile))]
        for tile_number, before in enumerate(heads[:-1]):
            free = max(free, before) + p.rows
            if not tile_number:
                results.append(free)
        ends.append(free)
        head = heads[-1]
    return Times(array, feed, results, ends, drains)


def check_case(simulation: Simulation, path: Path, case: Case, rng, late: int = 0) -> Times:
    """Run all units; sums must be the simulator's, every cycle as it says. ``late``: most cycles
    that a load of weights takes.
    """
    script, p = Script(), path.p
    layout, rows, begin = place_case(script, path, case, rng)
    reads = [*pass_reads(case.tiling)]
    tiles, cycles = [], []
    for unit in case.units:
        y0, y1, x0, x1 = unit.raster
        tiles.append(max((y1 - y0) * (x1 - x0), case.tiling.load_cycles))
        cycles.append(reads[unit.part[0]].k_tiles * tiles[-1])
        if reads[unit.part[0]].k_tiles == case.tiling.passes[unit.part[0]].k_tiles:
            assert cycles[-1] == unit.cycles
    loads = [int(n) for n in rng.integers(1, late + 1, len(case.units))] if late else None
    times = unit_times(p, case.units, cycles, tiles, loads or [1] * len(case.units), begin + 1)
    for number, unit in enumerate(case.units):
        mine = reads[unit.part[0]]
        stream = stream_values(case.tiling, mine, layout, unit.raster, case.zero, number % 2)
        words = tile_words(case.tiling, unit.part)
        feed = feed_values(case.tiling, mine, words, unit.part, rows[words.key])
        script.say(times.array[number] - 1, array_start=1, **record_fields(stream, "array_record"))
        script.say(times.feed[number] - 1, feed_start=1, **record_fields(feed, "feed_record"))
        for address in range(_places(unit)):
            script.say(
                times.drains[number] + address,
                drain=1,
                drain_half=number % 2,
                drain_address=address,
            )
    total = times.drains[-1] + _places(case.units[-1]) + 3
    pulses = ("array_ending", "array_resulting", "feed_ending", "feed_resulting")
    seen = script.run(simulation, total, (*pulses, "drained", "alarm"))
    assert not seen["alarm"].any()
    ends = np.array(times.array) + cycles
    for name, wanted in (
        ("array_ending", ends),
        ("array_resulting", ends + array_latency(p.rows, p.columns, p.digits)),
        ("feed_ending", np.array(times.feed_ends) - CONTROL_CYCLES),
        ("feed_resulting", np.array(times.feed_results) - CONTROL_CYCLES),
    ):
        np.testing.assert_array_equal(np.flatnonzero(seen[name]), np.array(wanted) - 1, name)
    framed = centred(case.values, case.zero, 1 << 31)
    for number, unit in enumerate(case.units):
        at = times.drains[number] + DRAINED_LATENCY + np.arange(_places(unit))
        _check_sums(case, unit, framed, seen["drained"][at])
    return times


def _places(unit):
    y0, y1, x0, x1 = unit.raster
    return (y1 - y0) * (x1 - x0)


def _check_sums(case, unit, framed, drained):
    """The sums of a unit (places, columns), the zero point's share taken from them."""
    p = case.tiling.passes[unit.part[0]]
    matrix = case.matrix(unit.part).astype(np.int64)
    y0, y1, x0, x1 = unit.raster
    matrix = matrix.reshape(-1, matrix.shape[2])
    found = drained - case.zero * np.pad(matrix.sum(0), (0, drained.shape[1] - matrix.shape[1]))
    column = 0
    for block in unit_outputs(case.tiling.layer, case.tiling, unit.part, unit.raster):
        x = streamed(framed, 0, p, unit.raster, block.position)
        width = block.channels[1] - block.channels[0]
        wanted = whole(matrix[:, column : column + width].T @ x)
        mine = found[:, column : column + width].T
        shape = (width, y1 - y0, x1 - x0)
        kept = (slice(None), block.lines[:, None], block.across)
        np.testing.assert_array_equal(mine.reshape(shape)[kept], wanted.reshape(shape)[kept])
        column += width
