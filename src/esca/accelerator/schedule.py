"""From placed plans to jobs on engines: what every transfer and every unit waits for."""

from bisect import bisect_left
from dataclasses import dataclass, field, replace
from math import ceil
from typing import Literal, get_args

from esca.accelerator.allocate import Occupancy, Region, RegionKey, allocate, strip_rows
from esca.accelerator.config import AcceleratorConfig
from esca.accelerator.events import Job
from esca.accelerator.order import Placement, operands, strip_order
from esca.accelerator.plan import Chunk, LayerPlan, Unit, split
from esca.accelerator.turns import BroughtRows, Turns
from esca.accelerator.weight_ring import WeightRing
from esca.accelerator.weights import Part, WeightParts, weight_parts
from esca.accelerator.workload import ARRAY_KINDS, TensorShape, Workload, stored_bytes
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
    """What a job is: the layer it belongs to, what it moves (``traffic``, ``bytes``), its unit.

    ``serves``: the unit whose biases, residual or results a transfer moves. ``rows``: (tensor,
    from, to) that a load brings. ``parts``: weights that it brings, to ``address`` in their ring.
    ``values``: the range, in order of units, of the texel biases that it brings. Halves of double
    buffers: ``half`` of the accumulators or the linear engine's weights, ``extras`` of biases and
    residuals, ``results`` of what is stored; -1 for none.
    """

    layer: int
    chunk: int
    unit: Unit | None = None
    traffic: Traffic | None = None
    bytes: int = 0
    serves: Unit | None = None
    rows: tuple[tuple[str, int, int], ...] = ()
    parts: tuple[Part, ...] = ()
    address: int = 0
    values: tuple[int, int] = (0, 0)
    half: int = -1
    extras: int = -1
    results: int = -1


@dataclass
class Program:
    """Jobs in program order with what they are; ``plans`` in order of execution; ``regions`` of the
    activation buffer.
    """

    plans: tuple[LayerPlan, ...]
    regions: dict[RegionKey, Region] = field(default_factory=dict)
    jobs: list[Job] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)

    def add(self, job: Job, entry: Entry) -> int:
        """Append a job; returns its number."""
        self.jobs.append(job)
        self.entries.append(entry)
        return len(self.jobs) - 1


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
        self.made = Program(plans, allocate(workload, placement, config))
        self.occupancy = Occupancy(self.made.regions)
        read = {t.name for plan in plans for t in operands(plan.layer)}
        self.stored = {
            plan.layer.output.name
            for plan in plans
            if plan.layer.output.name in workload.outputs
            or (plan.layer.output.name in read - placement.on_chip)
        }
        self.in_dram: dict[str, BroughtRows] = {}
        self.on_chip: dict[str, BroughtRows] = {}
        self.fed = {tensor.name for tensor in workload.inputs}
        self.loaded: dict[tuple[int, str], int] = {}
        self.latency = config.memory.dram_latency_cycles
        # Jobs after which one of a pair of buffers is free again.
        self.reads: dict[int, list[int]] = {}  # last job of each chunk that reads operands
        self.last_read: dict[int, int] = {}
        self.strips: dict[int, int] = {}  # layer that hands over in strips -> its reader
        self.drains, self.extras, self.fifo = Turns(), Turns(), Turns()
        self.results, self.linear_results = Turns(), Turns()
        self.biased: dict[int, int] = {}  # values of a layer whose texel biases are loaded
        self.ring = WeightRing(config.buffers.weight_bytes)
        self.parts: dict[int, WeightParts] = {}
        self.background = _background(plans)
        # Rows in the window of a strip, and the first row that each of its reader's chunks reads.
        self.edges: dict[int, tuple[int, list[int]]] = {}

    def program(self) -> Program:
        first = 0
        for group in self.placement.groups:
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
        chunk, layer = plan.chunks[number], plan.layer
        before = plan.chunks[number - 1].output_rows if number else 0
        ready = self._operands(index, number, chunk)
        rows = chunk.output_rows - before
        values = [unit.values for unit in chunk.units]
        residual = split(self._residual_bytes(plan, rows), values)
        is_stored = layer.output.name in self.stored
        stored = split(rows * layer.output.row_bytes if is_stored else 0, values)
        key = (-1, layer.output.name)
        over = self._overwritten(index, chunk)
        if key in self.made.regions:
            over = [*over, *self.occupancy.claim(key)]
        last = store = -1
        for unit, added, out in zip(chunk.units, residual, stored, strict=True):
            needs = [*ready, *self._weights(index, unit)]
            entry = Entry(index, number, unit)
            more = (self._bias_bytes(index, unit), added)
            self._check_halves(layer.name, sum(more), out)
            results = self.linear_results if plan.engine == "linear" else self.results
            sends = is_stored and unit.values > 0
            reuses = [*over, *(results.waits() if sends else [])]
            entry.results = results.half if sends else -1
            if plan.engine == "array":
                last = self._array_unit(plan, entry, needs, reuses, chunk, more)
            elif plan.engine == "linear":
                last = self._linear_unit(entry, needs, reuses)
            else:
                needs += self._extras(plan, entry, chunk, more)
                latency = self.config.engines.epilogue_latency_cycles
                last = self.last_read[index] = self.made.add(
                    Job(plan.engine, unit.cycles, latency, needs, reuses), entry
                )
                if entry.extras >= 0:
                    self.extras.take(last)
            if sends:
                sent = Entry(index, number, None, "outputs", out, unit, results=entry.results)
                queue = "linear_stores" if plan.engine == "linear" else "stores"
                store = self._dma(queue, sent, [last], [])
                results.take(store)
            biased = self.biased.get(index, 0)
            self.biased[index] = biased + unit.values
        self._touch(index, last)
        self.reads.setdefault(index, []).append(self.last_read[index])
        name = layer.output.name
        here = self.on_chip.setdefault(name, BroughtRows())
        here.ends.append(chunk.output_rows)
        here.jobs.append(last)
        if store >= 0:
            there = self.in_dram.setdefault(name, BroughtRows())
            there.ends.append(chunk.output_rows)
            there.jobs.append(store)

    def _touch(self, index: int, last: int) -> None:
        """Note which regions of the activation buffer a chunk has read and written."""
        layer = self.made.plans[index].layer
        read = self.last_read[index]
        for tensor in operands(layer):
            key = (index, tensor.name) if self._through_dram(tensor) else (-1, tensor.name)
            if key in self.made.regions:
                self.occupancy.touch(key, self.made.jobs[read].queue, read)
        if (-1, layer.output.name) in self.made.regions:
            self.occupancy.touch((-1, layer.output.name), self.made.jobs[last].queue, last)

    def _check_halves(self, name: str, more: int, out: int) -> None:
        quarter = self.config.buffers.output_bytes // 4
        if max(more, out) > quarter:
            raise EscaError(
                f"layer {name!r}: one unit reads {more} bytes of biases and residual and "
                f"writes {out}; a quarter of buffers.output_bytes is {quarter}"
            )

    def _overwritten(self, index: int, chunk: Chunk) -> list[int]:
        """The job that last reads the rows whose place a strip takes in its window."""
        if index not in self.strips:
            return []
        if index not in self.edges:
            maker, reader = self.made.plans[index], self.made.plans[self.strips[index]]
            operand = reader.layer.inputs.index(maker.layer.output)
            firsts = [made.first_rows[operand] for made in reader.chunks]
            self.edges[index] = (strip_rows(maker, reader), firsts)
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
        reuses: list[int] = []
        size, brought = 0, []
        for tensor, rows in zip(layer.inputs, chunk.input_rows, strict=True):
            if not rows:
                continue
            if not self._through_dram(tensor):
                ready.append(self.on_chip[tensor.name].covering(rows))
                continue
            have = self.loaded.get((index, tensor.name), 0)
            if rows > have:
                size += (rows - have) * tensor.row_bytes
                brought.append((tensor.name, have, rows))
                reuses += self.occupancy.claim((index, tensor.name))
            self.loaded[index, tensor.name] = max(rows, have)
            if tensor.name not in self.fed:
                waits.append(self.in_dram[tensor.name].covering(rows))
        if size:
            engine = self.made.plans[index].engine
            reuses += self.reads.get(index, [])[-2:-1]
            entry = Entry(index, number, None, "inputs", size, rows=tuple(brought))
            queue = {"grid_sample": "grid_loads", "linear": "linear_loads"}.get(engine, "loads")
            ready.append(self._dma(queue, entry, waits, reuses))
            for name, _, _ in brought:
                self.occupancy.touch((index, name), queue, ready[-1])
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
        entry.half = self.drains.half
        drain = array.rows + array.columns - 2
        streamed = replace(entry, results=-1)
        work = self.made.add(Job("array", unit.cycles, drain, needs, self.drains.waits()), streamed)
        parts = self.parts[entry.layer]
        if parts.sizes[parts.shared[unit.part]]:
            self.ring.use((entry.layer, *parts.shared[unit.part]), work)
        self.last_read[entry.layer] = work
        if not unit.drained:
            return work
        after = [work, *self._extras(plan, entry, chunk, more)]
        latency = self.config.engines.epilogue_latency_cycles
        done = self.made.add(Job("epilogue", unit.epilogue, latency, after, over), entry)
        self.drains.take(done)
        if plan.layer.residual is not None:
            self.last_read[entry.layer] = done
        if entry.extras >= 0:
            self.extras.take(done)
        return done

    def _linear_unit(self, entry: Entry, needs: list[int], over: list[int]) -> int:
        unit = entry.unit
        assert unit is not None
        latency = self.config.engines.epilogue_latency_cycles
        entry.half = self.fifo.half
        work = self.made.add(Job("linear", unit.cycles, latency, needs, over), entry)
        self.fifo.take(work)
        self.last_read[entry.layer] = work
        return work

    def _extras(
        self, plan: LayerPlan, entry: Entry, chunk: Chunk, more: tuple[int, int]
    ) -> list[int]:
        """Texel biases and a residual that the epilogue of a unit reads. A transfer moves no byte
        where the unit's only value shares one that came with the unit before.
        """
        assert entry.unit is not None
        tensor = plan.layer.residual
        ready: list[int] = []
        waits: list[int] = []
        if tensor is not None and tensor.name not in self.fed:
            rows = self.in_dram if self._through_dram(tensor) else self.on_chip
            source = rows[tensor.name].covering(chunk.output_rows)
            (waits if self._through_dram(tensor) else ready).append(source)
        kinds: tuple[tuple[Traffic, int, bool], ...] = (
            ("texel_biases", more[0], bool(plan.layer.texel_bias_bits)),
            ("inputs", more[1], tensor is not None and self._through_dram(tensor)),
        )
        reuses = self.extras.waits()
        low = self.biased.get(entry.layer, 0)
        for traffic, size, wanted in kinds:
            if wanted and entry.unit.values:
                entry.extras = self.extras.half
                moved = Entry(entry.layer, entry.chunk, None, traffic, size, entry.unit)
                moved.values = (low, low + entry.unit.values)
                moved.extras = entry.extras
                after = waits if traffic == "inputs" else []
                ready.append(self._dma("biases", moved, list(after), list(reuses)))
        return ready

    def _bias_bytes(self, index: int, unit: Unit) -> int:
        """Bytes of a unit's texel biases; one that it shares with the unit before is there."""
        low = self.biased.get(index, 0)
        return sum(
            stored_bytes(low + unit.values, bits) - stored_bytes(low, bits)
            for bits in self.made.plans[index].layer.texel_bias_bits
        )

    def _residual_bytes(self, plan: LayerPlan, rows: int) -> int:
        tensor = plan.layer.residual
        if tensor is None or not self._through_dram(tensor):
            return 0
        return rows * tensor.row_bytes

    def _weights(self, index: int, unit: Unit) -> list[int]:
        """The job that brings a unit's weights; loads them where they are not in the ring."""
        plan = self.made.plans[index]
        if plan.layer.kind not in ARRAY_KINDS:
            return []
        if index not in self.parts:
            self.parts[index] = weight_parts(plan)
        parts = self.parts[index]
        entry = Entry(index, 0, None, "weights")
        if plan.engine == "linear":
            entry.bytes, entry.parts = parts.sizes[unit.part], (unit.part,)
            entry.half = self.fifo.half
            return [self._dma("linear_loads", entry, [], self.fifo.waits())]
        if not parts.sizes[parts.shared[unit.part]]:
            return []
        key = (index, *parts.shared[unit.part])
        known = self.ring.job_of(key)
        if known is not None:
            return [known]
        keys, entry.bytes = self.ring.burst(key, parts.sizes)
        if entry.bytes > self.ring.capacity:
            raise EscaError(
                f"layer {plan.layer.name!r}: weights of one tile of outputs are {entry.bytes} "
                f"bytes, buffers.weight_bytes is {self.ring.capacity}"
            )
        reuses = self.ring.make_room(entry.bytes)
        entry.parts = tuple(known[1:] for known in keys)
        entry.address = self.ring.head
        job = self._dma("weights", entry, [], reuses)
        # The first tile still has to shift into the array.
        self.made.jobs[job].latency += plan.tiling.load_cycles if plan.tiling else 0
        self.ring.put(keys, entry.bytes, job)
        return [job]
