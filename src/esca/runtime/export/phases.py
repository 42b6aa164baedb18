"""Exact rewrites of transposed convolutions: a convolution at the input's size, then a shuffle.

Output texel ``y = s m + r`` of a transposed convolution reads input ``i = m + d`` through the tap
``k = r + padding - s d`` wherever the kernel has it. So phase ``r`` is a convolution at the input's
size, and one kernel spans the offsets ``d`` of all phases: 3 x 3 for kernel 4, stride 2 and padding
1, of which each phase uses 2 x 2 (2.25 times the multiplications). The channels of the result hold
the phases (channel slowest, then row, then column), which depth to space (CRD, PyTorch's pixel
shuffle) spreads.

Engines that keep channels innermost move single bytes there. With one convolution for each row of
phases, whose channels hold the phases of that row (column slowest, then channel), the values lie in
memory as in the rows of the output already, and only whole rows have to be put one below the other.
Each such convolution needs only the rows of the kernel that its phases use, 2 of 3, which leaves
1.5 times the multiplications.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from esca.graph.ops import ConvTranspose2d


def can_split(op: ConvTranspose2d, source: tuple[int, ...], target: tuple[int, ...]) -> bool:
    """Whether the output, (C, H, W), is ``stride`` times as large as the input."""
    return op.stride > 1 and all(
        large == op.stride * small for small, large in zip(source[1:], target[1:], strict=True)
    )


def offsets(op: ConvTranspose2d) -> range:
    """The offsets from ``m`` at which some phase reads the input; 0 is among them."""
    taps = op.weight.shape[-1]
    lowest = -((taps - 1 - op.padding) // op.stride)
    highest = (op.stride - 1 + op.padding) // op.stride
    return range(min(lowest, 0), max(highest, 0) + 1)


def split_weight(op: ConvTranspose2d, weight: Tensor) -> Tensor:
    """(in, out, k, k) values of any type to (out stride^2, in, side, side), one side an offset."""
    s, reach, taps = op.stride, offsets(op), weight.shape[-1]
    inputs, outputs = weight.shape[:2]
    made = weight.new_zeros(outputs, s, s, inputs, len(reach), len(reach))
    # One axis after the other: offset and phase -> tap.
    reads = [
        (residue, place, residue + op.padding - s * offset)
        for residue in range(s)
        for place, offset in enumerate(reach)
        if 0 <= residue + op.padding - s * offset < taps
    ]
    for row, y, ky in reads:
        for column, x, kx in reads:
            made[:, row, column, :, y, x] = weight[:, :, ky, kx].t()
    return made.reshape(outputs * s * s, inputs, len(reach), len(reach))


def split_pads(op: ConvTranspose2d) -> list[int]:
    """Rows and columns of padding of the convolution: top, left, bottom, right."""
    reach = offsets(op)
    return [-reach[0]] * 2 + [reach[-1]] * 2


def spread(vector: Tensor, stride: int) -> Tensor:
    """(C,) or (C, stride^2) values of output channels, one for each channel and phase."""
    return vector.reshape(len(vector), -1).expand(-1, stride * stride).reshape(-1)


def split_texels(texels: Tensor, stride: int) -> Tensor:
    """(C, s H, s W) to (C s^2, H, W), the inverse of the shuffle."""
    return torch.nn.functional.pixel_unshuffle(texels, stride)


@dataclass(frozen=True)
class Row:
    """The phases ``number`` of ``stride`` rows of a split transposed convolution.

    Their channels are sorted by column first, then by the layer's channel.
    """

    stride: int
    number: int

    def of(self, split: Tensor) -> Tensor:
        """(C stride^2, ...) values of channels and phases to this row's, (stride C, ...)."""
        phases = split.unflatten(0, (-1, self.stride, self.stride))[:, self.number]
        return phases.transpose(0, 1).flatten(0, 1)

    def weight(self, op: ConvTranspose2d, weight: Tensor) -> Tensor:
        """(in, out, k, k) values to (stride out, in, rows, side), only rows that it reads."""
        reach, used = offsets(op), self._used(op)
        rows = slice(used[0] - reach[0], used[-1] - reach[0] + 1)
        return self.of(split_weight(op, weight))[:, :, rows].contiguous()

    def pads(self, op: ConvTranspose2d) -> list[int]:
        """Padding of its convolution: top, left, bottom, right."""
        used, (_, left, _, right) = self._used(op), split_pads(op)
        return [-used[0], left, used[-1], right]

    def _used(self, op: ConvTranspose2d) -> list[int]:
        taps, first = op.weight.shape[-1], self.number + op.padding
        return [d for d in offsets(op) if d == 0 or 0 <= first - op.stride * d < taps]
