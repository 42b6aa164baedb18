"""Area from gate counts: standard gates and SRAM cells of everything that a configuration names.

Multipliers are AND arrays with full adders, adders ripple, a full adder is two XOR2 and three
NAND2, a 2:1 multiplexer three NAND2. Clock tree, wiring and the choice of operand bits for each
small multiplier are in no figure (see ``high`` of the gates for placement that is not full), nor is
control, if the technology's table has no share of ``hardware`` for it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import ceil, log2
from typing import Literal, get_args

from esca.accelerator.config import AcceleratorConfig, Node
from esca.accelerator.plan import LINEAR_UNIT_BYTES
from esca.accelerator.structure import (
    ACCUMULATOR_BITS,
    COMPOSING_BITS,
    SCALE_BITS,
    SLOPE_BITS,
    TEXTURE_CHANNELS,
    carried_bytes,
    operand_bits,
    small_products,
    switched_shifts,
    widest_sum_bits,
)
from esca.accelerator.technology import (
    NOTHING,
    Estimate,
    TechnologyTable,
    figure,
    load_technology,
    sum_of,
)

Block = Literal[
    "multipliers",
    "adders",
    "mux",
    "registers",
    "weight_buffer",
    "activation_buffer",
    "accumulators",
    "output_buffer",
    "epilogue",
    "linear",
    "upsample",
    "grid_sample",
    "movers",
    "control",
]
BLOCKS: tuple[Block, ...] = get_args(Block)
ARRAY_BLOCKS: tuple[Block, ...] = ("multipliers", "adders", "mux", "registers")


@dataclass(frozen=True)
class Gates:
    """Numbers of gates; adds and scales."""

    nand2: float = 0
    xor2: float = 0
    flip_flop: float = 0
    sram_bit: float = 0

    def __add__(self, other: "Gates") -> "Gates":
        return Gates(*(a + b for a, b in zip(self._counts, other._counts, strict=True)))

    def __mul__(self, factor: float) -> "Gates":
        return Gates(*(factor * count for count in self._counts))

    __rmul__ = __mul__

    @property
    def _counts(self) -> tuple[float, float, float, float]:
        return self.nand2, self.xor2, self.flip_flop, self.sram_bit


_FULL_ADDER = Gates(nand2=3, xor2=2)


def adder(bits: int) -> Gates:
    """A ripple adder."""
    return bits * _FULL_ADDER


def multiplier(bits_a: int, bits_b: int) -> Gates:
    """An array multiplier: an AND (two NAND2) a pair of bits, rows of adders below the first."""
    return Gates(nand2=2 * bits_a * bits_b) + (bits_a - 1) * adder(bits_b)


def multiplexer(width: int, bits: int) -> Gates:
    """A tree of 2:1 multiplexers."""
    return Gates(nand2=3 * (width - 1) * bits)


def registers(bits: float) -> Gates:
    """Flip-flops."""
    return Gates(flip_flop=bits)


@dataclass(frozen=True)
class AreaEstimate:
    """Square millimetres by block; ``logic``: without memories."""

    node: Node
    blocks: Mapping[Block, Estimate]
    logic: Mapping[Block, Estimate]

    @property
    def total(self) -> Estimate:
        """All blocks."""
        return sum_of(self.blocks.values())

    @property
    def array(self) -> Estimate:
        """The processing elements alone."""
        return sum_of(self.blocks[name] for name in ARRAY_BLOCKS)


def area(config: AcceleratorConfig, node: Node | None = None) -> AreaEstimate:
    """Area of a configuration at ``node``, by default its own."""
    node = node or config.technology.node_nanometres
    table = load_technology(config.technology.constants)
    counts = gate_counts(config)
    cells = {name: replace(gates, sram_bit=0) for name, gates in counts.items()}
    logic = table.hardware.area({name: _area(gates, table, node) for name, gates in cells.items()})
    stored = {
        name: _area(Gates(sram_bit=gates.sram_bit), table, node) for name, gates in counts.items()
    }
    return AreaEstimate(
        node,
        {name: logic[name] + stored.get(name, NOTHING) for name in BLOCKS},
        {name: logic[name] for name in BLOCKS},
    )


def gate_counts(config: AcceleratorConfig) -> dict[Block, Gates]:
    """Gates of every block."""
    array, buffers, engines = config.array, config.buffers, config.engines
    elements = array.rows * array.columns
    counts: dict[Block, Gates] = {name: elements * gates for name, gates in _pe(config).items()}
    for name, size in (
        ("weight_buffer", buffers.weight_bytes),
        ("activation_buffer", buffers.activation_bytes),
        ("accumulators", buffers.accumulator_bytes + carried_bytes(config)),
        ("output_buffer", buffers.output_bytes),
    ):
        counts[name] = Gates(sram_bit=8 * size)  # type: ignore[index]
    # Adders in front of the accumulators' banks.
    counts["accumulators"] += buffers.accumulator_banks * adder(ACCUMULATOR_BITS)
    lane = (
        multiplier(ACCUMULATOR_BITS, SCALE_BITS)
        + multiplier(ACCUMULATOR_BITS, SLOPE_BITS)
        + 4 * adder(ACCUMULATOR_BITS)
        + registers(engines.epilogue_latency_cycles * ACCUMULATOR_BITS)
    )
    counts["epilogue"] = engines.epilogue_lanes * lane
    one = multiplier(8, 8) + adder(ACCUMULATOR_BITS) + registers(16 + ACCUMULATOR_BITS)
    held = Gates(sram_bit=8 * 2 * LINEAR_UNIT_BYTES if engines.linear_lanes else 0)
    counts["linear"] = engines.linear_lanes * one + held
    blend = 4 * multiplier(8, 8) + 3 * adder(16) + registers(4 * 8 + 16)
    counts["upsample"] = engines.upsample_values_per_cycle * blend
    sample = TEXTURE_CHANNELS * blend + 4 * multiplier(8, 8) + registers(32)
    counts["grid_sample"] = engines.grid_samples_per_cycle * sample
    moved = config.memory.dma_bytes_per_cycle + engines.move_values_per_cycle
    counts["movers"] = registers(2 * 8 * moved)
    return counts


def _pe(config: AcceleratorConfig) -> dict[Block, Gates]:
    """One processing element: 4 x 8 and 8 x 8 products are composed of 4 x 4 ones."""
    array, small = config.array, small_products(config)
    operand, sums = operand_bits(config), widest_sum_bits(config)
    select = 2 * (operand // 4) * ceil(log2(array.mux_width)) if array.mux_width > 1 else 0
    return {
        "multipliers": small * multiplier(4, 4),
        # Between the small products (to compose, one shifted, or to sum), then into the sum from
        # above.
        "adders": (small - 1) * adder(COMPOSING_BITS)
        + switched_shifts(config) * multiplexer(2, COMPOSING_BITS)
        + adder(sums),
        "mux": multiplexer(array.mux_width, operand)
        + registers((array.mux_width - 1) * operand + select),
        # Activations on their way, two sets of weights, sums.
        "registers": registers(operand + 2 * operand + sums),
    }


def _area(gates: Gates, table: TechnologyTable, node: Node) -> Estimate:
    """Square millimetres; everything a block is made of has a constant."""
    um2 = NOTHING
    for name, count in vars(gates).items():
        one = figure(table.area, name, node)
        if name == "sram_bit":
            share = figure(table.area, "sram_overhead", node)
            one = Estimate(one.value * share.value, one.low * share.low, one.high * share.high)
        um2 = um2 + one * count
    return um2 * 1e-6
