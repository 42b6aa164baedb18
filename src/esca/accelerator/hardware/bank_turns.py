"""When loaded words are written to the banks of activations: the epilogue's outputs come first.

What :class:`esca.accelerator.rtl.bank_writes.BankWrites` does, in numpy and by job, for
:func:`esca.accelerator.events.simulate`.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from esca.accelerator.allocate import RegionKey
from esca.accelerator.axes import Ints
from esca.accelerator.hardware.bank_places import loaded_rows, place_values
from esca.accelerator.hardware.cycles import drain_turns
from esca.accelerator.hardware.jobs import ENGINES, HardwareJob, bus_bytes, tensor_shapes
from esca.accelerator.hardware.latencies import (
    LOAD_ROWS_LATENCY,
    SETUP,
    SLACK,
    WAITING_LATENCY,
    WORD_LATENCY,
)
from esca.accelerator.hardware.unit_drain import unit_drain
from esca.accelerator.layout import SUB_BANKS, AxisHash, Layout
from esca.accelerator.program import MachineProgram
from esca.errors import EscaError

Record = Mapping[str, Any]

NOWHERE = -2
"""No sub-bank; what a loaded word that is not for the banks waits for."""

NOTHING = -1
"""Of a cycle in which an epilogue writes nothing."""


@dataclass(frozen=True, eq=False)
class SubBanks:
    """One a cycle: sub-bank ``sub`` of banks ``low`` to ``high``; none where ``sub`` is below 0."""

    low: Ints
    high: Ints
    sub: Ints

    def each(self) -> list[tuple[int, int, int]]:
        """All three, cycle by cycle."""
        return [*zip(self.low.tolist(), self.high.tolist(), self.sub.tolist(), strict=True)]


def _places(layout: Record, y: Ints, x: Ints) -> Ints:
    """Colours of pixels; ``y`` counts rows of the ring."""
    hash_y, hash_x = AxisHash(**layout["hash_y"]), AxisHash(**layout["hash_x"])
    made: Ints = hash_y.colour(y) << hash_x.bits | hash_x.colour(x)
    return made


def loaded_banks(record: Record, rows: int, bus: int) -> SubBanks:
    """What the words of a load of rows are written to, on ``rows`` banks with a bus of so many
    bytes.
    """
    layout, words = record["layout"], -(-record["row_bytes"] // bus)
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
    sub = np.full((len(low), turns), NOTHING)
    sub[:, -1] = np.where(inside, colour % SUB_BANKS, NOTHING)
    low = np.repeat(low, turns)
    return SubBanks(low, low + atoms, sub.ravel())


class BankTurns:
    """Of the ``jobs`` of a ``program`` and the ``layouts`` of its regions: a
    :data:`esca.accelerator.events.Later` of loads of rows.

    Words come a cycle each with an ideal memory port, and wait in line without holding it up.
    """

    def __init__(
        self,
        jobs: Sequence[HardwareJob],
        program: MachineProgram,
        layouts: Mapping[RegionKey, Layout],
    ) -> None:
        config = program.config
        self.jobs, self.program, self.layouts = jobs, program, layouts
        self.tensors = tensor_shapes(program.workload)
        self.rows, self.columns = config.array.rows, config.array.columns
        self.turns, self.bus = drain_turns(config), bus_bytes(config)
        self.drain_latency = config.engines.epilogue_latency_cycles
        latency = config.memory.dram_latency_cycles
        ways = 1 + WORD_LATENCY + LOAD_ROWS_LATENCY + WAITING_LATENCY
        self.first_write = SETUP + latency - SLACK + ways
        self.drains = [
            number
            for number, one in enumerate(jobs)
            if program.instructions[one.instruction].op == "epilogue"
            and self._output(number) in layouts
        ]
        self.loads = [number for number, one in enumerate(jobs) if one.job.queue == "loads"]
        self.late = frozenset(self.loads)
        self.drained = self.loaded = self.word = 0  # how many, and words of the load under way
        self.free = 0  # the first cycle in which the next word may be written
        self.ends: dict[int, int] = {}  # cycle of the last write of each load that is done
        self.writes: deque[tuple[int, list[tuple[int, int, int]]]] = deque()
        self.banks: list[tuple[int, int, int]] = []

    def _output(self, number: int) -> RegionKey:
        layer = self.program.instructions[self.jobs[number].instruction].layer
        return -1, self.program.steps[layer].layer.output.name

    def _drained(self, number: int) -> SubBanks:
        """What an epilogue writes; nothing where hardware has no places for its outputs."""
        made = self.program.instructions[self.jobs[number].instruction]
        tiling = self.program.steps[made.layer].tiling
        assert tiling is not None
        drained = unit_drain(tiling, made.part, made.raster)
        size = {"lines": drained.lines, "length": drained.length}
        try:
            place = place_values(tiling, made.part, made.raster, self.layouts[self._output(number)])
        except EscaError:
            nowhere = np.full(drained.places * self.turns, NOTHING)
            return SubBanks(nowhere, nowhere, nowhere)
        return drained_banks({**size, "place": place}, self.rows, self.columns, self.turns)

    def _loaded(self, number: int) -> SubBanks:
        """What a load writes, in order of its words; nothing where it is for an engine."""
        one = self.jobs[number]
        assert one.rows is not None
        (name, low, high), layer = one.rows, self.program.instructions[one.instruction].layer
        layout = self.layouts.get((layer, name)) or self.layouts.get((-1, name))
        if layout is None or self.program.steps[layer].engine in ENGINES:
            nowhere = np.full(one.job.cycles - SETUP, NOWHERE)
            return SubBanks(nowhere, nowhere, nowhere)
        record = loaded_rows(self.tensors[name], (low, high), 0, layout.record(), self.bus)
        return loaded_banks(record, self.rows, self.bus)

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
        return self.result(job, now)

    def result(self, job: int, due: int) -> int:
        """When the result of a job is there that was ``due``, of a load whose words are written."""
        return max(due, self.ends[job] + 2) if job in self.ends else due

    def _note(self, starts: Sequence[int]) -> None:
        """Writes of the epilogues that have started: the first one's cycle, and banks by cycle."""
        while self.drained < len(self.drains) and starts[self.drains[self.drained]] >= 0:
            number = self.drains[self.drained]
            self.writes.append((starts[number] + self.drain_latency, self._drained(number).each()))
            self.drained += 1

    def _write(self, end: int, starts: Sequence[int]) -> None:
        """Words that are written before cycle ``end``."""
        while self.loaded < len(self.loads) and starts[self.loads[self.loaded]] >= 0:
            number = self.loads[self.loaded]
            if not self.word:
                self.banks = self._loaded(number).each()
            while self.word < len(self.banks):
                due = starts[number] + self.first_write + self.word
                cycle = self._turn(max(due, self.free), end)
                if cycle >= end:
                    self.free = max(self.free, end)
                    return
                self.word, self.free = self.word + 1, cycle + 1
            self.ends[number] = self.free - 1
            self.loaded, self.word = self.loaded + 1, 0

    def _turn(self, cycle: int, end: int) -> int:
        """The first cycle from ``cycle`` on in which the next word's sub-banks are not written; it
        is never asked for an earlier one again.
        """
        low, high, sub = self.banks[self.word]
        while cycle < end:
            while self.writes and self.writes[0][0] + len(self.writes[0][1]) <= cycle:
                self.writes.popleft()
            if not self.writes or self.writes[0][0] > cycle:
                break
            first, last, written = self.writes[0][1][cycle - self.writes[0][0]]
            if written != sub or last <= low or high <= first:
                break
            cycle += 1
        return cycle
