"""From placed plans to jobs on engines: what every transfer and every unit waits for."""

from bisect import bisect_left
from collections import deque
from dataclasses import dataclass, field
from math import ceil
from typing import Literal, get_args

from esca.accelerator.config import AcceleratorConfig
from esca.accelerator.events import Job
from esca.accelerator.order import Placement, operands, strip_order
from esca.accelerator.plan import Chunk, LayerPlan, Unit, split, weight_parts
from esca.accelerator.weight_ring import WeightRing
from esca.accelerator.workload import TensorShape, Workload
from esca.errors import EscaError

Traffic = Literal["weights", "texel_biases", "inputs", "outputs"]
TRAFFIC: tuple[Traffic, ...] = get_args(Traffic)

SERVERS = dict.fromkeys(
    (
        "weights",
        "loads",
        "biases",
        "stores",
        "linear_loads",
        "linear_stores",
        "grid_loads",
    ),
    "dram",
)
"""Queues of DMA transfers, which share DRAM."""


@dataclass(slots=True)
class Entry:
    """What a job is: the layer it belongs to, what it moves (``traffic``, ``bytes``), its unit."""

    layer: int
    chunk: int
    unit: Unit | None = None
    traffic: Traffic | None = None
    bytes: int = 0


@dataclass
class Program:
    """Jobs in program order with what they are; ``plans`` in order of execution."""

    plans: tuple[LayerPlan, ...]
    jobs: list[Job] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)

    def add(self, job: Job, entry: Entry) -> int:
        """Append a job; returns its number."""
        self.jobs.append(job)
        self.entries.append(entry)
        return len(self.jobs) - 1


@dataclass
class _Rows:
    """Jobs that bring a tensor's rows: ``ends`` rows, available from ``jobs``."""

    ends: list[int] = field(default_factory=list)
    jobs: list[int] = field(default_factory=list)

    def covering(self, rows: int) -> int:
        """The job after which the first ``rows`` rows are there."""
        return self.jobs[bisect_left(self.ends, rows)]


def schedule_jobs(workload: Workload, placement: Placement, config: AcceleratorConfig) -> Program:
    """Jobs of one frame. EscaError where a buffer is too small for a layer."""
    return _Scheduler(workload, placement, config).program()


def _background(plans: tuple[LayerPlan, ...]) -> set[int]:
    """Layers whose result no array layer waits for: their transfers give way to all others."""
    needed: set[str] = set()
    found = set()
    for index in range(len(plans) - 1, -1, -1):
        layer = plans[index].layer
        if plans[index].engine == "array" or layer.output.name in needed:
            needed.update(tensor.name for tensor in operands(layer))
        elif plans[index].engine == "linear":
            found.add(index)
    return found


class _Scheduler:
    def __init__(self, workload: Workload, placement: Placement, config: AcceleratorConfig) -> None:
        self.config, self.placement = config, placement
        plans = tuple(plan for group in placement.groups for plan in group)
        self.made = Program(plans)
        read = {t.name for plan in plans for t in operands(plan.layer)}
        self.stored = {
            plan.layer.output.name
            for plan in plans
            if plan.layer.output.name in workload.outputs
            or (plan.layer.output.name in read - placement.on_chip)
        }
        self.in_dram: dict[str, _Rows] = {}
        self.on_chip: dict[str, _Rows] = {}
        self.fed = {tensor.name for tensor in workload.inputs}
        self.loaded: dict[tuple[int, str], int] = {}
        self.latency = config.memory.dram_latency_cycles
        # Jobs after which one of a pair of buffers is free again.
        self.reads: dict[int, list[int]] = {}  # last job of each chunk that reads operands
        self.group_before: list[int] = []  # last reads of the group before, by layer
        self.last_read: dict[int, int] = {}
        self.strips: dict[int, int] = {}  # layer that hands over in strips -> its reader
        self.drains: deque[int] = deque(maxlen=2)
        self.extras: deque[int] = deque(maxlen=2)
        self.results: deque[int] = deque(maxlen=2)
        self.fifo: deque[int] = deque(maxlen=2)
        self.ring = WeightRing(config.buffers.weight_bytes)
        self.parts: dict[int, dict[tuple[int, int], int]] = {}
        self.background = _background(plans)
        # Rows in the window of a strip, and the first row that each of its reader's chunks reads.
        self.edges: dict[int, tuple[int, list[int]]] = {}

    def program(self) -> Program:
        first = 0
        for group in self.placement.groups:
            self.group_before = list(self.last_read.values())
            self.last_read = {}
            self.strips = {first + i: first + i + 1 for i in range(len(group) - 1)}
            for layer, chunk in strip_order(group):
                self._chunk(first + layer, chunk)
            first += len(group)
        return self.made

    def _dma(self, queue: str, entry: Entry, after: list[int], reuses: list[int]) -> int:
        cycles = ceil(entry.bytes / self.config.dram_bytes_per_cycle)
        background = entry.layer in self.background
        return self.made.add(Job(queue, cycles, self.latency, after, reuses, background), entry)

    def _chunk(self, index: int, number: int) -> None:
        plan = self.made.plans[index]
        chunk = plan.chunks[number]
        layer = plan.layer
        before = plan.chunks[number - 1].output_rows if number else 0
        ready = self._operands(index, number, chunk)
        rows = chunk.output_rows - before
        values = [unit.values for unit in chunk.units]
        biases = self._bias_bytes(plan, before, chunk.output_rows)
        extra = split(biases + self._residual_bytes(plan, rows), values)
        stored = split(
            rows * layer.output.row_bytes if layer.output.name in self.stored else 0, values
        )
        shares = split(biases, values)
        last = store = -1
        over = self._overwritten(index, chunk)
        for unit, more, bias, out in zip(chunk.units, extra, shares, stored, strict=True):
            needs = [*ready, *self._weights(index, unit)]
            entry = Entry(index, number, unit)
            if plan.engine == "array":
                last = self._array_unit(plan, entry, needs, over, chunk, (bias, more - bias))
            elif plan.engine == "linear":
                last = self._linear_unit(entry, needs)
            else:
                needs += self._extras(plan, entry, chunk, (bias, more - bias))
                reuses = list(over)
                if out and len(self.results) == 2:
                    reuses.append(self.results[0])
                latency = self.config.engines.epilogue_latency_cycles
                last = self.last_read[index] = self.made.add(
                    Job(plan.engine, unit.cycles, latency, needs, reuses), entry
                )
                if more:
                    self.extras.append(last)
            half = self.config.buffers.output_bytes // 4
            if max(more, out) > half:
                raise EscaError(
                    f"layer {layer.name!r}: one unit reads {more} bytes of biases and residual and "
                    f"writes {out}; a quarter of buffers.output_bytes is {half}"
                )
            if out:
                sent = Entry(index, number, None, "outputs", out)
                if plan.engine == "linear":
                    store = self._dma("linear_stores", sent, [last], [])
                else:
                    store = self._dma("stores", sent, [last], [])
                    self.results.append(store)
        self.reads.setdefault(index, []).append(self.last_read[index])
        name = layer.output.name
        here = self.on_chip.setdefault(name, _Rows())
        here.ends.append(chunk.output_rows)
        here.jobs.append(last)
        if store >= 0:
            there = self.in_dram.setdefault(name, _Rows())
            there.ends.append(chunk.output_rows)
            there.jobs.append(store)

    def _overwritten(self, index: int, chunk: Chunk) -> list[int]:
        """The job that last reads the rows whose place a strip takes in its window."""
        if index not in self.strips:
            return []
        if index not in self.edges:
            maker, reader = self.made.plans[index], self.made.plans[self.strips[index]]
            operand = reader.layer.inputs.index(maker.layer.output)
            rows = reader.window_rows(operand) + maker.chunk_rows
            firsts = [made.first_rows[operand] for made in reader.chunks]
            self.edges[index] = (min(rows, maker.layer.output.height), firsts)
        rows, low = self.edges[index]
        jobs = self.reads.get(self.strips[index], [])
        last = bisect_left(low, chunk.output_rows - rows, hi=len(jobs)) - 1
        return [jobs[last]] if last >= 0 else []

    def _through_dram(self, tensor: TensorShape) -> bool:
        return tensor.name in self.fed or tensor.name not in self.placement.on_chip

    def _operands(self, index: int, number: int, chunk: Chunk) -> list[int]:
        """Jobs that bring the operands' rows; those in DRAM are loaded as far as they are new."""
        layer = self.made.plans[index].layer
        ready: list[int] = []
        waits: list[int] = []
        size = 0
        for tensor, rows in zip(layer.inputs, chunk.input_rows, strict=True):
            if not rows:
                continue
            if not self._through_dram(tensor):
                ready.append(self.on_chip[tensor.name].covering(rows))
                continue
            have = self.loaded.get((index, tensor.name), 0)
            size += max(0, rows - have) * tensor.row_bytes
            self.loaded[index, tensor.name] = max(rows, have)
            if tensor.name not in self.fed:
                waits.append(self.in_dram[tensor.name].covering(rows))
        if size:
            engine = self.made.plans[index].engine
            mine = self.reads.get(index, [])
            reuses = mine[-2:-1] if mine else list(self.group_before)
            if engine == "linear":  # a vector, which the engine holds itself
                reuses = []
            entry = Entry(index, number, None, "inputs", size)
            queue = {"grid_sample": "grid_loads", "linear": "linear_loads"}.get(engine, "loads")
            ready.append(self._dma(queue, entry, waits, reuses))
        return ready

    def _array_unit(
        self,
        plan: LayerPlan,
        entry: Entry,
        needs: list[int],
        over: list[int],
        chunk: Chunk,
        more: tuple[int, int],
    ) -> int:
        unit, array = entry.unit, self.config.array
        assert unit is not None
        reuses = [self.drains[0]] if len(self.drains) == 2 else []
        drain = array.rows + array.columns - 2
        work = self.made.add(Job("array", unit.cycles, drain, needs, reuses), entry)
        if plan.layer.weight_bytes:
            self.ring.use((entry.layer, *unit.part), work)
        self.last_read[entry.layer] = work
        after = [work, *self._extras(plan, entry, chunk, more)]
        reuses = list(over)
        if self._is_stored(plan) and len(self.results) == 2:
            reuses.append(self.results[0])
        latency = self.config.engines.epilogue_latency_cycles
        done = self.made.add(Job("epilogue", unit.epilogue, latency, after, reuses), entry)
        self.drains.append(done)
        if plan.layer.residual is not None:
            self.last_read[entry.layer] = done
        if sum(more):
            self.extras.append(done)
        return done

    def _linear_unit(self, entry: Entry, needs: list[int]) -> int:
        unit = entry.unit
        assert unit is not None
        latency = self.config.engines.epilogue_latency_cycles
        work = self.made.add(Job("linear", unit.cycles, latency, needs), entry)
        self.fifo.append(work)
        self.last_read[entry.layer] = work
        return work

    def _is_stored(self, plan: LayerPlan) -> bool:
        return plan.layer.output.name in self.stored

    def _extras(
        self, plan: LayerPlan, entry: Entry, chunk: Chunk, more: tuple[int, int]
    ) -> list[int]:
        """Texel biases and a residual that the epilogue of a unit reads."""
        biases, residual = more
        tensor = plan.layer.residual
        ready: list[int] = []
        waits: list[int] = []
        if tensor is not None and tensor.name not in self.fed:
            rows = self.in_dram if self._through_dram(tensor) else self.on_chip
            source = rows[tensor.name].covering(chunk.output_rows)
            (waits if self._through_dram(tensor) else ready).append(source)
        kinds: tuple[tuple[Traffic, int], ...] = (("texel_biases", biases), ("inputs", residual))
        reuses = [self.extras[0]] if len(self.extras) == 2 else []
        for traffic, size in kinds:
            if size:
                moved = Entry(entry.layer, entry.chunk, None, traffic, size)
                after = waits if traffic == "inputs" else []
                ready.append(self._dma("biases", moved, list(after), list(reuses)))
        return ready

    def _bias_bytes(self, plan: LayerPlan, low: int, high: int) -> int:
        """Bytes of the texel biases of some output rows; all chunks together make the layer's."""
        height = plan.layer.output.height
        total = plan.layer.texel_bias_bytes
        return total * high // height - total * low // height

    def _residual_bytes(self, plan: LayerPlan, rows: int) -> int:
        tensor = plan.layer.residual
        if tensor is None or not self._through_dram(tensor):
            return 0
        return rows * tensor.row_bytes

    def _weights(self, index: int, unit: Unit) -> list[int]:
        """The job that brings a unit's weights; loads them where they are not in the ring."""
        plan = self.made.plans[index]
        if not plan.layer.weight_bytes:
            return []
        if index not in self.parts:
            self.parts[index] = weight_parts(plan)
        sizes = self.parts[index]
        if plan.engine == "linear":
            reuses = [self.fifo[0]] if len(self.fifo) == 2 else []
            entry = Entry(index, 0, None, "weights", sizes[unit.part])
            return [self._dma("linear_loads", entry, [], reuses)]
        key = (index, *unit.part)
        known = self.ring.job_of(key)
        if known is not None:
            return [known]
        keys, size = self.ring.burst(key, sizes)
        if size > self.ring.capacity:
            raise EscaError(
                f"layer {plan.layer.name!r}: weights of one tile of outputs are {size} bytes, "
                f"buffers.weight_bytes is {self.ring.capacity}"
            )
        reuses = self.ring.make_room(size)
        job = self._dma("weights", Entry(index, 0, None, "weights", size), [], reuses)
        # The first tile still has to shift into the array.
        self.made.jobs[job].latency += plan.tiling.load_cycles if plan.tiling else 0
        self.ring.put(keys, size, job)
        return [job]
