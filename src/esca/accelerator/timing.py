"""Cycles of a frame: plans, schedule and event-driven simulation, with everything accounted for."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from esca.accelerator.config import AcceleratorConfig, ArrayMode, MappingName, config_hash
from esca.accelerator.events import simulate
from esca.accelerator.hardware.frame import HardwareFrame, hardware_frame
from esca.accelerator.hardware.latencies import CONTROL_CYCLES
from esca.accelerator.hardware.whole_stores import kept_numbers
from esca.accelerator.order import Placement, place
from esca.accelerator.plan import Engine, LayerPlan, plan_layer
from esca.accelerator.program import MachineProgram, outlined
from esca.accelerator.schedule import SERVERS, TRAFFIC, Program, Traffic, schedule_jobs
from esca.accelerator.workload import Workload
from esca.errors import EscaError


@dataclass(frozen=True)
class LayerTiming:
    """One layer in a frame.

    ``start``, ``end``: first and last cycle of its engine or epilogue; layers overlap.
    ``engine_cycles``: time of its engine; ``stalled_cycles`` of the array's waiting for weight
    tiles or accumulator banks, or in tiles that only fill up; ``waited_cycles``: the array standing
    before this layer's units, by cause.
    ``useful_utilization``, ``occupied_utilization``: shares of the array's MAC slots over
    ``engine_cycles``, 0 for other engines. ``dram_bytes`` by kind of traffic,
    as the compiler counts them, without what fills bus words up. ``bits``: of weights
    and input, such as ``w4a8``; ``mode``: that the array runs them in.
    """

    name: str
    kind: str
    engine: Engine
    mapping: MappingName | None
    block: tuple[int, int] | None
    bits: str
    mode: ArrayMode | None
    start: int
    end: int
    engine_cycles: int
    stalled_cycles: int
    waited_cycles: Mapping[str, int]
    macs: int
    useful_utilization: float
    occupied_utilization: float
    dram_bytes: Mapping[Traffic, int]


@dataclass(frozen=True)
class Span:
    """A job on the timeline: ``start`` and ``cycles`` on ``engine`` for a layer."""

    engine: str
    layer: str
    what: str
    start: int
    cycles: int


@dataclass(frozen=True)
class FrameTiming:
    """A frame on one configuration.

    ``useful_utilization``: cycles that the array would take for its useful multiply-accumulates
    alone, over ``cycles``; ``occupied_utilization``: the same for slots that hold a weight.
    Layers on the linear engine are in neither. ``engine_cycles``: busy cycles by engine, ``dram``
    among them. ``waited_cycles``: what the array waited for. ``plans``: one a layer, in the same
    order; ``setup``: the configuration itself. ``output_texels``: positions of the largest map
    that leaves the chip, None where vectors alone do.
    """

    workload: str
    config: str
    config_sha256: str
    cycles: int
    latency_ms: float
    useful_utilization: float
    occupied_utilization: float
    macs: int
    dram_bytes: int
    traffic: Mapping[Traffic, int]
    engine_cycles: Mapping[str, int]
    waited_cycles: Mapping[str, int]
    layers: tuple[LayerTiming, ...]
    timeline: tuple[Span, ...]
    plans: tuple[LayerPlan, ...]
    setup: AcceleratorConfig
    output_texels: int | None


def time_workload(workload: Workload, config: AcceleratorConfig) -> FrameTiming:
    """Plan, schedule and simulate one frame; where buffers are banked, as the machine that is built
    runs it. EscaError where something does not fit.
    """
    if not workload.layers:
        raise EscaError(f"{workload.name}: no layer to run")
    plans = [plan_layer(layer, config) for layer in workload.layers]
    placement = place(workload, plans, config)
    program = schedule_jobs(workload, placement, config)
    _check_conserved(workload, placement, program)
    if not config.buffers.banked:
        starts = simulate(program.jobs, SERVERS)
        results = [
            start + job.cycles + job.latency
            for start, job in zip(starts, program.jobs, strict=True)
        ]
        return _frame(workload, config, program, starts, results)
    outline = outlined(workload, config, program)
    frame = hardware_frame(outline)
    return _frame(workload, config, _built(program, outline, frame), *frame.cycles())


def _built(program: Program, outline: MachineProgram, frame: HardwareFrame) -> Program:
    """A schedule's jobs as the machine that is built runs them; an instruction's bytes are those of
    its first job.
    """
    numbers, entries = kept_numbers(outline), []
    last = -1
    for one in frame.jobs:
        made, entry = one.instruction, program.entries[numbers[one.instruction]]
        size = frame.program.instructions[made].bytes if made != last else 0
        entries.append(replace(entry, bytes=size))
        last = made
    return replace(program, jobs=[one.job for one in frame.jobs], entries=entries)


def _check_conserved(workload: Workload, placement: Placement, program: Program) -> None:
    """Nothing is computed or moved twice or not at all, but weights that had to leave the ring."""
    moved = _traffic(program)
    for index, plan in enumerate(program.plans):
        layer, mine = plan.layer, moved[index]
        tiling = plan.tiling
        streamed = sum(unit.cycles - unit.stalled for unit in plan.units)
        covered = layer.macs if tiling is None else tiling.useful
        expected: dict[Traffic, int] = {
            "texel_biases": layer.texel_bias_bytes,
            "inputs": _loaded_bytes(plan, placement, workload),
        }
        if layer.output.name not in placement.on_chip:
            expected["outputs"] = layer.output.bytes
        if covered != layer.macs or (tiling is not None and streamed != tiling.ideal_cycles):
            raise AssertionError(f"{layer.name}: {covered} MACs in {streamed} rows")
        if mine["weights"] < layer.weight_bytes:
            raise AssertionError(f"{layer.name}: weights moved {mine['weights']}")
        for traffic, count in expected.items():
            if mine[traffic] != count:
                raise AssertionError(f"{layer.name}: {traffic} moved {mine[traffic]} of {count}")


def _loaded_bytes(plan: LayerPlan, placement: Placement, workload: Workload) -> int:
    """Bytes of a layer's operands that come from DRAM: each needed row once."""
    fed = {tensor.name for tensor in workload.inputs}
    rows = dict(zip(plan.layer.inputs, plan.chunks[-1].input_rows, strict=True))
    total = sum(
        tensor.row_bytes * count
        for tensor, count in rows.items()
        if tensor.name in fed or tensor.name not in placement.on_chip
    )
    residual = plan.layer.residual
    if residual is not None and (residual.name in fed or residual.name not in placement.on_chip):
        total += residual.bytes
    return total


def _traffic(program: Program) -> list[dict[Traffic, int]]:
    moved: list[dict[Traffic, int]] = [dict.fromkeys(TRAFFIC, 0) for _ in program.plans]
    for entry in program.entries:
        if entry.traffic is not None:
            moved[entry.layer][entry.traffic] += entry.bytes
    return moved


def _waited(
    program: Program, starts: list[int], results: list[int], control: int
) -> list[dict[str, int]]:
    """Cycles the array stood before each layer's units, by what came last, beside the ``control``
    between any two units.
    """
    waited: list[dict[str, int]] = [{} for _ in program.plans]
    free = 0
    for index, (job, start) in enumerate(zip(program.jobs, starts, strict=True)):
        if job.queue != "array":
            continue
        gap, free = start - free, start + job.cycles + control
        if gap:
            came = [(results[other], other) for other in job.after]
            came += [(starts[other] + program.jobs[other].cycles, other) for other in job.reuses]
            last = max(came, default=(0, index))[1]
            queue = program.jobs[last].queue
            cause = {"epilogue": "accumulators"}.get(queue, queue)
            if last not in job.reuses and queue == "epilogue":
                cause = "layer before"
            mine = waited[program.entries[index].layer]
            mine[cause] = mine.get(cause, 0) + gap
    return waited


def _frame(
    workload: Workload,
    config: AcceleratorConfig,
    program: Program,
    starts: list[int],
    ends: list[int],
) -> FrameTiming:
    cycles = max(ends)
    control = CONTROL_CYCLES if config.buffers.banked else 0
    traffic, waited = _traffic(program), _waited(program, starts, ends, control)
    mine: list[list[int]] = [[] for _ in program.plans]
    busy: Counter[str] = Counter()
    for index, (job, entry) in enumerate(zip(program.jobs, program.entries, strict=True)):
        busy[SERVERS.get(job.queue, job.queue)] += job.cycles
        if entry.unit is not None:
            mine[entry.layer].append(index)
    layers = tuple(
        _layer(
            plan,
            config,
            min(starts[index] for index in jobs),
            max(ends[index] for index in jobs),
            sum(program.jobs[index].cycles for index in jobs if _is_engine(program, index)),
            waits,
            moved,
        )
        for plan, jobs, waits, moved in zip(program.plans, mine, waited, traffic, strict=True)
    )
    total: Counter[Traffic] = Counter()
    causes: Counter[str] = Counter()
    for layer in layers:
        total.update(layer.dram_bytes)
        causes.update(layer.waited_cycles)
    full = sum(layer.useful_utilization * layer.engine_cycles for layer in layers)
    held = sum(layer.occupied_utilization * layer.engine_cycles for layer in layers)
    return FrameTiming(
        workload=workload.name,
        config=config.name,
        config_sha256=config_hash(config),
        cycles=cycles,
        latency_ms=cycles / config.clock_hertz * 1e3,
        useful_utilization=full / cycles,
        occupied_utilization=held / cycles,
        macs=workload.macs,
        dram_bytes=sum(total.values()),
        traffic=dict(total),
        engine_cycles=dict(busy),
        waited_cycles=dict(causes),
        layers=layers,
        timeline=tuple(_spans(program, starts)),
        plans=program.plans,
        setup=config,
        output_texels=_output_texels(workload),
    )


def _is_engine(program: Program, index: int) -> bool:
    """Whether a job is its layer's own engine's, and not the epilogue behind it."""
    return program.jobs[index].queue == program.plans[program.entries[index].layer].engine


def _output_texels(workload: Workload) -> int | None:
    """Positions of the largest map that leaves the chip; None where vectors alone do."""
    made = [layer.output for layer in workload.layers if layer.output.name in workload.outputs]
    return max((t.height * t.width for t in made if len(t.shape) == 3), default=None)


def _layer(
    plan: LayerPlan,
    config: AcceleratorConfig,
    start: int,
    end: int,
    cycles: int,
    waited: dict[str, int],
    moved: dict[Traffic, int],
) -> LayerTiming:
    layer, tiling = plan.layer, plan.tiling
    streamed = plan.cycles - sum(unit.stalled for unit in plan.units)
    # A layer none of whose weights meets a value takes the array no time.
    peak = max(1, cycles * config.macs_per_cycle(layer.array_mode))
    weights = f"w{layer.weight_bits}" if layer.weight_bits else ""
    return LayerTiming(
        name=layer.name,
        kind=layer.kind,
        engine=plan.engine,
        mapping=tiling.mapping if tiling else None,
        block=tiling.block if tiling else None,
        bits=f"{weights}a{layer.input.bits}",
        mode=tiling.mode if tiling else None,
        start=start,
        end=end,
        engine_cycles=cycles,
        stalled_cycles=cycles - streamed if tiling else 0,
        waited_cycles=waited,
        macs=layer.macs,
        useful_utilization=tiling.useful / peak if tiling else 0.0,
        occupied_utilization=tiling.occupied / peak if tiling else 0.0,
        dram_bytes=moved,
    )


def _spans(program: Program, starts: list[int]) -> Iterator[Span]:
    for job, entry, start in zip(program.jobs, program.entries, starts, strict=True):
        layer = program.plans[entry.layer].layer.name
        what = entry.traffic or job.queue
        yield Span(SERVERS.get(job.queue, job.queue), layer, what, start, job.cycles)
