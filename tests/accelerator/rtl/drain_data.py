"""Layers for the drain side: random sums and constants, units back to back, and what must come."""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from tests.accelerator.rtl.front_data import record_fields

from esca.accelerator.arithmetic import requantized
from esca.accelerator.constants import LayerConstants
from esca.accelerator.hardware.bank_places import place_values
from esca.accelerator.hardware.dram_maps import unpacked_rows
from esca.accelerator.hardware.formats import row_words, stored_code
from esca.accelerator.layout import Layout
from esca.accelerator.mappings import Tiling
from esca.accelerator.rtl.accumulators import DRAINED_LATENCY
from esca.accelerator.rtl.column_constants import ConstantTable, unit_columns
from esca.accelerator.rtl.drain import DrainSizes
from esca.accelerator.rtl.epilogue_values import NO_PLACE, NO_RESULT, layer_values, result_values
from esca.accelerator.rtl.params import Parameters
from esca.accelerator.rtl.results import SENT_LATENCY
from esca.accelerator.rtl.texel_rows import drain_rows, packed_drain_rows
from esca.accelerator.unit_outputs import unit_outputs

SUM = 2**19


class Unit(NamedTuple):
    part: tuple[int, int]
    raster: tuple[int, int, int, int]
    chunk: int

    @property
    def rows(self) -> int:
        return (self.raster[1] - self.raster[0]) * (self.raster[3] - self.raster[2])


def units_of(tiling: Tiling, lines: int) -> list[Unit]:
    """All tiles of all passes, ``lines`` at once."""
    made = []
    for chunk, y0 in enumerate(range(0, max(p.y.rows for p in tiling.passes), lines)):
        for index, p in enumerate(tiling.passes):
            y1 = min(y0 + lines, p.y.rows)
            tiles = range(p.n_tiles if y1 > y0 else 0)
            made += [Unit((index, tile), (y0, y1, 0, p.x.rows), chunk) for tile in tiles]
    return made


def random_constants(layer, rng, texel_bits: int, slope: bool, ramp: bool) -> LayerConstants:
    """Sums of 20 bits spread over twice the output's grid, texel biases over a part of it."""
    channels = layer.output.channels
    phases = layer.stride if layer.kind == "conv_transpose2d" else 1
    top, guard = (1 << layer.output.bits) - 1, int(rng.integers(0, 9))
    grid = top + 1 << guard

    def factors(shape, scale):
        shift = rng.integers(18, 30, shape)
        mantissa = np.rint(scale * rng.uniform(0.3, 1.0, shape) * 2.0**shift).astype(np.int64)
        return np.clip(mantissa, -(2**17), 2**17 - 1), shift

    tables = {"bias": rng.integers(-grid, grid, channels) // 4}
    made = factors((channels, phases, phases), grid / SUM / 2)
    tables["mantissa"], tables["shift"] = made
    if texel_bits:
        made = factors((1, channels), grid / 2**texel_bits)
        tables["texel_mantissa"], tables["texel_shift"] = made
    tables["residual"] = np.array([1 << 16, 16 - int(rng.integers(0, 5))])
    if ramp:
        tables["ramp_mantissa"], tables["ramp_shift"] = factors((1, channels), grid / 2**12)
        tables["ramp_start"] = rng.integers(-(2**26), 2**26, (1, channels, 2))
        tables["ramp_step"] = rng.integers(-(2**21), 2**21, (1, channels, 2))
    scalars = {"guard": guard, "zero": int(rng.integers(0, top + 1)), "top": top}
    scalars["residual_zero"] = int(rng.integers(0, 16))
    return LayerConstants(scalars | ({"slope": 13107} if slope else {}), tables)


@dataclass
class Inputs:
    """Inputs of a run, in the cycles in which they come."""

    at: dict = field(default_factory=dict)

    def put(self, cycles, **values) -> None:
        """The same values in one cycle or several."""
        for name, value in values.items():
            for key, found in record_fields(value, name).items():
                self.at.setdefault(key, []).append((cycles, found))

    def run(self, simulation, cycles: int):
        given = {"sent__ready": np.ones(cycles, np.int64)}
        for name, entries in self.at.items():
            room = np.zeros((cycles, *simulation.inputs[name].places.shape), np.int64)
            for cycle, value in entries:
                room[cycle] = value
            given[name] = room
        return simulation.run(cycles, **given)


@dataclass
class LayerRun:
    """A layer of random integers on a bench: ``layout`` of its outputs in the banks, or ``stored``
    chunk by chunk; ``texel``: bits of stored biases; or a ``ramp``; bits of a ``residual``.
    """

    p: Parameters
    sizes: DrainSizes
    tiling: Tiling
    rng: np.random.Generator
    lines: int
    layout: Layout | None = None
    stored: bool = False
    texel: int = 0
    slope: bool = True
    ramp: bool = False
    residual: int = 0

    def check(self, simulation) -> int:
        """Returns the number of units."""
        layer, p = self.tiling.layer, self.p
        self.constants = random_constants(layer, self.rng, self.texel, self.slope, self.ramp)
        self.inputs, self.wanted = Inputs(), np.zeros(layer.output.shape, np.int64)
        self.units = units_of(self.tiling, self.lines)
        self._constants()
        first = now = len(self.table.entries) + p.columns + 2
        shown, free, ends, stores = now - p.columns, first, [], []
        for number, unit in enumerate(self.units):
            rows = self._sums(unit)
            now = max(now, free + self._texels(unit, number % 2, free))
            now = max(now, free + self._residuals(unit, number % 2, free))
            if self.stored and len(stores) > 1 and unit.chunk > len(stores) - 1:
                now = max(now, stores[-2][1])
            # The queue shows a record from the cycle behind the start of the one before.
            head = self._head(unit, number)
            shows = slice(shown, now + 1)
            self.inputs.put(shows, there=1, head=head, next_constants=head["constants"])
            self.inputs.put(now, start=1)
            begin = now + 1
            rows = np.repeat(rows, p.drain_turns, 0)
            shows = slice(begin + DRAINED_LATENCY, begin + DRAINED_LATENCY + len(rows))
            self.inputs.put(shows, drained=rows)
            ends.append(now + max(p.columns, len(rows)))
            shown, free, now = now + 1, begin + 2, ends[-1]
            last = number + 1 == len(self.units) or self.units[number + 1].chunk != unit.chunk
            if self.stored and last:
                begins = max(now + self.sizes.latency, stores[-1][1] if stores else 0)
                stores.append((begins, begins + self._store(unit.chunk, begins)))
        total = max(now, *(end for _, end in stores), 0) + self.sizes.latency + SENT_LATENCY + 1
        words = np.arange(self.sizes.bank_words)
        for word in words:
            self.inputs.put(total + word, address=word)
        seen = self.inputs.run(simulation, total + len(words) + 2)
        assert not seen["alarm"].any()
        np.testing.assert_array_equal(np.flatnonzero(seen["ending"]), ends)
        results = np.array(ends) + self.sizes.latency
        np.testing.assert_array_equal(np.flatnonzero(seen["resulting"]), results)
        addresses = np.concatenate([np.arange(unit.rows) for unit in self.units])
        addresses = np.repeat(addresses, p.drain_turns)
        np.testing.assert_array_equal(seen["drain_address"][seen["drain"] == 1], addresses)
        if self.layout is not None:
            banks = seen["words"][total + 2 :].transpose(1, 2, 0).astype(np.uint16)
            held = np.arange(layer.output.height)[-self.layout.ring_rows :]
            found = self.layout.get(banks, held)
            np.testing.assert_array_equal(found, self.wanted[:, held])
        for chunk, (begin, end) in enumerate(stores):
            self._check_store(seen, chunk, slice(begin + SENT_LATENCY, end + SENT_LATENCY))
        return len(self.units)

    def _constants(self) -> None:
        self.table, self.firsts, self.corrections = ConstantTable(self.p.columns), {}, {}
        for unit in self.units:
            columns = self.tiling.passes[unit.part[0]].tile_columns[unit.part[1]]
            if unit.part not in self.corrections:
                self.corrections[unit.part] = self.rng.integers(-(2**15), 2**15, columns)
            fix = self.corrections[unit.part]
            made = unit_columns(self.tiling, self.constants, unit.part, fix, unit.raster)
            self.firsts[unit] = self.table.add(made)
        for number, entry in enumerate(self.table.entries):
            self.inputs.put(number, constants={"en": 1, "address": number, "data": entry})

    def _sums(self, unit: Unit):
        """(rows, columns) of a unit, of no meaning where nothing becomes an output."""
        blocks = unit_outputs(self.tiling.layer, self.tiling, unit.part, unit.raster)
        sums = [self.rng.integers(-SUM, SUM, block.shape) for block in blocks]
        least = 1 << max(self.texel - 1, 0)
        self.texels = [self.rng.integers(-least, least, block.shape) for block in blocks]
        self.added = [self.rng.integers(0, 1 << self.residual, block.shape) for block in blocks]
        maps = self.added if self.residual else [None] * len(blocks)
        for block, sum_, texel, more in zip(blocks, sums, self.texels, maps, strict=True):
            added = [texel] if self.texel else []
            bias = self.constants.tables["bias"]
            made = requantized(self.constants, block, sum_, bias, added, more)
            self.wanted[slice(*block.channels), block.rows[:, None], block.columns] = made
        self.blocks = blocks
        ones = [np.ones(block.shape, int) for block in blocks]
        kept = drain_rows(blocks, unit.raster, ones, self.p.columns)
        placed = drain_rows(blocks, unit.raster, sums, self.p.columns)
        rows = np.where(kept, placed, self.rng.integers(-SUM, SUM, placed.shape))
        fix = self.corrections[unit.part]
        rows[:, : len(fix)] -= fix
        return rows

    def _texels(self, unit: Unit, half: int, begin: int) -> int:
        """Texel biases come from a cycle on; returns how many cycles that takes."""
        if not self.texel:
            return 0
        rows = drain_rows(self.blocks, unit.raster, self.texels, self.p.columns)
        words = packed_drain_rows(rows, self.texel, self.sizes.bus_bytes).view("<u4")
        for address, word in enumerate(words):
            write = {"en": 1, "half": half, "address": address, "data": word}
            self.inputs.put(begin + address, extras_write=write)
        return len(words)

    def _residuals(self, unit: Unit, half: int, begin: int) -> int:
        """The same of a residual, a word a place."""
        if not self.residual:
            return 0
        rows = drain_rows(self.blocks, unit.raster, self.added, self.p.columns)
        size = self.p.columns * self.residual
        for place, values in enumerate(rows):
            held = int((values << self.residual * np.arange(self.p.columns)).sum())
            part = int(self.rng.integers(0, 8 * self.sizes.bus_bytes // size))
            data = held << size * part | int(self.rng.integers(0, 1 << size * part))
            write = {"en": 1, "half": half, "place": place, "part": part, "data": data}
            write["nibbles"] = int(self.residual == 4)
            self.inputs.put(begin + place, residual_write=write)
        return len(rows)

    def _head(self, unit: Unit, number: int):
        part, raster = unit.part, unit.raster
        place, result = NO_PLACE, NO_RESULT
        if self.layout is not None:
            place = place_values(self.tiling, part, raster, self.layout)
        if self.stored:
            rows, half = self._rows(unit.chunk), unit.chunk % 2
            result = result_values(self.tiling, part, raster, rows, half, self.sizes.result_bytes)
        return {
            "lines": raster[1] - raster[0],
            "length": raster[3] - raster[2],
            "half": number % 2,
            "constants": self.firsts[unit],
            "texel": stored_code(self.texel),
            "ramp": int(self.ramp),
            "extras": number % 2,
            "residual": int(self.residual > 0),
            "residual_zero": self.constants.scalars["residual_zero"],
            "layer": layer_values(self.constants),
            "place": place,
            "result": result,
        }

    def _rows(self, chunk: int) -> tuple[int, int]:
        """Output rows of a chunk."""
        height, block = self.tiling.layer.output.height, self.tiling.layer.stride
        if self.tiling.mapping != "compressed":
            block = self.tiling.passes[0].y.positions
        return chunk * self.lines * block, min((chunk + 1) * self.lines * block, height)

    def _store(self, chunk: int, cycle: int) -> int:
        """Returns the cycles that it takes."""
        low, high = self._rows(chunk)
        tensor, bus = self.tiling.layer.output, self.sizes.bus_bytes
        size = {"row_bytes": tensor.row_bytes, "rows": high - low, "half": chunk % 2}
        store = {**size, "dram": 0, "pitch": 0, "tens": tensor.bits in (9, 10)}
        self.inputs.put(cycle, store_start=1, store=store)
        return (high - low) * row_words(tensor, bus)

    def _check_store(self, seen, chunk: int, span: slice) -> None:
        low, high = self._rows(chunk)
        assert seen["sent__valid"][span].all()
        words = seen["sent__payload"][span].astype("<u4").view(np.uint8)
        found = unpacked_rows(self.tiling.layer.output, words.reshape(high - low, -1))
        np.testing.assert_array_equal(found, self.wanted[:, low:high])
