"""The instruction set: what the command queues of the machine are told, and its readable text.

Every instruction stands in one queue; queues are served in order. It starts when all instructions
in ``after`` have given their result and all in ``reuses`` have ended (semaphores). Instructions:

* ``load_weights``: parts of a layer's weights, from DRAM to ``address`` in the weight ring, or into
  ``half`` of the linear engine's.
* ``load_rows``: rows of tensors, from DRAM into the layer's windows.
* ``load_biases``, ``load_residual``: what the epilogue of a unit adds, into half ``extras``;
  ``range`` counts the layer's texel biases in order of units.
* ``array``: streams ``raster`` past the weights of ``part`` into ``half`` of the accumulators, the
  PEs in ``mode`` (``4x4``, ``4x8`` or ``8x8``).
* ``epilogue``: drains that half, requantizes, writes to the output's region or to ``results``.
* ``elementwise``, ``linear``, ``move``, ``upsample``, ``grid_sample``: an engine makes the outputs
  in ``raster``.
* ``store``: half ``results`` to DRAM.

A line is ``number op queue key=value ...``; what is not there is at its default.
"""

from collections.abc import Sequence
from dataclasses import MISSING, dataclass, fields
from typing import Any, Literal, get_args

from esca.accelerator.config import MODES
from esca.accelerator.events import Job
from esca.accelerator.plan import LayerPlan
from esca.accelerator.schedule import Entry
from esca.errors import EscaError

Op = Literal[
    "load_weights", "load_rows", "load_biases", "load_residual", "store",
    "array", "epilogue", "elementwise", "linear", "move", "upsample", "grid_sample",
]  # fmt: skip

_LOADS: dict[str, Op] = {"weights": "load_weights", "texel_biases": "load_biases"}


@dataclass(frozen=True)
class Instruction:
    """One instruction; see the module. ``values``: results of its unit; ``cycles``, ``latency``,
    ``after``, ``reuses``, ``background`` as in :class:`esca.accelerator.events.Job`.
    """

    op: Op
    queue: str
    layer: int = 0
    part: tuple[int, int] = (0, 0)
    raster: tuple[int, int, int, int] = (0, 0, 0, 0)
    mode: str = ""
    values: int = 0
    bytes: int = 0
    range: tuple[int, int] = (0, 0)
    rows: tuple[tuple[str, int, int], ...] = ()
    parts: tuple[tuple[int, int], ...] = ()
    address: int = 0
    half: int = -1
    extras: int = -1
    results: int = -1
    cycles: int = 0
    latency: int = 0
    after: tuple[int, ...] = ()
    reuses: tuple[int, ...] = ()
    background: bool = False

    @property
    def job(self) -> Job:
        """What the event-driven simulation needs of it."""
        return Job(
            self.queue, self.cycles, self.latency, [*self.after], [*self.reuses], self.background
        )


def instruction(job: Job, entry: Entry, plan: LayerPlan) -> Instruction:
    """The instruction of a job; ``plan`` is that of its layer."""
    unit = entry.unit or entry.serves
    if entry.traffic == "outputs":
        op: Op = "store"
    elif entry.traffic == "inputs":
        op = "load_residual" if entry.serves else "load_rows"
    elif entry.traffic is not None:
        op = _LOADS[entry.traffic]
    else:
        op = "elementwise" if plan.engine == "epilogue" else job.queue  # type: ignore[assignment]
    return Instruction(
        op,
        job.queue,
        entry.layer,
        unit.part if unit else (0, 0),
        unit.raster if unit else (0, 0, 0, 0),
        plan.tiling.mode if op == "array" and plan.tiling else "",
        unit.values if unit else 0,
        entry.bytes,
        entry.values,
        entry.rows,
        entry.parts,
        entry.address,
        entry.half,
        entry.extras,
        entry.results,
        job.cycles,
        job.latency,
        tuple(job.after),
        tuple(job.reuses),
        job.background,
    )


_OPTIONAL = {f.name: f.default for f in fields(Instruction) if f.default is not MISSING}


def instructions_text(instructions: Sequence[Instruction]) -> str:
    """One line an instruction."""
    lines = []
    for number, made in enumerate(instructions):
        said = [f"{number:05} {made.op:13} {made.queue}"]
        for name, default in _OPTIONAL.items():
            value = getattr(made, name)
            if value != default:
                said.append(f"{name}={_said(value)}")
        lines.append(" ".join(said))
    return "\n".join(lines) + "\n"


def _said(value: Any) -> str:
    if isinstance(value, tuple):
        nested = any(isinstance(item, tuple) for item in value)
        return (";" if nested else ",").join(map(_said, value)) + (";" if nested else "")
    return str(int(value)) if isinstance(value, bool) else str(value)


def parse_instructions(text: str, source: str) -> tuple[Instruction, ...]:
    """Inverse of :func:`instructions_text`; EscaError names the line and what is unknown in it."""
    made: list[Instruction] = []
    for number, line in enumerate(text.splitlines()):
        where = f"{source}: instruction {number}"
        words = line.split()
        if len(words) < 3 or words[1] not in get_args(Op):
            raise EscaError(f"{where}: expected 'number op queue ...', got {line[:40]!r}")
        given: dict[str, Any] = {}
        for word in words[3:]:
            name, _, value = word.partition("=")
            if name not in _OPTIONAL:
                raise EscaError(f"{where}: unknown key {name!r}")
            if name == "mode" and value not in MODES:
                raise EscaError(f"{where}: mode is {value!r}, expected one of {', '.join(MODES)}")
            try:
                given[name] = _meant(name, value)
            except ValueError as error:
                raise EscaError(f"{where}: {name} is {value!r}, expected integers") from error
        one = Instruction(words[1], words[2], **given)  # type: ignore[arg-type]
        if any(not 0 <= other < number for other in (*one.after, *one.reuses)):
            raise EscaError(f"{where}: waits for an instruction that does not come before it")
        made.append(one)
    return tuple(made)


def _meant(name: str, value: str) -> Any:
    match name:
        case "mode":
            return value
        case "rows":
            cut = (item.split(",") for item in value.split(";")[:-1])
            return tuple((tensor, int(low), int(high)) for tensor, low, high in cut)
        case "parts":
            return tuple(
                (int(a), int(b)) for a, b in (item.split(",") for item in value.split(";")[:-1])
            )
        case "part" | "raster" | "range" | "after" | "reuses":
            return tuple(map(int, value.split(",")))
        case "background":
            return bool(int(value))
    return int(value)
