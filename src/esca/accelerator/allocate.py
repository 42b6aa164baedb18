"""Where feature maps live in the activation buffer, and who has to wait for whose place.

A region is a ring of rows: a whole map that is kept on chip, the strip that one layer hands to the
next, or the window through which a layer reads a map from DRAM. Row ``r`` stands at
``address + (r mod rows) * row_bytes``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise

from esca.accelerator.order import Placement, operands
from esca.accelerator.plan import LayerPlan
from esca.accelerator.workload import Workload
from esca.errors import EscaError


@dataclass(frozen=True)
class Region:
    """``tensor``'s place: ``rows`` rows of ``row_bytes`` from ``address`` on.

    ``reader``: the layer whose window it is, -1 for what all layers see. ``first``, ``last``:
    groups of layers between which it lives.
    """

    tensor: str
    reader: int
    rows: int
    row_bytes: int
    first: int
    last: int
    address: int = 0

    @property
    def end(self) -> int:
        """The first byte behind it."""
        return self.address + self.rows * self.row_bytes

    def overlaps(self, other: "Region") -> bool:
        """Whether both take one byte."""
        return self.address < other.end and other.address < self.end


RegionKey = tuple[int, str]
"""Reader (-1 for all) and tensor."""


def allocate(workload: Workload, placement: Placement, size: int) -> dict[RegionKey, Region]:
    """Addresses in a buffer of ``size`` bytes; EscaError where the regions do not fit.

    In order of first use, each into the gap that has been out of use for longest, so that loads run
    ahead; if that leaves no gap for one, the largest first.
    """
    wanted = _regions(workload, placement)
    refused = ""
    for order in (
        sorted(wanted, key=lambda r: (r.first, -r.rows * r.row_bytes)),
        sorted(wanted, key=lambda r: (-r.rows * r.row_bytes, r.first)),
    ):
        placed: list[Region] = []
        for region in order:
            found = _placed(region, placed, size)
            if found is None:
                refused = region.tensor
                break
            placed.append(found)
        else:
            return {(region.reader, region.tensor): region for region in placed}
    raise EscaError(
        f"tensor {refused!r}: no gap of the {size} bytes of buffers.activation_bytes takes its rows"
    )


def _placed(region: Region, placed: list[Region], size: int) -> Region | None:
    alive = [o for o in placed if o.first <= region.last and region.first <= o.last]
    choices = []
    for address in sorted({0, *(other.end for other in placed)}):
        here = replace(region, address=address)
        if here.end > size or any(here.overlaps(other) for other in alive):
            continue
        used = max(
            (o.last for o in placed if o.last < region.first and here.overlaps(o)), default=-1
        )
        choices.append((used, address))
    return replace(region, address=min(choices)[1]) if choices else None


def _regions(workload: Workload, placement: Placement) -> list[Region]:
    """What has to be placed, with the groups of its life."""
    fed = {tensor.name for tensor in workload.inputs}
    strips = {
        plan.layer.output.name: (plan, reader)
        for group in placement.groups
        for plan, reader in pairwise(group)
    }
    last_read = {
        tensor.name: number
        for number, group in enumerate(placement.groups)
        for plan in group
        for tensor in operands(plan.layer)
    }
    found: dict[RegionKey, Region] = {}
    index = 0
    for number, group in enumerate(placement.groups):
        for plan in group:
            made = plan.layer.output
            if made.name in placement.on_chip:
                rows = made.height
                if made.name in strips:
                    rows = strip_rows(*strips[made.name])
                life = (number, last_read[made.name])
                found[-1, made.name] = Region(made.name, -1, rows, made.row_bytes, *life)
            for operand, tensor in enumerate(plan.layer.inputs):
                if tensor.name in placement.on_chip and tensor.name not in fed:
                    continue
                key = (index, tensor.name)
                rows = min(tensor.height, plan.window_rows(operand))
                rows = max(rows, found[key].rows if key in found else 1)
                found[key] = Region(tensor.name, index, rows, tensor.row_bytes, number, number)
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
