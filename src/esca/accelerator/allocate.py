"""Where feature maps live in the activation buffer, and who has to wait for whose place.

A region is a ring of rows: a whole map that is kept on chip, the strip that one layer hands to the
next, or the window through which a layer reads a map from DRAM. Row ``r`` stands at
``address + (r mod rows) * row_bytes``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from math import ceil

from esca.accelerator.config import AcceleratorConfig
from esca.accelerator.footprint import footprint
from esca.accelerator.order import Placement, operands
from esca.accelerator.plan import Engine, LayerPlan
from esca.accelerator.workload import Workload
from esca.errors import EscaError


@dataclass(frozen=True)
class Region:
    """``tensor``'s place: ``bytes`` from ``address`` on, for ``rows`` rows of ``row_bytes``.

    ``reader``: the layer whose window it is, -1 for what all layers see. ``first``, ``last``:
    groups of layers between which it lives.
    """

    tensor: str
    reader: int
    rows: int
    row_bytes: int
    bytes: int
    first: int
    last: int
    address: int = 0

    @property
    def end(self) -> int:
        """The first byte behind it."""
        return self.address + self.bytes

    def overlaps(self, other: "Region") -> bool:
        """Whether both take one byte."""
        return self.address < other.end and other.address < self.end


ATTEMPTS = 32
"""Orders in which regions are tried."""

RegionKey = tuple[int, str]
"""Reader (-1 for all) and tensor."""


@dataclass(frozen=True)
class _Life:
    """A region to place and its time: ``since``, ``until`` in cycles, roughly."""

    region: Region
    since: int
    until: int

    def wait(self, other: "_Life") -> int:
        """Cycles that the later of two waits if they share a place; below zero, those to spare."""
        early, late = sorted((self, other), key=lambda life: life.region.first)
        return early.until - late.since


def allocate(
    workload: Workload, placement: Placement, config: AcceleratorConfig
) -> dict[RegionKey, Region]:
    """Addresses in the activation buffer; EscaError where the regions do not fit.

    One after the other, the largest first, each where the shortest wait for a place is expected, or
    the most time is to spare, so that loads run ahead. A region that finds no gap, or has to wait,
    comes before all others in the next attempt; of all attempts the one that waits least is taken.
    """
    size = config.buffers.activation_bytes
    order = sorted(
        _wanted(workload, placement, config), key=lambda w: (-w.region.bytes, w.region.first)
    )
    best: tuple[int, list[_Life]] | None = None
    for _ in range(ATTEMPTS):
        placed, waits, late = _attempt(order, size)
        if late is None or (len(placed) == len(order) and (best is None or waits < best[0])):
            best = waits, placed
        if late is None:
            break
        order.insert(0, order.pop(late))
    if best is None:
        raise EscaError(
            f"tensor {order[0].region.tensor!r}: no gap of the {size} bytes of "
            "buffers.activation_bytes takes its rows"
        )
    regions = sorted((life.region for life in best[1]), key=lambda r: (r.first, r.address))
    return {(region.reader, region.tensor): region for region in regions}


def _attempt(order: Sequence[_Life], size: int) -> tuple[list[_Life], int, int | None]:
    """Regions in this order as far as they fit, all their waits, and which of them finds no gap, or
    else waits longest; None where none has to wait.
    """
    placed: list[_Life] = []
    waits: list[int] = []
    for number, life in enumerate(order):
        choice = _placed(life, placed, size)
        if choice is None:
            return placed, 0, number
        waits.append(max(0, choice[0]))
        placed.append(replace(life, region=choice[1]))
    longest = max(waits, default=0)
    return placed, sum(waits), waits.index(longest) if longest else None


def _placed(life: _Life, placed: Sequence[_Life], size: int) -> tuple[int, Region] | None:
    """The best place for a region and the wait that it brings; None where there is none."""
    region = life.region
    alive: list[_Life] = []
    gone: list[_Life] = []
    for other in placed:
        apart = other.region.last < region.first or region.last < other.region.first
        (gone if apart else alive).append(other)
    edges = {0, size - region.bytes}
    for other in placed:
        edges |= {other.region.end, other.region.address - region.bytes}
    best: tuple[int, Region] | None = None
    for address in sorted(edges):
        here = replace(region, address=address)
        if address < 0 or here.end > size or any(here.overlaps(o.region) for o in alive):
            continue
        waits = [life.wait(other) for other in gone if here.overlaps(other.region)]
        wait = max(waits, default=-(2**62))
        if best is None or wait < best[0]:
            best = wait, here
    return best


def _spans(placement: Placement, config: AcceleratorConfig) -> list[tuple[int, int]]:
    """Cycles (from, to) of each group, roughly: its engines alone, side by side with those of other
    groups. A layer that streams its weights from DRAM goes on while many groups come and go.
    """
    free: dict[Engine, int] = {}
    made: dict[str, int] = {}
    spans = []
    for group in placement.groups:
        busy: dict[Engine, int] = {}
        for plan in group:
            cycles = plan.cycles
            if plan.engine == "linear":
                moved = ceil(plan.layer.weight_bytes / config.dram_bytes_per_cycle)
                cycles = max(cycles, moved)
            busy[plan.engine] = busy.get(plan.engine, 0) + cycles
        read = [made.get(t.name, 0) for plan in group for t in operands(plan.layer)]
        start = max(*read, *(free.get(engine, 0) for engine in busy))
        end = start + max(busy.values())
        free |= dict.fromkeys(busy, end)
        made |= {plan.layer.output.name: end for plan in group}
        spans.append((start, end))
    return spans


def _wanted(workload: Workload, placement: Placement, config: AcceleratorConfig) -> list[_Life]:
    """What has to be placed, with the groups and the time of its life."""
    spans = _spans(placement, config)
    fed = {tensor.name for tensor in workload.inputs}
    strips = {
        plan.layer.output.name: (plan, reader)
        for group in placement.groups
        for plan, reader in pairwise(group)
    }
    reads: dict[str, list[int]] = {}
    readers: dict[str, list[LayerPlan]] = {}
    for number, group in enumerate(placement.groups):
        for plan in group:
            for tensor in operands(plan.layer):
                reads.setdefault(tensor.name, []).append(number)
                readers.setdefault(tensor.name, []).append(plan)
    found: dict[RegionKey, _Life] = {}
    index = 0
    for number, group in enumerate(placement.groups):
        since, until = spans[number]
        for plan in group:
            made = plan.layer.output
            if made.name in placement.on_chip:
                rows = made.height
                if made.name in strips:
                    rows = strip_rows(*strips[made.name])
                size = footprint(config, made, rows, readers[made.name])
                users = reads[made.name]
                region = Region(made.name, -1, rows, made.row_bytes, size, number, users[-1])
                found[-1, made.name] = _Life(region, since, max(spans[i][1] for i in users))
            for operand, tensor in enumerate(plan.layer.inputs):
                if tensor.name in placement.on_chip and tensor.name not in fed:
                    continue
                key = (index, tensor.name)
                rows = min(tensor.height, plan.window_rows(operand))
                rows = max(rows, found[key].region.rows if key in found else 1)
                size = footprint(config, tensor, rows, [plan])
                region = Region(tensor.name, index, rows, tensor.row_bytes, size, number, number)
                found[key] = _Life(region, since, until)
            index += 1
    return list(found.values())


def strip_rows(maker: LayerPlan, reader: LayerPlan) -> int:
    """Rows of the ring through which ``maker`` hands its map to ``reader``."""
    made = maker.layer.output
    rows = reader.window_rows(reader.layer.inputs.index(made)) + maker.chunk_rows
    return min(rows, made.height)


@dataclass
class Occupancy:
    """Who used a place last: waits for the first write into a region.

    Queues are served in order, so the last job of each queue that touched a region stands for all.
    """

    regions: Mapping[RegionKey, Region]
    _touched: dict[RegionKey, dict[str, int]] = field(default_factory=dict)

    def touch(self, key: RegionKey, queue: str, job: int) -> None:
        """Note that a job of a queue reads or writes a region."""
        self._touched.setdefault(key, {})[queue] = job

    def claim(self, key: RegionKey) -> list[int]:
        """Jobs that must have ended before the first write into a region; later none."""
        if key in self._touched:
            return []
        mine = self.regions[key]
        waits: set[int] = set()
        for other, touched in self._touched.items():
            if mine.overlaps(self.regions[other]):
                waits.update(touched.values())
        return sorted(waits)
