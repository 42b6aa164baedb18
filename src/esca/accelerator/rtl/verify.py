"""A program on the compiled hardware, held against the simulator: outputs and start cycles."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from time import process_time
from typing import Any

import numpy as np
from amaranth.lib import wiring
from torch import Tensor

from esca.accelerator.axes import Ints
from esca.accelerator.config import AcceleratorConfig, config_hash
from esca.accelerator.hardware.jobs import FEED, HardwareJob
from esca.accelerator.hardware.latencies import SLACK
from esca.accelerator.machine import execute
from esca.accelerator.program import MachineProgram
from esca.accelerator.rtl.compiled import Simulation, compiled
from esca.accelerator.rtl.hardware_program import HardwareProgram, hardware_program
from esca.accelerator.rtl.memory_model import Memory
from esca.accelerator.rtl.top import Top
from esca.errors import EscaError

Build = Callable[[wiring.Component], Simulation]
"""Compiles a component."""

MEMORY_BYTES = 1 << 26
BLOCK = 2048
STALL = 60
"""Chance, of 256, with which memory stalls a handshake in a cycle."""


@dataclass(frozen=True, eq=False)
class HardwareRun:
    """One frame. ``outputs`` by label; ``starts``: cycle of every job of the program's ``fed``;
    ``cycles`` to the last result; ``starved``: cycles in which a queue had no record before its
    last; ``alarms``: cycles with one; ``memory_errors``: wrong uses of the port; ``seconds`` of
    processor time.
    """

    outputs: dict[str, Ints]
    starts: tuple[int, ...]
    cycles: int
    starved: int
    alarms: int
    memory_errors: int
    seconds: float


@dataclass(frozen=True, eq=False)
class Verification:
    """``equal``: labels whose outputs are the simulator's, ``different``: the others. ``late``:
    jobs by queue that did not start in the simulator's cycle, of ``jobs``; none are compared where
    memory stalls. ``last_start``: in the simulator.
    """

    run: HardwareRun
    equal: tuple[str, ...]
    different: tuple[str, ...]
    late: dict[str, int]
    jobs: dict[str, int]
    last_start: int

    @property
    def passed(self) -> bool:
        """Whether all is as it must be."""
        run = self.run
        return not (self.different or self.late or run.alarms or run.memory_errors)


class Machine:
    """The hardware of a configuration with some ``parts``
    (:data:`esca.accelerator.rtl.engine_records.PARTS`), compiled by ``build``, and memory of
    ``size`` bytes behind it. ``simulation``: what runs.
    """

    def __init__(
        self,
        config: AcceleratorConfig,
        size: int = MEMORY_BYTES,
        parts: Collection[str] = (),
        build: Build = compiled,
    ) -> None:
        self.config, self.size, self.parts = config, size, tuple(parts)
        top = Top(config, parts)
        self.queues = top.queues
        self.simulation = build(top)
        self._memory = Memory(self.simulation, top, ("axi", "supply"), size)

    def run(
        self,
        made: HardwareProgram,
        feeds: Mapping[str, Ints],
        limit: int,
        stall_seed: int | None = None,
    ) -> HardwareRun:
        """A frame from ``feeds`` (C, H, W) by input; EscaError where it takes more than ``limit``
        cycles or memory is too small. With ``stall_seed`` memory stalls now and then.
        """
        if len(made.image) > self.size:
            raise EscaError(f"rtl: the program takes {len(made.image)} of {self.size} bytes")
        image, latency = self._memory.image, self.config.memory.dram_latency_cycles
        image[: len(made.image)] = made.image
        for name, values in feeds.items():
            made.put(image, name, values)
        stalls = (0, 0) if stall_seed is None else (STALL, stall_seed)
        self._memory.behave(latency - SLACK, *stalls)
        began, errors = process_time(), self._memory.errors
        watch = _Watch(made)
        given = _beginning(made)
        while not watch.done:
            count = max([BLOCK, *map(len, given.values())])
            given["program"] = np.full(count, made.directory)
            padded = {name: _padded(values, count) for name, values in given.items()}
            watch.see(self.simulation.run(count, **padded))
            given = {}
            if watch.cycles > limit:
                raise EscaError(f"rtl: the frame did not end within {limit} cycles")
        outputs = {label: made.get(image, tensor) for label, tensor in made.program.labels.items()}
        return HardwareRun(
            outputs,
            tuple(watch.starts),
            watch.last_result,
            watch.starved,
            watch.alarms,
            self._memory.errors - errors,
            process_time() - began,
        )


def verify(
    machine: Machine,
    program: MachineProgram,
    feeds: Mapping[str, Tensor],
    stall_seed: int | None = None,
) -> Verification:
    """Run a frame on both. ``feeds``: integers of every input; EscaError for another configuration
    than the machine's, or what hardware is not built for.
    """
    hashes = [config_hash(one.config)[:12] for one in (program, machine)]
    if hashes[0] != hashes[1]:
        raise EscaError(
            f"rtl: the program is for {program.config.name} ({hashes[0]}), not for "
            f"{machine.config.name} ({hashes[1]})"
        )
    made = hardware_program(program, machine.parts)
    starts = made.frame.starts()
    integers = {
        tensor.name: feeds[tensor.name].numpy().reshape(tensor.shape).astype(np.int64)
        for tensor in program.workload.inputs
    }
    run = machine.run(made, integers, 10_000 + 20 * max(starts), stall_seed)
    outputs = execute(program, feeds).outputs
    same = {
        label: np.array_equal(run.outputs[label].ravel(), value.numpy().ravel())
        for label, value in outputs.items()
    }
    late: Counter[str] = Counter()
    if stall_seed is None:
        late = _late(made.fed, run.starts, starts)
    return Verification(
        run,
        tuple(label for label, is_same in same.items() if is_same),
        tuple(label for label, is_same in same.items() if not is_same),
        dict(late),
        dict(Counter(one.job.queue for one in made.jobs)),
        max(starts),
    )


def _late(fed: tuple[HardwareJob, ...], found: tuple[int, ...], wanted: list[int]) -> Counter[str]:
    mine = [(one, start) for one, start in zip(fed, found, strict=True) if one.job.queue != FEED]
    return Counter(
        one.job.queue for (one, start), cycle in zip(mine, wanted, strict=True) if start != cycle
    )


def _padded(values: Ints, count: int) -> Ints:
    """Zeros behind what is given."""
    return np.concatenate([values, np.zeros(count - len(values), np.int64)])


def _beginning(made: HardwareProgram) -> dict[str, Ints]:
    """Inputs that write constants, one a cycle, and then begin the frame."""
    rows: dict[str, list[int]] = {}
    for address, column in enumerate(made.constants):
        entry = {"constants": {"en": 1, "address": address, "data": column}}
        for name, value in _fields(entry):
            rows.setdefault(name, []).append(value)
    given = {name: np.array(values, np.int64) for name, values in rows.items()}
    begin = np.zeros(len(made.constants) + 2, np.int64)
    begin[-1] = 1
    return given | {"begin": begin}


def _fields(nested: Mapping[str, Any], above: str = "") -> list[tuple[str, int]]:
    found: list[tuple[str, int]] = []
    for name, value in nested.items():
        if isinstance(value, Mapping):
            found += _fields(value, f"{above}{name}__")
        else:
            found.append((above + name, int(value)))
    return found


class _Watch:
    """What is seen of a frame, block by block."""

    def __init__(self, made: HardwareProgram) -> None:
        places: dict[str, list[int]] = {queue.name: [] for queue in made.queues}
        for number, one in enumerate(made.fed):
            places[one.job.queue].append(number)
        self.places = list(places.values())
        self.started, self.results = [0] * len(places), [0] * len(places)
        self.starts = [-1] * len(made.fed)
        self.cycles = self.starved = self.alarms = self.last_result = 0
        self.go = -1

    @property
    def done(self) -> bool:
        """Whether all jobs have given their result."""
        return self.results == [len(mine) for mine in self.places]

    def see(self, seen: Mapping[str, Ints]) -> None:
        """Count the events of some cycles."""
        begins = np.flatnonzero(seen["go"])
        if len(begins):
            self.go = self.cycles + int(begins[0])
        self.alarms += int(np.count_nonzero(seen["alarm"]))
        for index, mine in enumerate(self.places):
            bits = seen["start"] >> index & 1
            first = self.started[index]
            for cycle in np.flatnonzero(bits).tolist():
                self.starts[mine[self.started[index]]] = self.cycles + cycle - self.go
                self.started[index] += 1
            left = len(mine) - first - np.cumsum(bits)
            running = (np.arange(len(bits)) + self.cycles > self.go) & (self.go >= 0)
            self.starved += int(((seen["starved"] >> index & 1) & (left > 0) & running).sum())
            results = np.flatnonzero(seen["resulting"] >> index & 1)
            self.results[index] += len(results)
            if len(results):
                last = self.cycles + int(results[-1]) - self.go
                self.last_result = max(self.last_result, last)
        self.cycles += len(seen["go"])
