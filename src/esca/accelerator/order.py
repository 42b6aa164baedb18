"""Which layer runs when, where its tensors live, and which layers hand over in strips."""

import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from esca.accelerator.config import AcceleratorConfig
from esca.accelerator.footprint import footprint
from esca.accelerator.plan import LayerPlan
from esca.accelerator.workload import TensorShape, WorkLayer, Workload
from esca.errors import EscaError


@dataclass(frozen=True)
class Placement:
    """``groups``: layers (as plans) in order; those of one group hand over in strips.

    ``on_chip``: names of tensors that never leave the chip, whole or in strips; all others go
    through DRAM.
    """

    groups: tuple[tuple[LayerPlan, ...], ...]
    on_chip: frozenset[str]


def place(workload: Workload, plans: Sequence[LayerPlan], config: AcceleratorConfig) -> Placement:
    """Order by the longest way to an output, keep what fits, fuse what does not."""
    ordered = _ordered(plans, config)
    kept = _kept(workload, ordered, config)
    groups = _grouped(workload, ordered, kept, config)
    inside = {plan.layer.output.name for group in groups for plan in group[:-1]}
    return Placement(groups, frozenset(inside.union(kept)))


def strip_order(group: tuple[LayerPlan, ...]) -> Iterator[tuple[int, int]]:
    """(layer, chunk) of a group in order: as late as the next layer allows, one chunk ahead of it,
    so that no layer waits for the drain of the one before.
    """
    done = [0] * len(group)

    def advance(layer: int, rows: int) -> Iterator[tuple[int, int]]:
        chunks = group[layer].chunks
        while done[layer] < len(chunks) and (
            not done[layer] or chunks[done[layer] - 1].output_rows < rows
        ):
            yield from run(layer)

    def run(layer: int) -> Iterator[tuple[int, int]]:
        chunk = done[layer]
        if layer:
            ahead = group[layer].chunks[min(chunk + 1, len(group[layer].chunks) - 1)]
            fed = group[layer - 1].layer.output.name
            index = [t.name for t in group[layer].layer.inputs].index(fed)
            rows = ahead.input_rows[index]
            if group[layer].layer.residual is not None:
                rows = max(rows, ahead.output_rows)
            yield from advance(layer - 1, rows)
        done[layer] += 1
        yield layer, chunk

    for layer, plan in enumerate(reversed(group)):
        at = len(group) - 1 - layer
        while done[at] < len(plan.chunks):
            yield from run(at)


def operands(layer: WorkLayer) -> tuple[TensorShape, ...]:
    """Tensors that a layer reads, its residual last."""
    return layer.inputs if layer.residual is None else (*layer.inputs, layer.residual)


def _readers(plans: Sequence[LayerPlan]) -> dict[str, list[LayerPlan]]:
    readers: dict[str, list[LayerPlan]] = {plan.layer.output.name: [] for plan in plans}
    for plan in plans:
        for name in dict.fromkeys(tensor.name for tensor in operands(plan.layer)):
            readers.setdefault(name, []).append(plan)
    return readers


def _ordered(plans: Sequence[LayerPlan], config: AcceleratorConfig) -> list[LayerPlan]:
    """List scheduling: chains by the longest way to an output, each into the first gap of its
    engine that is long enough; layers run in the order of the starts that this gives.
    """
    chains, after = _chains(plans, config.buffers.activation_bytes // 2)
    cycles = [max(1, sum(plan.cycles for plan in chain)) for chain in chains]
    way: dict[int, int] = {}

    def length(index: int) -> int:
        if index not in way:
            way[index] = cycles[index] + max(map(length, after[index]), default=0)
        return way[index]

    ready, starts = [0] * len(chains), [0] * len(chains)
    taken: dict[str, list[tuple[int, int]]] = {}
    for index in sorted(range(len(chains)), key=lambda index: (-length(index), index)):
        lead = max(chains[index], key=lambda plan: plan.cycles)
        spans = taken.setdefault(lead.engine, [])
        start = ready[index]
        for low, high in sorted(spans):
            if start + cycles[index] <= low:
                break
            start = max(start, high)
        spans.append((start, start + cycles[index]))
        starts[index] = start
        for other in after[index]:
            ready[other] = max(ready[other], start + cycles[index])
    return [
        plan
        for index in sorted(range(len(chains)), key=lambda index: (starts[index], index))
        for plan in chains[index]
    ]


def _chains(plans: Sequence[LayerPlan], small: int) -> tuple[list[list[LayerPlan]], list[set[int]]]:
    """Layers that hand each other more than ``small`` bytes stay together; who waits for whom."""
    readers = _readers(plans)
    chain_of: dict[str, int] = {}
    chains: list[list[LayerPlan]] = []
    for plan in plans:
        fed = plan.layer.inputs[-1]
        index = chain_of.get(fed.name, len(chains))
        if index == len(chains) or len(readers[fed.name]) > 1 or fed.bytes <= small:
            index = len(chains)
            chains.append([])
        chains[index].append(plan)
        chain_of[plan.layer.output.name] = index
    after: list[set[int]] = [set() for _ in chains]
    for index, chain in enumerate(chains):
        for plan in chain:
            for reader in readers[plan.layer.output.name]:
                after[index].add(chain_of[reader.layer.output.name])
        after[index].discard(index)
    return chains, after


def _kept(
    workload: Workload, ordered: Sequence[LayerPlan], config: AcceleratorConfig
) -> dict[str, tuple[int, range]]:
    """Whole tensors that fit into half of the activation buffer for as long as they live: bytes and
    the layers between which they live.
    """
    place = {plan.layer.output.name: index for index, plan in enumerate(ordered)}
    last: dict[str, int] = {}
    for index, plan in enumerate(ordered):
        for tensor in operands(plan.layer):
            last[tensor.name] = index
    readers = _readers(ordered)
    free = [config.buffers.activation_bytes // 2] * len(ordered)
    kept = {}
    for plan in ordered:
        tensor = plan.layer.output
        if tensor.name not in last or tensor.name in workload.outputs:
            continue
        life = range(place[tensor.name], last[tensor.name] + 1)
        size = footprint(config, tensor, tensor.height, readers[tensor.name])
        if all(free[index] >= size for index in life):
            kept[tensor.name] = size, life
            for index in life:
                free[index] -= size
    return kept


def _grouped(
    workload: Workload,
    ordered: Sequence[LayerPlan],
    kept: Mapping[str, tuple[int, range]],
    config: AcceleratorConfig,
) -> tuple[tuple[LayerPlan, ...], ...]:
    """Cut the order into groups so that the fewest bytes go through DRAM (dynamic programming)."""
    readers = _readers(ordered)

    def room(start: int, end: int) -> int:
        """Bytes that are free in all of a group: a whole tensor lives as long as any part of it."""
        lives = kept.values()
        taken = sum(size for size, life in lives if life.start < end and start < life.stop)
        return config.buffers.activation_bytes - taken

    best: list[tuple[int, int]] = [(0, 0)]  # bytes through DRAM, start of the last group
    for end in range(1, len(ordered) + 1):
        output = ordered[end - 1].layer.output
        through = 0 if output.name in kept else 2 * output.bytes
        choices = []
        for start in range(end - 1, -1, -1):
            group = ordered[start:end]
            if len(group) > 1 and not (
                config.fuse_strips and _linked(workload, group[0], group[1], kept, readers)
            ):
                break
            if _fits(group, kept, room(start, end), config):
                choices.append((best[start][0] + through, start))
        if not choices:
            raise EscaError(
                f"layer {ordered[end - 1].layer.name!r}: its windows of rows take more than the "
                f"{room(end - 1, end)} bytes that are free in buffers.activation_bytes"
            )
        best.append(min(choices))
    cuts = [len(ordered)]
    while cuts[-1]:
        cuts.append(best[cuts[-1]][1])
    cuts.reverse()
    return tuple(tuple(ordered[a:b]) for a, b in itertools.pairwise(cuts))


def _linked(
    workload: Workload,
    maker: LayerPlan,
    reader: LayerPlan,
    kept: Collection[str],
    readers: dict[str, list[LayerPlan]],
) -> bool:
    """Whether ``reader`` alone reads ``maker``'s map, which is not on chip as a whole."""
    made = maker.layer.output
    return (
        len(made.shape) == 3
        and made.name not in kept
        and made.name not in workload.outputs
        and readers[made.name] == [reader]
        and made in reader.layer.inputs
    )


def _fits(
    group: Sequence[LayerPlan], kept: Collection[str], room: int, config: AcceleratorConfig
) -> bool:
    """Whether windows of all maps that are not on chip as a whole fit, and a group's weights."""
    makers = {plan.layer.output.name: plan for plan in group[:-1]}
    windows = 0
    for plan in group:
        for index, tensor in enumerate(plan.layer.inputs):
            if tensor.name in kept:
                continue
            ahead = makers[tensor.name].chunk_rows if tensor.name in makers else 0
            rows = min(tensor.height, plan.window_rows(index) + ahead)
            windows += footprint(config, tensor, rows, [plan])
    weights = sum(plan.layer.weight_bytes for plan in group)
    return windows <= room and (len(group) == 1 or weights <= config.buffers.weight_bytes)
