"""What a weighted layer reduces over: the columns that multiply its weights.

For a transposed convolution of kernel k and stride s, output texel y takes the taps with
``tap = (y + padding) mod s`` (mod s), so the layer splits exactly into s x s independent output
phases, each with about (k/s)^2 taps and a Hessian of its own. A convolution or a linear layer is
the case of one phase.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from esca.graph.ops import Conv2d, ConvTranspose2d, Linear, Weighted


@dataclass(frozen=True)
class Phase:
    """One output phase of a layer.

    ``row``, ``column``: residues (y mod stride, x mod stride) of its output texels.
    ``taps``: kernel positions (ky, kx), in the order of the columns' blocks.
    """

    index: int
    row: int
    column: int
    stride: int
    taps: tuple[tuple[int, int], ...]


def phases(op: Weighted) -> tuple[Phase, ...]:
    """The output phases of a layer, ``index`` = row * stride + column."""
    if isinstance(op, Linear):
        return (Phase(0, 0, 0, 1, ((0, 0),)),)
    height, width = op.weight.shape[2:]
    if isinstance(op, Conv2d):
        taps = tuple((y, x) for y in range(height) for x in range(width))
        return (Phase(0, 0, 0, 1, taps),)
    s, p = op.stride, op.padding
    return tuple(
        Phase(
            row * s + column,
            row,
            column,
            s,
            tuple(
                (y, x)
                for y in range((row + p) % s, height, s)
                for x in range((column + p) % s, width, s)
            ),
        )
        for row in range(s)
        for column in range(s)
    )


def weight_matrix(op: Weighted, weight: Tensor, phase: Phase) -> Tensor:
    """(out, taps * in) matrix of a phase; column ``t * in + c`` is tap t of input channel c."""
    if isinstance(op, Linear):
        return weight
    taps = [
        weight[:, :, y, x].t() if isinstance(op, ConvTranspose2d) else weight[:, :, y, x]
        for y, x in phase.taps
    ]
    channels = weight.shape[1 if isinstance(op, ConvTranspose2d) else 0]
    return torch.cat(taps, dim=1) if taps else weight.new_zeros(channels, 0)


def set_weight_matrix(op: Weighted, weight: Tensor, phase: Phase, matrix: Tensor) -> None:
    """Write a phase's matrix back into ``weight``, in place."""
    if isinstance(op, Linear):
        weight.copy_(matrix)
        return
    inputs = weight.shape[0 if isinstance(op, ConvTranspose2d) else 1]
    for index, (y, x) in enumerate(phase.taps):
        block = matrix[:, index * inputs : (index + 1) * inputs]
        weight[:, :, y, x] = block.t() if isinstance(op, ConvTranspose2d) else block


@dataclass(frozen=True)
class Strips:
    """Which rows of a phase's output raster are looked at, and how many at a time.

    Every ``every``-th strip of ``rows`` rows, from strip number ``first`` on. Columns of 16 rows
    stay in the cache, where they are read twice.
    """

    rows: int = 16
    every: int = 1
    first: int = 0


ALL = Strips()


def phase_columns(
    op: Weighted, x: Tensor, phase: Phase, out_shape: tuple[int, ...], strips: Strips = ALL
) -> Iterator[tuple[Tensor, slice]]:
    """Columns of a phase for a batch, in strips so that memory stays small.

    ``x``: the layer's input, (B, in) or (B, in, H, W). Yields ``(columns, strip)``: columns is
    (B, taps * in, N) with N output texels, the strip's rows of the phase's own output raster
    (row-major); ``weight_matrix @ columns`` is that part of the output without bias. ``out_shape``
    is (C, H, W) of the layer's output.
    """
    if isinstance(op, Linear):
        yield x[:, :, None], slice(0, 1)
        return
    yield from _strip_columns(op, _bordered(op, x), phase, out_shape, strips)


def _bordered(op: Conv2d | ConvTranspose2d, x: Tensor) -> Tensor:
    """``x`` with as many zeros around it as any tap reaches."""
    border = _border(op)
    return torch.nn.functional.pad(x, (border, border, border, border))


def _border(op: Conv2d | ConvTranspose2d) -> int:
    return max(*op.weight.shape[2:], op.padding)


def _strip_columns(
    op: Conv2d | ConvTranspose2d,
    bordered: Tensor,
    phase: Phase,
    out_shape: tuple[int, ...],
    strips: Strips,
) -> Iterator[tuple[Tensor, slice]]:
    """See :func:`phase_columns`. ``bordered``: the input, padded once for all phases."""
    height = len(range(phase.row, out_shape[1], phase.stride))
    width = len(range(phase.column, out_shape[2], phase.stride))
    step = op.stride if isinstance(op, Conv2d) else 1
    batch, channels = bordered.shape[:2]
    for start in range(strips.first * strips.rows, height, strips.rows * strips.every):
        rows = min(strips.rows, height - start)
        # A stride above the kernel leaves phases that no tap reaches: no columns, output zero.
        columns = bordered.new_empty(batch, len(phase.taps), channels, rows, width)
        for tap, (ky, kx) in enumerate(phase.taps):
            top = _first_input(op, phase.row, ky) + start * step + _border(op)
            left = _first_input(op, phase.column, kx) + _border(op)
            columns[:, tap] = bordered[
                :,
                :,
                top : top + (rows - 1) * step + 1 : step,
                left : left + (width - 1) * step + 1 : step,
            ]
        shape = (batch, len(phase.taps) * channels, rows * width)
        yield columns.reshape(shape), slice(start, start + rows)


def _first_input(op: Conv2d | ConvTranspose2d, residue: int, tap: int) -> int:
    """Input index that ``tap`` reads for the phase's first output (may be negative: padding)."""
    if isinstance(op, Conv2d):
        return tap - op.padding
    return (residue + op.padding - tap) // op.stride


def accumulate_hessians(
    op: Weighted,
    x: Tensor,
    out_shape: tuple[int, ...],
    plain: list[Tensor] | None,
    uv: list[Tensor] | None = None,
    texel_weight: Tensor | None = None,
    strips: Strips = ALL,
) -> None:
    """Add ``2 sum_n w_n x_n x_n^T`` of a batch to each phase's Hessian, in place.

    ``plain`` (all weights 1), ``uv``: one (K, K) float32 a phase each, None where not wanted.
    ``texel_weight``: (H, W) of the *output*, for ``uv``: columns are multiplied by the square root
    of the weight at their output texel, which is exact; a linear layer has no texels.
    ``strips``: where only every n-th strip is looked at, what it adds counts n times.
    """
    if isinstance(op, Linear):
        for hessians in (plain, uv):
            if hessians is not None:
                hessians[0].addmm_(x.t(), x, alpha=2.0)
        return
    bordered = _bordered(op, x)
    for phase in phases(op):
        for columns, strip in _strip_columns(op, bordered, phase, out_shape, strips):
            if plain is not None:
                _add_products(plain[phase.index], columns, strips.every)
            if uv is not None:
                if texel_weight is not None:
                    weight = texel_weight[phase.row :: phase.stride, phase.column :: phase.stride]
                    columns.mul_(weight[strip].reshape(-1).sqrt())
                _add_products(uv[phase.index], columns, strips.every)


def _add_products(hessian: Tensor, columns: Tensor, times: int) -> None:
    for frame in columns:  # one by one: joining them would cost a copy of the columns
        hessian.addmm_(frame, frame.t(), alpha=2.0 * times)
