"""What the accelerator's page shows, computed once."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from esca.accelerator import (
    AcceleratorConfig,
    FrameTiming,
    Workload,
    avatar_workload,
    load_config,
    preset_names,
    tile_layer,
    time_workload,
)
from esca.accelerator.area import AreaEstimate, area
from esca.accelerator.config import MappingName
from esca.accelerator.energy import FrameEnergy, frame_energy
from esca.accelerator.technology import NODES
from esca.errors import EscaError

MAPPINGS: tuple[MappingName, ...] = ("dense", "compressed", "phases", "scatter")
GOLDEN = "esca-16x16"
"""The array of the published comparison."""

TABLE_ACCUMULATORS = 262144
"""Bytes of accumulators under which every mapping alone runs every layer: ``scatter`` carries sums
from row to row and needs more than the preset has.
"""


@dataclass(frozen=True)
class Compared:
    """The page's workload on another configuration; ``error`` where it does not run there."""

    config: AcceleratorConfig
    area: AreaEstimate
    frame: FrameTiming | None = None
    energy: FrameEnergy | None = None
    error: str | None = None


@dataclass(frozen=True)
class MappingTotals:
    """The texture decoder with one mapping alone on a 16x16 array with TABLE_ACCUMULATORS.

    ``ideal``: tiles times streamed rows of each layer, smallest blocks; ``useful``: the share of
    MAC slots in them that counts. ``frame``: the full model, which may choose larger blocks.
    ``rows``: tiles times rows of what it chose; ``stalled``, ``waited``: the array's lost cycles;
    ``tail``: from the array's last row to the last byte in DRAM. The four add up to the frame.
    """

    mapping: MappingName
    ideal: tuple[int, ...]
    useful: float
    frame: FrameTiming
    rows: int
    stalled: int
    waited: int
    tail: int


@dataclass(frozen=True)
class PublishedCase:
    """One published latency beside the same part on a preset."""

    part: str
    bits: str
    preset: str
    frame: FrameTiming


@dataclass(frozen=True)
class FrameStory:
    """Everything on the page."""

    workload: Workload
    frame: FrameTiming
    energies: tuple[FrameEnergy, ...]
    area: AreaEstimate
    areas: tuple[AreaEstimate, ...]
    dense_area: AreaEstimate
    compared: tuple[Compared, ...]
    mappings: tuple[MappingTotals, ...]
    layers: tuple[str, ...]
    published: tuple[PublishedCase, ...]

    @property
    def energy(self) -> FrameEnergy:
        """At the configuration's node."""
        node = self.frame.setup.technology.node_nanometres
        return next(energy for energy in self.energies if energy.node == node)


def tell(
    workload: Workload,
    config: AcceleratorConfig,
    progress: Callable[[int, int], None] | None = None,
) -> FrameStory:
    """Time the workload on ``config`` and the presets, and the published comparison."""
    frame = time_workload(workload, config)
    done, steps = 0, 1 + len(preset_names()) + len(MAPPINGS) + 6

    def step() -> None:
        nonlocal done
        done += 1
        if progress:
            progress(done, steps)

    step()
    compared = []
    for other in _others(config):
        compared.append(_compared(workload, other, frame))
        step()
    decoder = avatar_workload("base", 1024, "texture", "w8a8")
    totals = []
    for mapping in MAPPINGS:
        totals.append(_mapping_totals(decoder, mapping))
        step()
    published = []
    for part, bits in (("texture", "w8a8"), ("texture", "w4a4"), ("encoder", "w8a8")):
        for preset in ("esca-published", GOLDEN):
            timed = time_workload(avatar_workload("base", 1024, part, bits), load_config(preset))
            published.append(PublishedCase(part, bits, preset, timed))
            step()
    plain = replace(
        config, array=replace(config.array, mux_width=1), mappings=("dense",), name="dense"
    )
    return FrameStory(
        workload,
        frame,
        tuple(frame_energy(frame, node) for node in NODES),
        area(config),
        tuple(area(config, node) for node in NODES),
        area(plain),
        tuple(compared),
        tuple(totals),
        tuple(layer.name for layer in decoder.layers),
        tuple(published),
    )


def _others(config: AcceleratorConfig) -> Iterator[AcceleratorConfig]:
    """The page's own configuration first, then the presets."""
    yield config
    for name in preset_names():
        if load_config(name) != config:
            yield load_config(name)


def _compared(workload: Workload, config: AcceleratorConfig, known: FrameTiming) -> Compared:
    space = area(config)
    try:
        frame = known if config == known.setup else time_workload(workload, config)
    except EscaError as error:
        return Compared(config, space, error=str(error))
    return Compared(config, space, frame, frame_energy(frame))


def _mapping_totals(decoder: Workload, mapping: MappingName) -> MappingTotals:
    golden = load_config(GOLDEN)
    config = replace(
        golden,
        name=f"{GOLDEN} {mapping}",
        mappings=(mapping,),
        buffers=replace(golden.buffers, accumulator_bytes=TABLE_ACCUMULATORS),
    )
    tilings = [tile_layer(layer, config, mapping) for layer in decoder.layers]
    slots = sum(tiling.slots for tiling in tilings)
    frame = time_workload(decoder, config)
    rows = sum(plan.tiling.ideal_cycles for plan in frame.plans if plan.tiling is not None)
    stalled = sum(layer.stalled_cycles for layer in frame.layers)
    waited = sum(frame.waited_cycles.values())
    return MappingTotals(
        mapping,
        tuple(tiling.ideal_cycles for tiling in tilings),
        sum(tiling.useful for tiling in tilings) / slots,
        frame,
        rows,
        stalled,
        waited,
        frame.cycles - rows - stalled - waited,
    )


def dense_of(compared: Sequence[Compared]) -> FrameTiming | None:
    """The frame of the dense baseline, if it is among them."""
    return next((c.frame for c in compared if c.config.name == "dense-16x16"), None)
