"""The operators of the graph: frozen, typed, parameters folded in.

Shapes leave the batch out: a feature map is (C, H, W), a vector is (N,). Weights keep PyTorch's
layouts. No operator has hidden state, so an operator and its inputs say everything.
"""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor


@dataclass(frozen=True, eq=False)
class Input:
    """An input of the decoder, fed by name."""


@dataclass(frozen=True, eq=False)
class Linear:
    """``y = W x + b``. ``weight``: (out, in). ``bias``: (out,) or None."""

    weight: Tensor
    bias: Tensor | None


@dataclass(frozen=True, eq=False)
class Conv2d:
    """Cross-correlation. ``weight``: (out, in, kh, kw). ``bias``: (out,) or None."""

    weight: Tensor
    bias: Tensor | None
    stride: int
    padding: int


@dataclass(frozen=True, eq=False)
class ConvTranspose2d:
    """Transposed convolution. ``weight``: (in, out, kh, kw). ``bias``: (out,) or None."""

    weight: Tensor
    bias: Tensor | None
    stride: int
    padding: int
    output_padding: int = 0


@dataclass(frozen=True, eq=False)
class TexelBias:
    """Adds ``bias``, one value a texel: (C, H, W)."""

    bias: Tensor


@dataclass(frozen=True, eq=False)
class LeakyRelu:
    """``max(x, slope * x)`` with 0 <= slope <= 1; positively homogeneous."""

    slope: float


@dataclass(frozen=True, eq=False)
class Reshape:
    """Row-major reshape of one sample to ``shape``."""

    shape: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Concat:
    """Concatenation along the channel axis (the first of a sample)."""


@dataclass(frozen=True, eq=False)
class Add:
    """Sum of two tensors of one shape (a residual)."""


@dataclass(frozen=True, eq=False)
class Upsample:
    """Enlarges H and W by the integer ``factor``; bilinear uses ``align_corners=False``."""

    factor: int
    mode: Literal["nearest", "bilinear"]


@dataclass(frozen=True, eq=False)
class PixelShuffle:
    """(C r^2, H, W) -> (C, H r, W r), PyTorch's channel order."""

    factor: int


@dataclass(frozen=True, eq=False)
class GridSample:
    """Samples input 0 (C, H, W) at input 1 (2, h, w): x then y in [-1, 1].

    Bilinear, zeros outside, ``align_corners=False``.
    """


@dataclass(frozen=True, eq=False)
class Affine:
    """``x * scale + offset``; both (C, 1, 1) or (N,) or one value."""

    scale: Tensor
    offset: Tensor


Weighted = Linear | Conv2d | ConvTranspose2d
Op = (
    Input
    | Linear
    | Conv2d
    | ConvTranspose2d
    | TexelBias
    | LeakyRelu
    | Reshape
    | Concat
    | Add
    | Upsample
    | PixelShuffle
    | GridSample
    | Affine
)

OPERATORS: dict[str, type[Op]] = {
    cls.__name__: cls
    for cls in (
        Input,
        Linear,
        Conv2d,
        ConvTranspose2d,
        TexelBias,
        LeakyRelu,
        Reshape,
        Concat,
        Add,
        Upsample,
        PixelShuffle,
        GridSample,
        Affine,
    )
}


def out_channel_axis(op: Weighted) -> int:
    """Axis of the output channel in ``op.weight``."""
    return 1 if isinstance(op, ConvTranspose2d) else 0


def in_channel_axis(op: Weighted) -> int:
    """Axis of the input channel in ``op.weight``."""
    return 0 if isinstance(op, ConvTranspose2d) else 1


def along(vector: Tensor, axis: int, dimensions: int) -> Tensor:
    """View a vector so that it broadcasts along ``axis`` of a tensor with ``dimensions`` axes."""
    return vector.reshape([-1 if i == axis else 1 for i in range(dimensions)])
