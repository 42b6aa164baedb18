"""The controller and its masters under random traffic, at a memory that checks every time."""

from dataclasses import replace

import numpy as np
import pytest
from tests.accelerator.rtl.board.memory_bench import MemoryBench

from esca.accelerator.rtl.board.sdram_model import SdramModel
from esca.accelerator.rtl.board.sdram_part import ULX3S_SDRAM, sdram_cycles
from esca.accelerator.rtl.compiled import compiled
from esca.errors import EscaError

CLOCK = 50e6
PAGE = 4096
PAGES = [0, 1, 7, 512, 4099, 8191]
"""In several rows, the first and the last of memory among them."""

START = 10_100
BUSES = {"narrow": 4, "wide": 16}
"""Bytes of a beat."""


COMPONENT = MemoryBench(ULX3S_SDRAM, CLOCK)


def bench(part=ULX3S_SDRAM):
    simulation = compiled(COMPONENT)
    return simulation, SdramModel(simulation, COMPONENT, part, CLOCK)


class Traffic:
    """Masters of both ports, cycle by cycle. A page is read or written at a time, never both, so
    that a word is as it was written last.
    """

    def __init__(self, image: np.ndarray, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.wanted = {page: image[page * PAGE :][:PAGE].copy() for page in PAGES}
        self.asking = {"narrow": None, "wide": None}
        self.coming = {"narrow": [], "wide": []}
        self.aw, self.words, self.writing = None, [], []
        self.read = self.written = 0

    def _burst(self, bus, busy):
        pages = [page for page in PAGES if page not in busy]
        if not pages:
            return None
        beats = int(min(self.rng.integers(1, 10) ** 2 * 3, PAGE // bus, 256))
        first = int(self.rng.integers(0, PAGE // bus - beats + 1)) * bus
        return int(self.rng.choice(pages)), first, beats

    def given(self):
        """Inputs of a cycle; who offers something keeps it until it is taken."""
        row, written = {}, {page for page, *_ in self.writing}
        for name, bus in BUSES.items():
            if self.asking[name] is None and self.rng.random() < 0.1:
                self.asking[name] = self._burst(bus, written)
            self._request(row, f"{name}__ar", self.asking[name])
            row[f"{name}__r__ready"] = self.rng.random() < 0.8
        if self.aw is None and not self.words and self.rng.random() < 0.05:
            asked = [one for one in self.asking.values() if one]
            coming = [one for line in self.coming.values() for one in line]
            self.aw = self._burst(4, written | {page for page, *_ in asked + coming})
            if self.aw:
                page, first, beats = self.aw
                made = self.rng.integers(0, 256, beats * 4).astype(np.uint8)
                self.wanted[page][first : first + beats * 4] = made
                self.words = made.view("<u4").tolist()
                self.writing.append(self.aw)
        self._request(row, "narrow__aw", self.aw)
        row["narrow__w__valid"] = bool(self.words) and self.rng.random() < 0.7
        row["narrow__w__payload__data"] = self.words[0] if self.words else 0
        row["narrow__w__payload__last"] = len(self.words) == 1
        row["narrow__b__ready"] = self.rng.random() < 0.5
        self.row = row
        return {name: np.array([int(value)]) for name, value in row.items()}

    def _request(self, row, channel, burst):
        page, first, beats = burst or (0, 0, 1)
        row[f"{channel}__valid"] = burst is not None
        row[f"{channel}__payload__address"] = page * PAGE + first
        row[f"{channel}__payload__beats_less_1"] = beats - 1

    def see(self, seen):
        """Outputs of the cycle."""

        def taken(channel, mine, its):
            return self.row[f"{channel}__{mine}"] and seen[f"{channel}__{its}"][0]

        for name, bus in BUSES.items():
            if taken(f"{name}__ar", "valid", "ready"):
                self.coming[name].append(self.asking[name])
                self.asking[name] = None
            if taken(f"{name}__r", "ready", "valid"):
                page, first, beats = self.coming[name][0]
                data = seen["narrow__r__payload__data" if bus == 4 else "words"][0]
                wanted = self.wanted[page][first : first + bus].view("<u4")
                np.testing.assert_array_equal(np.atleast_1d(data), wanted)
                assert seen[f"{name}__r__payload__last"][0] == (beats == 1)
                self.coming[name][0] = (page, first + bus, beats - 1)
                self.coming[name] = self.coming[name][beats == 1 :]
                self.read += bus
        if taken("narrow__aw", "valid", "ready"):
            self.aw = None
        if taken("narrow__w", "valid", "ready"):
            self.words.pop(0)
            self.written += 4
        if taken("narrow__b", "ready", "valid"):
            self.writing.pop(0)


def test_random_traffic() -> None:
    simulation, memory = bench()
    for page in PAGES:
        memory.image[page * PAGE :][:PAGE] = np.random.default_rng(page).integers(0, 256, PAGE)
    simulation.run(START)
    traffic = Traffic(memory.image, 1)
    for _ in range(1500):
        traffic.see(simulation.run(1, **traffic.given()))
    assert traffic.read > 1500 and traffic.written > 500
    quiet = {name: np.ones(2000, np.int64) for name in ("narrow__r__ready", "wide__r__ready")}
    while traffic.words:  # the burst at hand
        traffic.asking = dict.fromkeys(BUSES)
        traffic.see(simulation.run(1, **traffic.given()))
    simulation.run(2000, **quiet)
    for page in PAGES:
        found = memory.image[page * PAGE :][:PAGE]
        np.testing.assert_array_equal(found, traffic.wanted[page])
    assert not memory.wrongs


SLOWER = {
    "activate_to_column": "activate to column",
    "precharge": "precharge",
    "activate_to_precharge": "activate to precharge",
    "activate_to_activate": "activate to activate",
    "refresh_cycle": "refresh cycle",
    "write_recovery": "write recovery",
    "mode_register": "mode register",
    "start": "commands before memory may be spoken to",
}


def test_the_model_sees_every_time_that_is_too_short() -> None:
    count = 1200
    busy = {
        "narrow__ar__valid": np.ones(count, np.int64),
        "narrow__ar__payload__address": np.arange(count) % 5 * PAGE * 3,  # row after row
        "narrow__r__ready": np.ones(count, np.int64),
        "narrow__aw__valid": np.arange(count) % 40 == 0,
        "narrow__aw__payload__address": np.arange(count) * PAGE,
        "narrow__w__valid": np.arange(count) % 40 == 1,
        "narrow__b__ready": np.ones(count, np.int64),
    }
    for field, name in SLOWER.items():
        part = replace(ULX3S_SDRAM, **{field: getattr(ULX3S_SDRAM, field) + 200})
        simulation, memory = bench(part)
        simulation.run(9_900)
        simulation.run(count, **busy)
        assert name in memory.wrongs, field
    simulation, memory = bench(replace(ULX3S_SDRAM, refresh=7000))
    simulation.run(40_000)
    assert "late refresh" in memory.wrongs


def test_refreshes_go_on_and_are_no_more_than_needed() -> None:
    simulation, memory = bench()
    seen = simulation.run(START + 39_000)
    refreshes = np.flatnonzero(seen["pins__command"] == 0b1000)
    assert np.count_nonzero(refreshes > START) == 100  # each 390 cycles are 7.8 microseconds
    assert not memory.wrongs


def test_cycles_of_a_part() -> None:
    cycles = sdram_cycles(ULX3S_SDRAM, CLOCK)
    assert (cycles.activate_to_column, cycles.precharge, cycles.refresh_cycle) == (2, 2, 4)
    assert (cycles.refresh, cycles.start) == (390, 10_000)
    with pytest.raises(EscaError, match="SDRAM at 80 MHz, expected 75 MHz or less"):
        sdram_cycles(ULX3S_SDRAM, 80e6)
