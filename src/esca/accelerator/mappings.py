"""How a layer lies on the array: which weight tiles, how many rows streamed past each.

* ``im2col``: convolutions and linear layers; all taps and input channels on rows, outputs on
  columns.
* ``dense``: a transposed convolution as a convolution of the zero-inserted input.
* ``compressed`` (B): one output phase after the other, its taps stacked on rows.
* ``phases`` (C): blocks of neighbouring outputs on columns; every PE picks its input among the few
  that its row offers. The smallest block of a transposed convolution is its stride squared.
* ``scatter`` (D): input channels on rows, taps and output channels on columns; products are added
  where they belong, in banks that never meet.

Where a PE has several MACs (four at 4 x 4 bits, two at 4 x 8), all but ``scatter`` reduce over as
many values in each PE; ``scatter`` puts that many outputs into each PE.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from math import ceil

import numpy as np

from esca.accelerator.axes import (
    Axis,
    conv_axis,
    phase_axis,
    scatter_axis,
    transposed_axis,
    zero_inserted_axis,
)
from esca.accelerator.config import AcceleratorConfig, Array, ArrayMode, MappingName
from esca.accelerator.overlap import overlap_banks
from esca.accelerator.workload import WorkLayer
from esca.errors import EscaError


@dataclass(frozen=True, eq=False)
class Pass:
    """A set of weight tiles with the same rows streamed past each.

    Reduction index: ``(slot_y * x.slots + slot_x) * in_channels + channel``; output index:
    ``(position_y * x.positions + position_x) * out_channels + channel``, or for ``scatter``
    ``channel * taps + tap``. Rows run ``row_y * x.rows + row_x``. ``group``: output indices that
    stay in one tile together; ``together``: tiles of outputs whose sums are drained together.
    """

    y: Axis
    x: Axis
    in_channels: int
    out_channels: int
    array_rows: int
    array_columns: int
    group: int = 1
    together: int = 1

    @property
    def reduction(self) -> int:
        """Places on the reduction side, structural zeros included."""
        return self.y.slots * self.x.slots * self.in_channels

    @property
    def columns(self) -> int:
        """Places on the output side."""
        return self.y.positions * self.x.positions * self.out_channels

    @property
    def rows(self) -> int:
        """Rows streamed past each tile."""
        return self.y.rows * self.x.rows

    @cached_property
    def k_tiles(self) -> int:
        """Tiles along the reduction."""
        return ceil(self.reduction / self.array_rows)

    @cached_property
    def tile_columns(self) -> tuple[int, ...]:
        """Columns in use in each tile along the outputs."""
        if self.group <= self.array_columns:
            whole = self.array_columns // self.group * self.group
            return _cut(self.columns, whole)
        return _cut(self.group, self.array_columns) * (self.columns // self.group)

    @cached_property
    def first_columns(self) -> tuple[int, ...]:
        """Where each tile along the outputs begins."""
        return tuple(accumulate(self.tile_columns, initial=0))[:-1]

    def completed(self, tile: int) -> tuple[int, int]:
        """Output channels (from, to) of ``scatter`` all of whose taps are done, and which are
        drained, after a tile; none where more of these tiles follow.
        """
        first = tile - tile % self.together
        low, high = self.first_columns[first], self.first_columns[tile] + self.tile_columns[tile]
        last = tile - first == self.together - 1 or tile == self.n_tiles - 1
        return low // self.group, high // self.group if last else low // self.group

    def results(self, tile: int, raster: tuple[int, int, int, int]) -> int:
        """Outputs, without those that are cropped, that a tile makes over some streamed rows.

        ``raster``: rows (y0, y1, x0, x1). Not for ``scatter``, where sums outlive their rows.
        """
        y0, y1, x0, x1 = raster
        low = self.first_columns[tile]
        high = low + self.tile_columns[tile]
        if self.y.whole and self.x.whole:
            return (y1 - y0) * (x1 - x0) * (high - low)
        lines = (self.y.output[y0:y1] >= 0).sum(0)
        across = (self.x.output[x0:x1] >= 0).sum(0)
        columns = np.arange(low, high) // self.out_channels
        return int((lines[columns // self.x.positions] * across[columns % self.x.positions]).sum())

    @property
    def n_tiles(self) -> int:
        """Tiles along the outputs."""
        return len(self.tile_columns)

    @property
    def tiles(self) -> int:
        """Weight tiles."""
        return self.k_tiles * self.n_tiles

    @property
    def useful(self) -> int:
        """Products of an input with a weight that go into an output."""
        return self.y.useful * self.x.useful * self.in_channels * self.out_channels

    @property
    def occupied(self) -> int:
        """MAC slots whose PE holds a weight, over all rows."""
        weights = int((self.y.tap >= 0).sum()) * int((self.x.tap >= 0).sum())
        return self.rows * weights * self.in_channels * self.out_channels


def _cut(total: int, size: int) -> tuple[int, ...]:
    full, rest = divmod(total, size)
    return (size,) * full + ((rest,) if rest else ())


@dataclass(frozen=True, eq=False)
class Tiling:
    """A layer laid onto an array. ``block``: outputs (y, x) computed together by ``phases``.

    ``slots`` counts MAC slots of the whole array over the ideal cycles, ``occupied`` those whose PE
    holds a weight, ``useful`` those whose product counts.
    """

    layer: WorkLayer
    mapping: MappingName
    block: tuple[int, int]
    passes: tuple[Pass, ...]
    array: Array

    @property
    def ideal_cycles(self) -> int:
        """Tiles times streamed rows: no fill, no stall."""
        return sum(p.tiles * p.rows for p in self.passes)

    @property
    def mode(self) -> ArrayMode:
        """Mode that the array runs the layer in."""
        return self.array.runs(self.layer.array_mode)

    @property
    def widths(self) -> tuple[int, int]:
        """Bits at which weights and activations stand in the PEs."""
        return (8, 8) if self.mode == "8x8" else self.layer.operand_widths

    @property
    def macs_per_pe(self) -> int:
        """Multiply-accumulates of a PE a cycle at the layer's bits."""
        return self.array.macs(self.mode)

    @property
    def tile_bytes(self) -> int:
        """Bytes of one full weight tile."""
        macs = self.array.rows * self.array.columns * self.macs_per_pe
        return macs * self.widths[0] // 8

    @cached_property
    def load_cycles(self) -> int:
        """Cycles in which one weight tile shifts into the idle registers."""
        port = ceil(self.tile_bytes / self.array.weight_port_bytes_per_cycle)
        return max(self.array.rows, port)

    @cached_property
    def useful(self) -> int:
        """Useful multiply-accumulates; equals the layer's ``macs``."""
        return sum(p.useful for p in self.passes)

    @property
    def occupied(self) -> int:
        """MAC slots that hold a weight."""
        return sum(p.occupied for p in self.passes)

    @property
    def slots(self) -> int:
        """All MAC slots of the array over the ideal cycles."""
        return self.ideal_cycles * self.array.rows * self.array.columns * self.macs_per_pe

    @property
    def mux_width(self) -> int:
        """Inputs that a row has to offer its PEs."""
        return max(p.y.candidates * p.x.candidates for p in self.passes)


def tile_layer(
    layer: WorkLayer,
    config: AcceleratorConfig,
    mapping: MappingName,
    block: tuple[int, int] | None = None,
) -> Tiling:
    """Lay a layer onto the configuration's array.

    ``block`` is for ``phases`` alone; None takes its smallest. Raises :class:`EscaError` where the
    mapping does not apply to the layer, or needs wider muxes than there are.
    """
    array, transposed = config.array, layer.kind == "conv_transpose2d"
    if layer.kind not in ("conv_transpose2d", "conv2d", "linear"):
        raise EscaError(f"layer {layer.name!r}: {layer.kind} does not run on the array")
    if block is not None and mapping != "phases":
        raise EscaError(f"layer {layer.name!r}: mapping {mapping} takes no block")
    smallest = (layer.stride, layer.stride) if transposed else (1, 1)
    block = block or smallest
    if min(block) < 1 or any(b % s for b, s in zip(block, smallest, strict=True)):
        raise EscaError(f"layer {layer.name!r}: block {block}, expected multiples of {smallest}")
    axes, group = _axes(layer, mapping, block)
    packed = _macs_per_pe(layer, config)
    along_columns = mapping == "scatter"
    together = _tiles_together(layer, config, axes[0], group) if along_columns else 1
    passes = tuple(
        Pass(
            y,
            x,
            layer.input.channels,
            layer.output.channels,
            array.rows if along_columns else array.rows * packed,
            array.columns * packed if along_columns else array.columns,
            group,
            together,
        )
        for y, x in axes
    )
    tiling = Tiling(layer, mapping, block, passes, array)
    if tiling.mux_width > array.mux_width:
        raise EscaError(
            f"layer {layer.name!r}: mapping {mapping} with block {block} needs muxes of "
            f"{tiling.mux_width} inputs, the array has {array.mux_width}"
        )
    if tiling.useful != layer.macs:
        raise AssertionError(f"{layer.name}: {mapping} covers {tiling.useful} of {layer.macs} MACs")
    return tiling


def _macs_per_pe(layer: WorkLayer, config: AcceleratorConfig) -> int:
    """Multiply-accumulates of a PE a cycle; EscaError where the array makes no such products."""
    mode = layer.array_mode
    macs = config.array.macs(mode)
    if not macs:
        weight, activation = layer.operand_widths
        raise EscaError(
            f"layer {layer.name!r}: weights of {weight} bits and activations of {activation} need "
            f"{mode} products, which the array of {config.name} does not make"
        )
    return macs


def _tiles_together(
    layer: WorkLayer, config: AcceleratorConfig, axes: tuple[Axis, Axis], group: int
) -> int:
    """Tiles of outputs of ``scatter`` that are drained together: those of a channel, or of the
    channels in a row of banks.
    """
    array = config.array
    if not config.buffers.banked:
        return ceil(group / (array.columns * array.macs(layer.array_mode)))
    where = f"layer {layer.name!r}: mapping scatter is built"
    if _macs_per_pe(layer, config) > 1:
        raise EscaError(f"{where} for 8 x 8 products alone")
    if any((axis.tap < 0).any() for axis in axes):  # whole words of weights are kept
        raise EscaError(f"{where} where every tap of the kernel has an output")
    banks = overlap_banks(layer, array.columns)
    return banks.channel_tiles * banks.together


def _axes(
    layer: WorkLayer, mapping: MappingName, block: tuple[int, int]
) -> tuple[list[tuple[Axis, Axis]], int]:
    """Pairs of axes (y, x), one a pass, and the columns that stay together."""
    sizes = [
        (layer.input.height, layer.output.height, layer.kernel[0]),
        (layer.input.width, layer.output.width, layer.kernel[1]),
    ]
    s, p = layer.stride, layer.padding
    transposed = layer.kind == "conv_transpose2d"
    match mapping:
        case "im2col" if not transposed:
            y, x = (conv_axis(*size, s, p, 1) for size in sizes)
        case "dense" if transposed:
            y, x = (zero_inserted_axis(*size, s, p) for size in sizes)
        case "compressed" if transposed:
            ys, xs = ([phase_axis(*size, s, p, phase) for phase in range(s)] for size in sizes)
            return [(y, x) for y in ys for x in xs if y.rows and x.rows], 1
        case "phases" if layer.kind != "linear":
            axis = transposed_axis if transposed else conv_axis
            y, x = (axis(*size, s, p, b) for size, b in zip(sizes, block, strict=True))
        case "scatter" if transposed or (layer.kind == "conv2d" and s == 1):
            y, x = (scatter_axis(*size, s, p, transposed) for size in sizes)
            return [(y, x)], layer.kernel[0] * layer.kernel[1]
        case _:
            raise EscaError(
                f"layer {layer.name!r}: mapping {mapping} does not apply to {layer.kind} "
                f"of stride {s}"
            )
    return [(y, x)], 1


def candidate_tilings(layer: WorkLayer, config: AcceleratorConfig) -> tuple[Tiling, ...]:
    """Every tiling that the configuration allows for a layer; at least one, or EscaError."""
    _macs_per_pe(layer, config)
    names: list[MappingName] = [] if layer.kind == "conv_transpose2d" else ["im2col"]
    names += [name for name in config.mappings if name not in names]
    found = []
    for name in names:
        blocks: list[tuple[int, int] | None] = [None]
        if name == "phases":
            unit = layer.stride if layer.kind == "conv_transpose2d" else 1
            sizes = [unit * 2**power for power in range(5)]
            blocks = [(y, x) for y in sizes for x in sizes if y * x <= 64 * unit]
        for block in blocks:
            try:
                found.append(tile_layer(layer, config, name, block))
            except EscaError as error:
                refused = error
    if not found:
        raise EscaError(
            f"layer {layer.name!r}: none of the mappings {', '.join(config.mappings)} of "
            f"{config.name} applies ({refused})"
        )
    return tuple(found)


def scale_sim_cycles(tiling: Tiling) -> int:
    """Cycles without any overlap of weight loading, streaming and draining, as SCALE-Sim counts
    them for a weight-stationary array: ``tiles (M + 2R + C - 2) - 1``.
    """
    rows, columns = tiling.array.rows, tiling.array.columns
    return sum(p.tiles * (p.rows + 2 * rows + columns - 2) for p in tiling.passes) - 1
