"""Energy of a frame: counted operations times the technology's constants."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from esca.accelerator.activity import COMPONENTS, Component, Operation, Use, layer_uses
from esca.accelerator.area import area
from esca.accelerator.config import AcceleratorConfig, Node
from esca.accelerator.plan import LINEAR_UNIT_BYTES
from esca.accelerator.structure import bank_bytes
from esca.accelerator.technology import (
    CLOCKED,
    NOTHING,
    Energies,
    Estimate,
    TechnologyTable,
    figure,
    load_technology,
    sum_of,
    technology_hash,
)
from esca.accelerator.timing import FrameTiming
from esca.errors import EscaError

FRAMES_PER_SECOND = 100.0

NOT_MODELLED = (
    "leakage",
    "clock tree",
    "DRAM refresh and standby",
    "interface to DRAM when idle",
)
"""What no figure of this model contains."""

_MEMORIES: tuple[Operation, ...] = ("sram_byte", "dram_byte")

GRACE_UJ_PER_PIXEL = 11.7
"""GRACE (arXiv 2511.09272): animation codec decoder on an FPGA, a reconstructed pixel, measured."""

_PJ_IN_UJ = 1e-6


@dataclass(frozen=True)
class LayerEnergy:
    """Microjoules of one layer by component; ``logic``: without memories and DRAM."""

    name: str
    components: Mapping[Component, Estimate]
    logic: Mapping[Component, Estimate]

    @property
    def total(self) -> Estimate:
        """All components."""
        return sum_of(self.components.values())


@dataclass(frozen=True)
class FrameEnergy:
    """Microjoules of one frame.

    ``layers`` in the order of the timing's. ``texels``: positions of the texture that the frame
    makes, None where it makes none. ``technology_sha256``: hash of the table of constants.
    ``excluded``: what is in no figure.
    """

    node: Node
    technology: str
    technology_sha256: str
    layers: tuple[LayerEnergy, ...]
    texels: int | None
    excluded: tuple[str, ...]

    @property
    def components(self) -> Mapping[Component, Estimate]:
        """Sums over layers."""
        return {
            name: sum_of(layer.components[name] for layer in self.layers) for name in COMPONENTS
        }

    @property
    def logic(self) -> Mapping[Component, Estimate]:
        """Sums over layers, without memories and DRAM."""
        return {name: sum_of(layer.logic[name] for layer in self.layers) for name in COMPONENTS}

    @property
    def total(self) -> Estimate:
        """The frame."""
        return sum_of(layer.total for layer in self.layers)

    @property
    def per_texel(self) -> Estimate | None:
        """Microjoules an output texel, GRACE's measure."""
        return None if self.texels is None else self.total * (1 / self.texels)

    def watts(self, frames_per_second: float = FRAMES_PER_SECOND) -> Estimate:
        """Average power."""
        return self.total * (1e-6 * frames_per_second)


def frame_energy(frame: FrameTiming, node: Node | None = None) -> FrameEnergy:
    """Energy of a timed frame at ``node``, by default the configuration's."""
    technology = frame.setup.technology
    node = node or technology.node_nanometres
    table = load_technology(technology.constants)
    clocked = _clocked(table, frame.setup, node)
    prices = Prices(frame.setup, Energies(table, node), clocked)
    excluded = NOT_MODELLED if clocked else (*NOT_MODELLED, "control")
    layers = tuple(
        prices.layer(timing.name, layer_uses(plan, timing.dram_bytes, frame.setup), cycles)
        for plan, timing, cycles in zip(frame.plans, frame.layers, _cycles(frame), strict=True)
    )
    digest = technology_hash(table)
    return FrameEnergy(node, table.name, digest, layers, frame.output_texels, excluded)


def _clocked(
    table: TechnologyTable, config: AcceleratorConfig, node: Node
) -> dict[Component, Estimate]:
    """Picojoules a cycle of parts whose clock never rests, if the table says what that costs."""
    factor = table.hardware.clocked
    if not factor.value:
        return {}
    logic, nand2 = area(config, node).logic, figure(table.area, "nand2", node).value
    clock = figure(table.energy, "flip_flop", node)
    return {part: factor.of(clock * (1e6 * logic[part].value / nand2)) for part in CLOCKED}


def _cycles(frame: FrameTiming) -> list[float]:
    """The frame's cycles, shared among layers as their engines work."""
    busy = [layer.engine_cycles for layer in frame.layers]
    return [frame.cycles * cycles / max(1, sum(busy)) for cycles in busy]


class Prices:
    """Picojoules of each use on one configuration; ``clocked``: of parts, a cycle, in place of what
    their logic is counted for.
    """

    def __init__(
        self,
        config: AcceleratorConfig,
        energies: Energies,
        clocked: Mapping[Component, Estimate] | None = None,
    ) -> None:
        self._energies, self._clocked = energies, clocked or {}
        banks = {**bank_bytes(config), "linear": float(LINEAR_UNIT_BYTES)}
        self._sram = {name: energies.sram(size, name) for name, size in banks.items()}

    def of(self, use: Use) -> Estimate:
        """One use; EscaError for a component or an operation without a price."""
        match use.operation:
            case "multiply":
                price = self._energies.multiply(*use.bits)
            case "add":
                price = self._energies.add(use.bits[0])
            case "register_bit":
                price = self._energies.register()
            case "choose_bit":
                price = self._energies.choose()
            case "dram_byte":
                price = self._energies.dram()
            case "sram_byte" if use.component in self._sram:
                price = self._sram[use.component]
            case _:
                raise EscaError(f"energy: no price of {use.operation} in {use.component}")
        return price * use.count

    def layer(self, name: str, uses: Iterable[Use], cycles: float = 0.0) -> LayerEnergy:
        """Microjoules of a layer of so many ``cycles``, every component named."""
        logic, memories = (dict.fromkeys(COMPONENTS, NOTHING) for _ in range(2))
        for use in uses:
            if use.component not in logic:
                raise EscaError(f"energy: layer {name!r} uses unknown {use.component}")
            kind = memories if use.operation in _MEMORIES else logic
            kind[use.component] = kind[use.component] + self.of(use) * _PJ_IN_UJ
        for part, energy in self._clocked.items():
            logic[part] = energy * (cycles * _PJ_IN_UJ)
        return LayerEnergy(name, {one: logic[one] + memories[one] for one in COMPONENTS}, logic)
