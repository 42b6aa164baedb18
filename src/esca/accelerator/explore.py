"""Sweeps over configurations: their time, energy and area, and which no other beats."""

import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, replace
from dataclasses import dataclass as plain_dataclass
from importlib import resources
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field
from pydantic.dataclasses import dataclass

from esca.accelerator.area import area
from esca.accelerator.config import (
    AcceleratorConfig,
    config_data,
    config_from_data,
    config_hash,
    load_config,
)
from esca.accelerator.energy import frame_energy
from esca.accelerator.shapes import avatar_workload
from esca.accelerator.technology import load_technology, technology_hash
from esca.accelerator.timing import time_workload
from esca.accelerator.workload import Workload
from esca.errors import EscaError
from esca.settings import STRICT, Settings

OBJECTIVES = ("latency_ms", "energy_uj", "area_mm2")
"""What a design is judged by; less is better."""

Change = dict[str, Any]
"""Dotted field -> value."""


@dataclass(frozen=True, config=STRICT)
class SweepWorkload:
    """An avatar by shapes alone; see :func:`esca.accelerator.avatar_workload`."""

    avatar: str
    texture: int
    part: str
    bits: str

    def build(self) -> Workload:
        """The layers."""
        return avatar_workload(self.avatar, self.texture, self.part, self.bits)


@dataclass(frozen=True, config=STRICT)
class Sweep:
    """``base``: preset or file; ``axes``: name -> changes, one of each axis a design."""

    name: Annotated[str, Field(min_length=1)]
    base: str
    workload: SweepWorkload
    axes: Annotated[dict[str, Annotated[list[Change], Field(min_length=1)]], Field(min_length=1)]


@plain_dataclass(frozen=True)
class Design:
    """One configuration of a sweep: ``choices`` are the places of its changes on the axes."""

    choices: Mapping[str, int]
    config: AcceleratorConfig


@plain_dataclass(frozen=True)
class Row:
    """A design's result; figures are None and ``error`` says why where it runs nothing.

    ``low`` and ``high`` bound the energy. ``choices``: axis -> place of the change.
    ``technology_sha256``: hash of the constants that energy and area were computed with.
    """

    config_sha256: str
    workload: str
    choices: Mapping[str, int]
    latency_ms: float | None = None
    energy_uj: float | None = None
    energy_low_uj: float | None = None
    energy_high_uj: float | None = None
    area_mm2: float | None = None
    useful_utilization: float | None = None
    dram_bytes: int | None = None
    error: str | None = None
    technology_sha256: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        """What it is the result of."""
        return self.config_sha256, self.workload, self.technology_sha256

    @property
    def objectives(self) -> tuple[float, ...] | None:
        """Values of OBJECTIVES; None where the design does not run."""
        if self.latency_ms is None or self.energy_uj is None or self.area_mm2 is None:
            return None
        return self.latency_ms, self.energy_uj, self.area_mm2


_SWEEP = Settings(Sweep, "sweep", resources.files("esca.accelerator") / "sweeps")


def load_sweep(name_or_path: str) -> Sweep:
    """The shipped sweep ``default``, or a YAML file; EscaError names the file and the field."""
    if name_or_path not in _SWEEP.names() and not name_or_path.endswith((".yaml", ".yml")):
        raise EscaError(f"sweep: {name_or_path!r}, expected default or a .yaml file that exists")
    return _SWEEP.load(name_or_path, "sweep")


def designs(sweep: Sweep) -> tuple[Design, ...]:
    """Every combination of changes, validated; EscaError names a field that does not exist."""
    base = config_data(load_config(sweep.base))
    made = []
    for places in itertools.product(*(range(len(changes)) for changes in sweep.axes.values())):
        choices = dict(zip(sweep.axes, places, strict=True))
        data = json.loads(json.dumps(base))
        for axis, place in choices.items():
            for field, value in sweep.axes[axis][place].items():
                _set(data, field, value, f"sweep {sweep.name}: axes.{axis}.{place}")
        label = " ".join(f"{axis}{place}" for axis, place in choices.items())
        data["name"] = sweep.name
        made.append(Design(choices, config_from_data(data, f"sweep {sweep.name} ({label})")))
    return tuple(made)


def _set(data: dict[str, Any], field: str, value: Any, where: str) -> None:
    *path, last = field.split(".")
    inner: Any = data
    for part in path:
        inner = inner.get(part) if isinstance(inner, dict) else None
    if not isinstance(inner, dict) or last not in inner:
        raise EscaError(f"{where}: {field!r} is no field of a configuration")
    inner[last] = value


def _asked(workload: Workload, design: Design) -> Row:
    """A row without figures yet."""
    constants = load_technology(design.config.technology.constants)
    return Row(
        config_hash(design.config),
        workload.name,
        dict(design.choices),
        technology_sha256=technology_hash(constants),
    )


def evaluate(workload: Workload, design: Design) -> Row:
    """Time, energy and area of one design; what does not fit is a row with its error."""
    row = _asked(workload, design)
    try:
        frame = time_workload(workload, design.config)
        energy = frame_energy(frame).total
    except EscaError as error:
        return replace(row, error=str(error))
    return replace(
        row,
        latency_ms=frame.latency_ms,
        energy_uj=energy.value,
        energy_low_uj=energy.low,
        energy_high_uj=energy.high,
        area_mm2=area(design.config).total.value,
        useful_utilization=frame.useful_utilization,
        dram_bytes=frame.dram_bytes,
    )


def explore(
    sweep: Sweep,
    rows_file: Path,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Row, ...]:
    """Rows of a sweep, in the order of its designs.

    Every row is appended to ``rows_file`` (a JSON document a line) as soon as it is known; rows
    that the file has already, of the same constants, are not computed again. EscaError for a file
    of something else.
    """
    if workers < 1:
        raise EscaError(f"workers: {workers}, expected 1 or more")
    workload, made = sweep.workload.build(), designs(sweep)
    wanted = [_asked(workload, design) for design in made]
    known = {row.key: row for row in read_rows(rows_file)}
    missing = [d for d, row in zip(made, wanted, strict=True) if row.key not in known]
    rows_file.parent.mkdir(parents=True, exist_ok=True)
    with rows_file.open("a", encoding="utf-8") as out:
        for row in _computed(workload, missing, workers):
            known[row.key] = row
            out.write(json.dumps(asdict(row), sort_keys=True) + "\n")
            out.flush()
            if progress:
                progress(sum(row.key in known for row in wanted), len(made))
    return tuple(replace(known[row.key], choices=row.choices) for row in wanted)


def _computed(workload: Workload, missing: Sequence[Design], workers: int) -> Iterator[Row]:
    if workers == 1 or len(missing) < 2:
        yield from (evaluate(workload, design) for design in missing)
        return
    # A fork would share torch's threads.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for done in as_completed([pool.submit(evaluate, workload, d) for d in missing]):
            yield done.result()


def read_rows(rows_file: Path) -> tuple[Row, ...]:
    """Rows of a file; a last line that was cut off is left out. EscaError for anything else."""
    if not rows_file.exists():
        return ()
    rows = []
    text = rows_file.read_text(encoding="utf-8")
    for number, line in enumerate(text.splitlines(keepends=True), 1):
        try:
            rows.append(Row(**json.loads(line)))
        except (ValueError, TypeError) as error:
            if not line.endswith("\n"):
                rows_file.write_text(text[: -len(line)], encoding="utf-8")
                break
            raise EscaError(f"{rows_file}: line {number} is no row of a sweep") from error
    return tuple(rows)


def pareto_front(rows: Sequence[Row]) -> tuple[Row, ...]:
    """Rows that no other beats: none is at least as good in all objectives and better in one.

    Of rows with equal objectives the first stays. Sorted by latency.
    """
    front: list[Row] = []
    running = [row for row in rows if row.objectives is not None]
    for row in sorted(running, key=lambda row: row.objectives or ()):
        mine = row.objectives or ()
        if not any(
            all(a <= b for a, b in zip(other.objectives or (), mine, strict=True))
            for other in front
        ):
            front.append(row)
    return tuple(front)
