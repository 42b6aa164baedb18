"""Layers for the front end: their maps in the banks, units back to back, and what PEs then see."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from esca.accelerator.arithmetic import centred, streamed
from esca.accelerator.hardware.latencies import FRONT_LATENCY
from esca.accelerator.layout import find_layout
from esca.accelerator.mappings import Tiling
from esca.accelerator.reads import PassReads, chosen, pass_reads
from esca.accelerator.rtl.streams import stream_values


class Unit(NamedTuple):
    """A pass and the rows (y0, y1, x0, x1) of it that are streamed; ``cycles`` that this takes."""

    part: int
    raster: tuple[int, int, int, int]
    cycles: int


def units_of(tiling: Tiling, lines: int, cuts: int = 1) -> list[Unit]:
    """All rows of all passes, ``lines`` at once, in ``cuts`` segments."""
    made = []
    for part, (p, reads) in enumerate(zip(tiling.passes, pass_reads(tiling), strict=True)):
        for y in range(0, p.y.rows, lines):
            for cut in range(cuts):
                x0, x1 = (p.x.rows * (cut + i) // cuts for i in (0, 1))
                raster = (y, min(y + lines, p.y.rows), x0, x1)
                rows = (raster[1] - y) * (x1 - x0)
                if rows:
                    cycles = reads.k_tiles * max(rows, tiling.load_cycles)
                    made.append(Unit(part, raster, cycles))
    return made


def check_layer(simulation, words, tiling: Tiling, lines, rng, ring=0, base=0, cuts=1) -> int:
    """Stream a whole layer of random integers; everything that a PE with a weight is offered must
    be what the simulator's array sees, in its cycle. ``words``: of a sub-bank; ``ring``: rows held,
    0 for the whole map. Returns the number of runs, between which rows come in.
    """
    layer, rows = tiling.layer, tiling.array.rows
    x, top = layer.input, (1 << layer.input.bits) - 1
    values, zero = rng.integers(0, top + 1, x.shape), int(rng.integers(0, top + 1))
    layout = find_layout(x, [tiling], ring or x.height)
    layout = replace(layout, base=base)
    assert base + layout.words <= words
    reads = list(pass_reads(tiling))
    banks = rng.integers(0, 1 << 16, (rows, 4, words)).astype(np.uint16)
    framed, held = centred(values, zero, 1), 0
    units = units_of(tiling, lines, cuts)
    batches = [units]
    if ring:  # from the top down, all passes of some lines at once
        starts = sorted({unit.raster[0] for unit in units})
        batches = [[unit for unit in units if unit.raster[0] == start] for start in starts]
    for batch in batches:
        needed = [_needed(tiling, unit) for unit in batch]
        high = max(held, *(b for _, b in needed)) if ring else x.height
        assert high - min(a for a, _ in needed) <= layout.ring_rows
        layout.put(banks, np.arange(held, high), values[:, held:high])
        held = high
        _run(simulation, tiling, batch, reads, layout, banks, framed, zero)
    return len(batches)


def _needed(tiling: Tiling, unit: Unit) -> tuple[int, int]:
    y0, y1 = unit.raster[:2]
    met = tiling.passes[unit.part].y.input[y0:y1]
    return int(met[met >= 0].min()), int(met.max()) + 1


def _run(simulation, tiling, units, reads, layout, banks, framed, zero):
    words = banks.shape[2]
    begins = words + np.cumsum([0, *(unit.cycles for unit in units)])
    total = int(begins[-1]) + FRONT_LATENCY + 1
    given = {
        "other__write": np.zeros((total, *banks.shape[:2]), np.int64),
        "other__address": np.zeros((total, *banks.shape[:2]), np.int64),
        "other__data": np.zeros((total, *banks.shape[:2]), np.int64),
        "start": np.zeros(total, np.int64),
    }
    given["other__write"][:words] = 3
    given["other__address"][:words] = np.arange(words)[:, None, None]
    given["other__data"][:words] = banks.transpose(2, 0, 1)
    for number, (unit, begin) in enumerate(zip(units, begins, strict=False)):
        record = stream_values(tiling, reads[unit.part], layout, unit.raster, zero, number % 2)
        given["start"][begin - 1] = 1
        for name, value in record_fields(record).items():
            field = given.setdefault(name, np.zeros((total, *np.shape(value)), np.int64))
            field[begin - 1] = value
    seen = simulation.run(total, **given)
    assert not seen["alarm"].any()
    np.testing.assert_array_equal(np.flatnonzero(seen["ending"]), begins[1:] - 1)
    for number, (unit, begin) in enumerate(zip(units, begins, strict=False)):
        _check_unit(seen, tiling, unit, reads[unit.part], number % 2, begin, framed, zero)


def record_fields(value, name="record"):
    """Fields of the simulation's port ``record`` from nested values."""
    if not isinstance(value, dict):
        return {name: np.array(value, np.int64)}
    inner = (record_fields(part, f"{name}__{key}") for key, part in value.items())
    return {key: found for fields in inner for key, found in fields.items()}


def _check_unit(seen, tiling, unit, reads: PassReads, half, begin, framed, zero):
    p = tiling.passes[unit.part]
    y0, y1, x0, x1 = unit.raster
    rows = (y1 - y0) * (x1 - x0)
    tile_cycles = unit.cycles // reads.k_tiles
    cycles = begin + FRONT_LATENCY + np.arange(unit.cycles).reshape(reads.k_tiles, -1)
    assert cycles.shape[1] == tile_cycles
    token = {name: seen[f"token__{name}"][cycles] for name in ("valid", "first", "half", "address")}
    assert (token["valid"] == (np.arange(tile_cycles) < rows)).all()
    assert (token["first"][:, :rows] == (np.arange(reads.k_tiles) == 0)[:, None]).all()
    assert (token["half"][:, :rows] == half).all()
    assert (token["address"][:, :rows] == np.arange(rows)).all()
    assert (seen["swap"][cycles - 1] == (np.arange(tile_cycles) == 0)).all()
    offers = _values(tiling, seen["offers"][cycles[:, :rows]], zero)
    channels, atom = tiling.layer.input.channels, tiling.macs_per_pe
    row = np.arange(channels) // atom
    wide = tiling.array.rows // reads.places  # rows of the array for a pixel
    for position in np.ndindex(p.y.positions, p.x.positions):
        expected = streamed(framed, 0, p, unit.raster, position)
        expected = expected.reshape(p.y.slots, p.x.slots, channels, rows)
        lines, across = p.y.output[y0:y1, position[0]], p.x.output[x0:x1, position[1]]
        kept = ((lines >= 0)[:, None] & (across >= 0)).ravel()
        for slot in np.ndindex(p.y.slots, p.x.slots):
            if p.y.tap[slot[0], position[0]] < 0 or p.x.tap[slot[1], position[1]] < 0:
                continue
            group_y, inner_y = divmod(slot[0], 1 << reads.together.y)
            group_x, inner_x = divmod(slot[1], 1 << reads.together.x)
            tile = (group_y * len(reads.groups("x")) + group_x) * reads.deep + row // wide
            lane = (inner_y << reads.together.x | inner_x) * wide + row % wide
            choice = chosen(p, reads, slot, position)
            found = offers[tile, :, lane, choice, np.arange(channels) % atom]
            np.testing.assert_array_equal(found[:, kept], expected[slot][:, kept])


def _values(tiling: Tiling, digits, zero):
    """(..., macs) integers without their zero point, of digits that do not have it."""
    if digits.shape[-1] == 1:
        return digits - zero
    _weight_bits, bits = tiling.widths
    pairs = digits[..., ::2] + 16 * digits[..., 1::2]
    match tiling.mode, bits:
        case "4x4", _:
            return digits - zero
        case "4x8", 8:
            return pairs - zero
        case "4x8", _:
            assert (digits[..., ::2] == digits[..., 1::2]).all()
            return digits[..., ::2] - zero
    assert (pairs[..., 0] == pairs[..., 1]).all()
    return pairs[..., :1] - zero
