"""Rows from memory lie in the banks where their layout says, whatever else is written there."""

from dataclasses import replace

import numpy as np
import pytest
from amaranth.hdl import Cat, Module
from amaranth.lib import wiring
from tests.accelerator.rtl.front_data import record_fields

from esca.accelerator.hardware.bank_places import loaded_rows
from esca.accelerator.hardware.dram_maps import packed_rows
from esca.accelerator.hardware.latencies import LOAD_ROWS_LATENCY, WAITING_LATENCY
from esca.accelerator.layout import SUB_BANKS, empty_banks, find_layout
from esca.accelerator.mappings import tile_layer
from esca.accelerator.rtl.bank_writes import FIRST_LATENCY, BankWrites
from esca.accelerator.rtl.compiled import compiled
from esca.accelerator.rtl.load_rows import LoadRows, check_loaded
from esca.accelerator.rtl.params import Parameters
from esca.errors import EscaError

P = Parameters(4, 4, True, 4, False, 64, 4)
WORDS = 128


HALVES = (range(P.rows // 2), range(P.rows // 2, P.rows))
LATENCY = LOAD_ROWS_LATENCY + WAITING_LATENCY
NOTHING = {"write": 0, "address": 0, "data": 0}


class LoadBench(wiring.Component):
    """Words find their places and wait for their turn."""

    def __init__(self, bus: int) -> None:
        self.rows, self.writes = LoadRows(P, WORDS, bus), BankWrites(P, WORDS, bus)
        mine, theirs = self.rows.signature.members, self.writes.signature.members
        self.inner = {name: mine[name] for name in mine if not name.startswith("plac")}
        beside = ("placing", "placed", "taken")
        self.outer = {name: theirs[name] for name in theirs if name not in beside}
        super().__init__(self.inner | self.outer)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.rows, m.submodules.writes = rows, writes = self.rows, self.writes
        m.d.comb += [
            writes.placing.eq(rows.placing),
            writes.placed.eq(rows.placed),
            *(
                writes.taken[half][sub].eq(Cat(self.first[bank][sub].write for bank in banks).any())
                for half, banks in enumerate(HALVES)
                for sub in range(SUB_BANKS)
            ),
            *(getattr(rows, name).eq(getattr(self, name)) for name in self.inner),
        ]
        for name, member in self.outer.items():
            mine, its = getattr(self, name), getattr(writes, name)
            m.d.comb += its.eq(mine) if member.flow == wiring.In else mine.eq(its)
        return m


@pytest.fixture(scope="module", params=[4, 8])
def simulation(request):
    return request.param, compiled(LoadBench(request.param))


def layout_of(layer, config, channels, bits, side, ring):
    made = layer("conv_transpose2d", channels, 8, side, (4, 4), 2, 1, 0, *bits)
    return find_layout(made.input, [tile_layer(made, config, "phases", (4, 4))], ring)


@pytest.mark.parametrize(
    ("channels", "bits"),
    [(16, (4, 4)), (8, (4, 4)), (32, (4, 4)), (16, (8, 8)), (8, (8, 8)), (8, (8, 4))],
)
def test_rows_of_a_ring(layer, config, simulation, channels, bits):
    bus, run = simulation
    layout = replace(layout_of(layer, config, channels, bits, (11, 5), 5), base=3)
    try:
        check_loaded(layout, bus)
    except EscaError:
        size = layout.atoms * layout.atom_bytes
        assert size % bus or layout.rows < 4
        pytest.skip(f"{channels} channels of {bits[0]} bits on a bus of {bus} bytes")
    rng = np.random.default_rng(channels)
    x = layout.tensor
    values = rng.integers(0, 1 << x.bits, x.shape)
    banks, wanted = (empty_banks(4, WORDS) for _ in range(2))
    for low, high in ((0, 4), (4, 7), (7, 11)):
        payload = loaded_rows(x, (low, high), 0, layout.record(), bus)
        stored = packed_rows(x, values[:, low:high], bus).reshape(high - low, -1, bus)
        load(run, banks, payload, stored)
        layout.put(wanted, np.arange(low, high), values[:, low:high])
        np.testing.assert_array_equal(banks, wanted)


def load(run, banks, payload, stored, first=None, due=0):
    """Words (rows, words, bus) of a job, with gaps, and what is written beside what ``first``
    (cycles, rows, sub-banks) writes; result cycles. Returns the cycle in which each word came.
    """
    rows, words, bus = stored.shape
    gaps = np.random.default_rng(rows).integers(0, 3, rows * words) * (first is None)
    at = np.cumsum(1 + gaps)
    last = int(at[-1])
    cycles = last + LATENCY + 4 + (0 if first is None else len(first["write"]))
    given = {"valid": np.zeros(cycles, np.int64), "due": np.zeros(cycles, np.int64)}
    given["valid"][at] = 1
    given["due"][last + due] = 1
    for name, value in record_fields(payload, "payload").items():
        if name in run.inputs:
            given[name] = np.full(cycles, value)
    for name, value in (
        ("row", np.arange(rows).repeat(words)),
        ("word", np.tile(np.arange(words), rows)),
        ("last", np.arange(rows * words) == rows * words - 1),
    ):
        given[name] = np.zeros(cycles, np.int64)
        given[name][at] = value
    given["data"] = np.zeros((cycles, bus), np.int64)
    given["data"][at] = stored.reshape(-1, bus)
    for name, value in (first or {}).items():
        given[f"first__{name}"] = np.zeros((cycles, *value.shape[1:]), np.int64)
        given[f"first__{name}"][: len(value)] = value
    seen = run.run(cycles, **given)
    writes = {key: seen[f"accesses__{key}"] for key in NOTHING}
    for key, value in (first or {}).items():
        held = first["write"] != 0
        there = writes[key][FIRST_LATENCY : FIRST_LATENCY + len(value)]
        np.testing.assert_array_equal(there[held], value[held])
        if key == "write":
            there[held] = 0
    view = banks.view("u1").reshape(*banks.shape, 2)
    for cycle, bank, sub in zip(*np.nonzero(writes["write"]), strict=True):
        mask, address = (int(writes[key][cycle, bank, sub]) for key in ("write", "address"))
        word = int(writes["data"][cycle, bank, sub])
        for byte in range(2):
            if mask >> byte & 1:
                view[bank, sub, address, byte] = word >> 8 * byte & 255
    written = np.flatnonzero(writes["write"].any((1, 2)))
    (result,) = np.flatnonzero(seen["resulting"])
    assert result == max(last + due, written[-1] + 1)
    assert seen["room"].all()
    return at, written


def test_words_wait_for_their_own_sub_banks_alone(layer, config, simulation):
    bus, run = simulation
    layout = layout_of(layer, config, 16, (8, 8), (4, 4), 4)
    values = np.random.default_rng(5).integers(0, 256, layout.tensor.shape)
    payload = loaded_rows(layout.tensor, (0, 4), 0, layout.record(), bus)
    stored = packed_rows(layout.tensor, values, bus).reshape(4, -1, bus)
    wanted = empty_banks(4, WORDS)
    layout.put(wanted, np.arange(4), values)
    pixel_words = payload["pixel_words"]
    pixels = np.arange(stored.shape[0] * stored.shape[1]) // pixel_words
    sub = layout.places(pixels // 4, pixels % 4, np.zeros_like(pixels))[1]
    for taken in range(SUB_BANKS + 1):
        # The epilogue writes one sub-bank of one bank for 24 cycles; 4: that of no pixel.
        write = np.zeros((24, 4, SUB_BANKS), np.int64)
        if taken < SUB_BANKS:
            write[:, 2, taken] = 3
        first = {"write": write, "address": write * 7, "data": write * 999}
        banks = empty_banks(4, WORDS)
        at, written = load(run, banks, payload, stored, first, due=3)
        np.testing.assert_array_equal(banks, wanted)
        expected, free = [], 0
        for cycle, own in zip(at + LATENCY, sub, strict=True):
            free = max(cycle, free, len(write) + FIRST_LATENCY if own == taken else 0)
            expected.append(free)
            free += 1
        np.testing.assert_array_equal(written, expected)


def test_what_is_refused(layer, config):
    narrow = layout_of(layer, config, 4, (8, 8), (6, 6), 6)
    with pytest.raises(EscaError, match=r"4 atoms of 1 bytes a pixel are loaded, expected whole 8"):
        check_loaded(narrow, 8)
    nibbles = replace(narrow, tensor=replace(narrow.tensor, bits=4))
    with pytest.raises(EscaError, match="values of 4 bits are loaded, the array takes 8"):
        check_loaded(nibbles, 8)
    with pytest.raises(EscaError, match="DMA moves 6 bytes a cycle, expected one or two for each"):
        LoadRows(P, WORDS, 6)
