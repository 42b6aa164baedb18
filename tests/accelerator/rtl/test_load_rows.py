"""Rows from memory lie in the banks where their layout says."""

from dataclasses import replace

import numpy as np
import pytest
from tests.accelerator.rtl.front_data import record_fields

from esca.accelerator.layout import empty_banks, find_layout
from esca.accelerator.mappings import tile_layer
from esca.accelerator.rtl.compiled import compiled
from esca.accelerator.rtl.dram_maps import packed_rows
from esca.accelerator.rtl.encode import rows_payload
from esca.accelerator.rtl.load_rows import LOAD_ROWS_LATENCY, LoadRows, check_loaded
from esca.accelerator.rtl.params import Parameters
from esca.errors import EscaError

P = Parameters(4, 4, True, 4, False, 64, 4)
WORDS = 128


@pytest.fixture(scope="module", params=[4, 8])
def simulation(request):
    return request.param, compiled(LoadRows(P, WORDS, request.param))


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
        payload = rows_payload(x, (low, high), 0, layout.record(), bus)
        stored = packed_rows(x, values[:, low:high], bus).reshape(high - low, -1, bus)
        load(run, banks, payload, stored)
        layout.put(wanted, np.arange(low, high), values[:, low:high])
        np.testing.assert_array_equal(banks, wanted)


def load(run, banks, payload, stored):
    """Words (rows, words, bus) of a job, with gaps, and what they write."""
    rows, words, bus = stored.shape
    gaps = np.random.default_rng(rows).integers(0, 3, rows * words)
    at = np.cumsum(1 + gaps)
    cycles = int(at[-1]) + LOAD_ROWS_LATENCY + 1
    given = {"valid": np.zeros(cycles, np.int64)}
    given["valid"][at] = 1
    for name, value in record_fields(payload, "payload").items():
        if name in run.inputs:
            given[name] = np.full(cycles, value)
    for name, value in (
        ("row", np.arange(rows).repeat(words)),
        ("word", np.tile(np.arange(words), rows)),
    ):
        given[name] = np.zeros(cycles, np.int64)
        given[name][at] = value
    given["data"] = np.zeros((cycles, bus), np.int64)
    given["data"][at] = stored.reshape(-1, bus)
    seen = run.run(cycles, **given)
    writes = {key: seen[f"writes__{key}"] for key in ("write", "address", "data")}
    np.testing.assert_array_equal(np.flatnonzero(seen["writing"]), at + LOAD_ROWS_LATENCY)
    view = banks.view("u1").reshape(*banks.shape, 2)
    for cycle, bank, sub in zip(*np.nonzero(writes["write"]), strict=True):
        mask, address = (int(writes[key][cycle, bank, sub]) for key in ("write", "address"))
        word = int(writes["data"][cycle, bank, sub])
        for byte in range(2):
            if mask >> byte & 1:
                view[bank, sub, address, byte] = word >> 8 * byte & 255


def test_what_is_refused(layer, config):
    narrow = layout_of(layer, config, 4, (8, 8), (6, 6), 6)
    with pytest.raises(EscaError, match=r"4 atoms of 1 bytes a pixel are loaded, expected whole 8"):
        check_loaded(narrow, 8)
    with pytest.raises(EscaError, match="DMA moves 6 bytes a cycle, expected one or two for each"):
        LoadRows(P, WORDS, 6)
