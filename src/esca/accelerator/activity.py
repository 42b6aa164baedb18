"""What a layer's execution switches: operations and bytes by component, counted exactly.

What is counted, and what is not gated: every place of the array that holds a weight multiplies in
every streamed row, zeros included; every PE clocks its registers in every streamed row; a byte
that passes a buffer is written once and read as often as it is used. Rows read each input that they
offer once, and no padding and no structural zero.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from math import ceil, log2
from typing import Literal, get_args

import numpy as np

from esca.accelerator.axes import Axis
from esca.accelerator.config import ACCUMULATOR_BYTES, AcceleratorConfig
from esca.accelerator.mappings import Pass, Tiling
from esca.accelerator.plan import LayerPlan
from esca.accelerator.schedule import Traffic
from esca.accelerator.structure import (
    ACCUMULATOR_BITS,
    COMPOSING_BITS,
    PRODUCT_BITS,
    SCALE_BITS,
    SLOPE_BITS,
    SMALL_PRODUCTS,
    sum_bits,
    switched_shifts,
)
from esca.accelerator.workload import TensorShape, stored_bytes
from esca.errors import EscaError

Component = Literal[
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
    "control",
    "dram",
]
COMPONENTS: tuple[Component, ...] = get_args(Component)

Operation = Literal["multiply", "add", "register_bit", "choose_bit", "sram_byte", "dram_byte"]


@dataclass(frozen=True)
class Use:
    """``count`` times an operation of a component; ``bits`` of its operands where they matter."""

    component: Component
    operation: Operation
    count: float
    bits: tuple[int, int] = (0, 0)


def layer_uses(
    plan: LayerPlan, dram_bytes: Mapping[Traffic, int], config: AcceleratorConfig
) -> tuple[Use, ...]:
    """Everything that a layer's execution switches. EscaError for an engine it does not know."""
    uses = list(_transfers(plan, dram_bytes))
    match plan.engine:
        case "array":
            assert plan.tiling is not None
            uses += [*_array(plan, plan.tiling, config), *_epilogue(plan, config)]
        case "linear":
            uses += _linear(plan, config)
        case "epilogue":
            uses += [*_read(plan.layer.inputs), *_epilogue(plan, config)]
        case "move":
            uses += _read(plan.layer.inputs)
        case "upsample":
            uses += _upsample(plan)
        case "grid_sample":
            uses += _grid_sample(plan)
        case _:
            raise EscaError(f"layer {plan.layer.name!r}: no energy is known for {plan.engine}")
    return tuple(use for use in uses if use.count)


def offered(axis: Axis, first: int = 0, last: int | None = None) -> int:
    """Inputs that positions ``first`` to ``last`` of an axis read, over all rows and slots: those
    that one slot offers in one row count once each.
    """
    some = slice(first, None if last is None else last + 1)
    used = np.where(axis.tap >= 0, axis.input, -1)[:, :, some]
    ordered = np.sort(used, axis=-1)
    new = np.diff(ordered, axis=-1, prepend=-1) > 0
    return int(new.sum())


def _transfers(plan: LayerPlan, moved: Mapping[Traffic, int]) -> Iterator[Use]:
    """DRAM, and the buffers that it fills and empties; the result's way into a buffer."""
    yield Use("dram", "dram_byte", sum(moved.values()))
    into: Component = "linear" if plan.engine == "linear" else "weight_buffer"
    yield Use(into, "sram_byte", moved["weights"])
    yield Use("output_buffer", "sram_byte", 2 * moved["texel_biases"])
    yield Use("activation_buffer", "sram_byte", moved["inputs"])
    if moved["outputs"]:
        yield Use("output_buffer", "sram_byte", 2 * moved["outputs"])
    else:
        yield Use("activation_buffer", "sram_byte", plan.layer.output.bytes)


def _read(tensors: tuple[TensorShape, ...]) -> Iterator[Use]:
    for tensor in tensors:
        yield Use("activation_buffer", "sram_byte", tensor.bytes)


def _array(plan: LayerPlan, tiling: Tiling, config: AcceleratorConfig) -> Iterator[Use]:
    array, macs = config.array, tiling.macs_per_pe
    along = tiling.mapping == "scatter"
    small = SMALL_PRODUCTS[tiling.mode]
    yield Use("multipliers", "multiply", tiling.occupied * small, (4, 4))
    yield from _inside(config, tiling.occupied * (small - 1), COMPOSING_BITS)
    sums = sum_bits(config, tiling.mode, along)
    if along:
        yield Use("adders", "add", tiling.occupied, (sums // macs, 0))
    else:
        yield Use("adders", "add", tiling.occupied / macs, (sums, 0))
        width = PRODUCT_BITS[tiling.mode] + ceil(log2(macs))
        yield from _inside(config, tiling.occupied * (macs - 1) / macs, width)
    pe_cycles = tiling.ideal_cycles * array.rows * array.columns
    operand = tiling.widths[1] * (1 if along else macs)
    yield Use("registers", "register_bit", pe_cycles * (operand * tiling.mux_width + sums))
    loads = sum(tiling.passes[unit.part[0]].k_tiles for unit in plan.units)
    yield Use("registers", "register_bit", loads * tiling.tile_bytes * 8 * array.rows)
    if array.mux_width > 1:
        # Through the tree at least; where inputs differ, every branch of it moves.
        stages = max(tiling.mux_width - 1, ceil(log2(array.mux_width)))
        yield Use("mux", "choose_bit", pe_cycles * operand * stages)
    yield from _array_buffers(plan, tiling)


def _inside(config: AcceleratorConfig, count: float, bits: int) -> Iterator[Use]:
    """Additions between the products of a PE, one operand of each shifted or not."""
    yield Use("adders", "add", count, (bits, 0))
    if switched_shifts(config):
        yield Use("adders", "choose_bit", count * bits)


def _array_buffers(plan: LayerPlan, tiling: Tiling) -> Iterator[Use]:
    layer = plan.layer
    weights = 0
    for unit in plan.units:
        p = tiling.passes[unit.part[0]]
        weights += stored_bytes(p.reduction * p.tile_columns[unit.part[1]], layer.weight_bits)
    yield Use("weight_buffer", "sram_byte", weights)
    for p in tiling.passes:
        values = values_read(p, tiling.mapping == "scatter")
        yield Use("activation_buffer", "sram_byte", stored_bytes(values, layer.input.bits))
        sums = p.rows * sum(p.tile_columns) * ACCUMULATOR_BYTES
        # The first reduction tile writes, others read and write; overlapping sums always do both.
        # Sums of nothing, where no tap reaches an output, are cleared.
        accesses = max(1, 2 * p.k_tiles - (0 if tiling.mapping == "scatter" else 1))
        yield Use("accumulators", "sram_byte", sums * accesses)
    drained = sum(unit.values for unit in plan.units)
    yield Use("accumulators", "sram_byte", drained * ACCUMULATOR_BYTES)


def values_read(p: Pass, scatter: bool) -> int:
    """Inputs that all tiles of a pass read: each those of the positions that stand on its columns.

    A tile over several rows of positions is taken to need whole rows of them.
    """
    if scatter:
        return offered(p.y) * offered(p.x) * p.in_channels * p.n_tiles
    count = cache(offered)
    total = start = 0
    for columns in p.tile_columns:
        low, high = start // p.out_channels, (start + columns - 1) // p.out_channels
        (y0, x0), (y1, x1) = divmod(low, p.x.positions), divmod(high, p.x.positions)
        across = (x0, x1) if y0 == y1 else (0, p.x.positions - 1)
        total += count(p.y, y0, y1) * count(p.x, *across)
        start += columns
    return total * p.in_channels


def read_bytes_per_cycle(tiling: Tiling) -> int:
    """Bytes that the array takes from the activation buffer in one cycle, at most: every row offers
    as many inputs as any row has to, none of them kept from the cycle before.
    """
    offers = (
        min(p.reduction, p.array_rows) * p.y.candidates * p.x.candidates for p in tiling.passes
    )
    return stored_bytes(max(offers), tiling.layer.input.bits)


def _epilogue(
    plan: LayerPlan, config: AcceleratorConfig, component: Component = "epilogue"
) -> Iterator[Use]:
    """Scale, slope, bias, zero point and clamp of every result; the slope also where there is no
    activation.
    """
    layer = plan.layer
    values = layer.output.values
    yield Use(component, "multiply", values, (ACCUMULATOR_BITS, SCALE_BITS))
    yield Use(component, "multiply", values, (ACCUMULATOR_BITS, SLOPE_BITS))
    # A ramp: the column's next value, the row's share, and the sum.
    adds = 3 + len(layer.texel_bias_bits) + 3 * layer.ramps
    if layer.residual is not None:
        adds += 1
        yield Use(component, "multiply", values, (layer.residual.bits, SCALE_BITS))
        yield from _read((layer.residual,))
    yield Use(component, "add", values * adds, (ACCUMULATOR_BITS, 0))
    stages = config.engines.epilogue_latency_cycles
    yield Use(component, "register_bit", values * stages * ACCUMULATOR_BITS)


def _linear(plan: LayerPlan, config: AcceleratorConfig) -> Iterator[Use]:
    """Weights pass a buffer once; the vector is read for every MAC."""
    layer, widths = plan.layer, plan.layer.operand_widths
    yield Use("linear", "multiply", layer.macs, widths)
    yield Use("linear", "add", layer.macs, (ACCUMULATOR_BITS, 0))
    yield Use("linear", "register_bit", layer.macs * (sum(widths) + ACCUMULATOR_BITS))
    yield Use("linear", "sram_byte", layer.weight_bytes)
    vector = stored_bytes(layer.macs, layer.input.bits)
    yield Use("activation_buffer", "sram_byte", vector)
    yield from _epilogue(plan, config, "linear")


def _upsample(plan: LayerPlan) -> Iterator[Use]:
    """Four products and three sums a value; a value's right neighbour was its left one's."""
    layer = plan.layer
    values, bits = layer.output.values, layer.input.bits
    yield Use("upsample", "multiply", 4 * values, (bits, 8))
    yield Use("upsample", "add", 3 * values, (bits + 8, 0))
    yield Use("activation_buffer", "sram_byte", stored_bytes(2 * values, bits))


def _grid_sample(plan: LayerPlan) -> Iterator[Use]:
    """Four weights a position; four texels, four products and three sums a value."""
    layer = plan.layer
    texture, grid = layer.inputs
    positions, values = layer.output.height * layer.output.width, layer.output.values
    yield Use("grid_sample", "multiply", 4 * positions, (8, 8))
    yield Use("grid_sample", "multiply", 4 * values, (texture.bits, 8))
    yield Use("grid_sample", "add", 3 * values, (texture.bits + 8, 0))
    yield Use("activation_buffer", "sram_byte", stored_bytes(4 * values, texture.bits))
    yield from _read((grid,))
