"""When loaded words are written to the banks of activations: the epilogue's outputs come first.

What :class:`esca.accelerator.rtl.bank_writes.BankWrites` does, in numpy and by job, for
:func:`esca.accelerator.events.simulate`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from esca.accelerator.axes import Ints
from esca.accelerator.config import AcceleratorConfig
from esca.accelerator.layout import SUB_BANKS, AxisHash
from esca.accelerator.rtl.adapt import HardwareJob, bus_bytes
from esca.accelerator.rtl.bank_writes import WAITING_LATENCY
from esca.accelerator.rtl.bursts import SETUP
from esca.accelerator.rtl.dma import SLACK, WORD_LATENCY
from esca.accelerator.rtl.load_rows import LOAD_ROWS_LATENCY
from esca.accelerator.rtl.params import parameters

Record = Mapping[str, Any]

NOWHERE = -2
"""No sub-bank, nor what stands for a cycle without a write."""

ROOM = 4096
"""Cycles by which the table of writes grows at a time."""


@dataclass(frozen=True, eq=False)
class SubBanks:
    """One a cycle: sub-bank ``sub`` of banks ``low`` to ``high``; none where ``sub`` is below 0."""

    low: Ints
    high: Ints
    sub: Ints


def _places(layout: Record, y: Ints, x: Ints) -> Ints:
    """Colours of pixels; ``y`` counts rows of the ring."""
    hash_y, hash_x = AxisHash(**layout["hash_y"]), AxisHash(**layout["hash_x"])
    made: Ints = hash_y.colour(y) << hash_x.bits | hash_x.colour(x)
    return made


def loaded_banks(record: Record, rows: int, bus: int) -> SubBanks:
    """What the words of a load of rows are written to, on ``rows`` banks with a bus of so many
    bytes; nothing where it is for an engine.
    """
    layout, words = record["layout"], -(-record["row_bytes"] // bus)
    if record["engine"]:
        nowhere = np.full(record["rows"] * words, NOWHERE)
        return SubBanks(nowhere, nowhere, nowhere)
    line, word = np.divmod(np.arange(record["rows"] * words), words)
    x, part = np.divmod(word, record["pixel_words"])
    colour = _places(layout, (record["first_row"] + line) % layout["ring_rows"], x)
    low, many = np.zeros_like(colour), rows
    if layout["two_bytes"] and bus == rows:
        upper = colour >> 2 & 1 if record["pixel_words"] == 1 else part & 1
        low, many = upper * (rows // 2), rows // 2
    return SubBanks(low, low + many, colour % SUB_BANKS)


def drained_banks(record: Record, rows: int, columns: int, turns: int) -> SubBanks:
    """The same of the raster places of an epilogue, ``columns`` values each, in the last of so many
    ``turns``.
    """
    place, layout = record["place"], record["place"]["layout"]
    line, across = np.divmod(np.arange(record["lines"] * record["length"]), record["length"])
    y = place["first_y"] + line * place["step_y"]
    x = place["first_x"] + across * place["step_x"]
    ring = (place["ring_y"] + line * place["step_y"]) % max(1, layout["ring_rows"])
    colour = _places(layout, ring, x)
    bits = columns * (4 if layout["nibbles"] else 8)
    atoms = max(1, bits // (16 if layout["two_bytes"] else 8))
    bank = colour // SUB_BANKS * (rows >> place["places"]) + place["bank"]
    low = bank // atoms * atoms
    inside = (y < place["height"]) & (x < place["width"])
    sub = np.full((len(low), turns), -1)
    sub[:, -1] = np.where(inside, colour % SUB_BANKS, -1)
    low = np.repeat(low, turns)
    return SubBanks(low, low + atoms, sub.ravel())


class BankTurns:
    """Of the ``jobs`` of a program and their records: a
    :data:`esca.accelerator.events.Later` of loads of rows.

    Words come a cycle each with an ideal memory port, and wait in line without holding it up.
    """

    def __init__(
        self,
        jobs: Sequence[HardwareJob],
        records: Sequence[Record],
        config: AcceleratorConfig,
    ) -> None:
        self.rows, self.columns = config.array.rows, config.array.columns
        self.turns = parameters(config).drain_turns
        self.bus, self.records = bus_bytes(config), records
        self.drain_latency = config.engines.epilogue_latency_cycles
        latency = config.memory.dram_latency_cycles
        ways = 1 + WORD_LATENCY + LOAD_ROWS_LATENCY + WAITING_LATENCY
        self.first_write = SETUP + latency - SLACK + ways
        self.drains = [
            number
            for number, one in enumerate(jobs)
            if one.job.queue == "epilogue" and records[number]["place"]["on"]
        ]
        self.loads = [number for number, one in enumerate(jobs) if one.job.queue == "loads"]
        self.late = frozenset(self.loads)
        self.drained = self.loaded = self.word = 0  # how many, and words of the load under way
        self.free = 0  # the first cycle in which the next word may be written
        self.ends: dict[int, int] = {}  # cycle of the last write of each load that is done
        self.busy = np.full((3, 0), -1)  # low, high, sub by cycle
        self.banks = SubBanks(*np.zeros((3, 0), int))

    def __call__(self, job: int, now: int, starts: Sequence[int]) -> int:
        """See :data:`esca.accelerator.events.Later`."""
        if job not in self.late:
            return now
        if job not in self.ends:
            self._note(starts)
            # An epilogue that starts from now on writes nothing before this cycle.
            self._write(now + self.drain_latency, starts)
            if job not in self.ends:
                return now + self.drain_latency
        return max(now, self.ends[job] + 2)

    def _note(self, starts: Sequence[int]) -> None:
        """Writes of the epilogues that have started."""
        while self.drained < len(self.drains) and starts[self.drains[self.drained]] >= 0:
            number = self.drains[self.drained]
            made = drained_banks(self.records[number], self.rows, self.columns, self.turns)
            first = starts[number] + self.drain_latency
            end = first + len(made.sub)
            if end > self.busy.shape[1]:
                more = np.full((3, end + ROOM - self.busy.shape[1]), -1)
                self.busy = np.concatenate([self.busy, more], 1)
            self.busy[:, first:end] = made.low, made.high, made.sub
            self.drained += 1

    def _write(self, end: int, starts: Sequence[int]) -> None:
        """Words that are written before cycle ``end``."""
        while self.loaded < len(self.loads) and starts[self.loads[self.loaded]] >= 0:
            number = self.loads[self.loaded]
            if not self.word:
                self.banks = loaded_banks(self.records[number], self.rows, self.bus)
            while self.word < len(self.banks.sub):
                due = starts[number] + self.first_write + self.word
                cycle = self._turn(max(due, self.free), end)
                if cycle >= end:
                    self.free = max(self.free, end)
                    return
                self.word, self.free = self.word + 1, cycle + 1
            self.ends[number] = self.free - 1
            self.loaded, self.word = self.loaded + 1, 0

    def _turn(self, cycle: int, end: int) -> int:
        """The first cycle from ``cycle`` on in which the next word's sub-banks are not written."""
        banks, word = self.banks, self.word
        while cycle < min(end, self.busy.shape[1]):
            low, high, sub = self.busy[:, cycle]
            if sub != banks.sub[word] or high <= banks.low[word] or banks.high[word] <= low:
                break
            cycle += 1
        return cycle
