"""Single operators of a graph in ONNX: what their arguments are called there."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from esca.errors import EscaError
from esca.graph.graph import Graph, Node
from esca.graph.layers import Layer
from esca.graph.ops import (
    Concat,
    Conv2d,
    ConvTranspose2d,
    Linear,
    PixelShuffle,
    Reshape,
    Upsample,
    Weighted,
)
from esca.quantization.weights import QuantizedBias
from esca.runtime.export.phases import Row, can_split, split_pads, split_texels, spread
from esca.runtime.export.writer import Writer


def split_stride(graph: Graph, layer: Layer) -> int:
    """The stride of a transposed convolution whose phases can be computed at once, else 1."""
    root = layer.root
    if not isinstance(root.op, ConvTranspose2d) or layer.residual is not None:
        return 1
    source = graph.by_name[root.inputs[0]].shape
    return root.op.stride if can_split(root.op, source, root.shape) else 1


def weigh(w: Writer, name: str, op: Weighted, split: bool | Row, *inputs: str) -> str:
    """A weighted operator on value, weight and, where there is one, bias.

    ``split``: the transposed convolution as a convolution for all its phases, or a row of them.
    """
    attributes: dict[str, Any]
    match op:
        case Linear():
            kind, attributes = "Gemm", {"transB": 1}
        case Conv2d():
            kind = "Conv"
            attributes = {"strides": [op.stride] * 2, "pads": [op.padding] * 4}
        case ConvTranspose2d() if isinstance(split, Row):
            kind, attributes = "Conv", {"pads": split.pads(op)}
        case ConvTranspose2d() if split:
            kind, attributes = "Conv", {"pads": split_pads(op)}
        case ConvTranspose2d():
            kind = "ConvTranspose"
            attributes = {
                "strides": [op.stride] * 2,
                "pads": [op.padding] * 4,
                "output_padding": [op.output_padding] * 2,
            }
    return w.node(kind, name, *inputs, **attributes)


def texels(w: Writer, name: str, bias: QuantizedBias, stride: int, scale: Tensor) -> str:
    """Texel biases (1, C, H, W), or one channel a phase, times ``scale`` (C,); a ramp as the sum of
    its two lines.
    """
    steps = spread(scale, stride)
    if bias.ramp is None or stride > 1:
        values = split_texels(bias.values, stride)[None]
        return w.dequantized(name, values, bias.bits, steps, 1)
    rows, columns = bias.ramp.lines(*bias.values.shape[1:])
    lines = {"rows": rows[None, :, :, None], "columns": columns[None, :, None]}
    added = [w.dequantized(f"{name}.{of}", line, bias.bits, steps, 1) for of, line in lines.items()]
    return w.node("Add", name, *added)


def depth_to_space(w: Writer, name: str, value: str, factor: int) -> str:
    """PyTorch's pixel shuffle; a factor of 1 changes nothing."""
    if factor == 1:
        return value
    return w.node("DepthToSpace", name, value, blocksize=factor, mode="CRD")


def interleave(w: Writer, name: str, rows: Sequence[str], shape: tuple[int, ...]) -> str:
    """Rows of phases, see :class:`esca.runtime.export.phases.Row`, to (B, H, W, C).

    ``shape``: (C, H, W). For engines that keep channels innermost the transpositions change
    nothing, and the concatenation copies whole rows.
    """
    channels, height, width = shape
    split = w.array(f"{name}.split", np.array([0, height // len(rows), 1, width, channels]))
    whole = w.array(f"{name}.whole", np.array([0, height, width, channels]))
    lines = []
    for row in rows:
        last = w.node("Transpose", f"{name}.last", row, perm=(0, 2, 3, 1))
        lines.append(w.node("Reshape", f"{name}.line", last, split))
    value = w.node("Concat", f"{name}.lines", *lines, axis=2)
    return w.node("Reshape", f"{name}.rows", value, whole)


def rearrange(w: Writer, node: Node, *inputs: str) -> str:
    """A move with one kind of values; a bilinear one is not rounded yet."""
    match node.op:
        case Reshape():
            shape = w.array(f"{node.name}.shape", np.array([0, *node.op.shape], np.int64))
            return w.node("Reshape", node.name, inputs[0], shape)
        case Concat():
            return w.node("Concat", node.name, *inputs, axis=1)
        case PixelShuffle():
            return depth_to_space(w, node.name, inputs[0], node.op.factor)
        case Upsample():
            return upsample(w, node.name, node.op, inputs[0])
    raise EscaError(f"export: {type(node.op).__name__} {node.name!r} is not a move")


def upsample(w: Writer, name: str, op: Upsample, value: str) -> str:
    """Nearest or bilinear enlargement."""
    factors = w.array(f"{name}.factors", np.array([1, 1, op.factor, op.factor], np.float32))
    how = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
    if op.mode == "nearest":
        how = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric"}
        how["nearest_mode"] = "floor"
    return w.node("Resize", name, value, "", factors, **how)


def grid_sample(w: Writer, name: str, value: str, places: str) -> str:
    """Bilinear sampling at (B, 2, h, w) in [-1, 1], zeros outside."""
    last = w.node("Transpose", f"{name}.places", places, perm=(0, 2, 3, 1))
    how: dict[str, Any] = {"mode": "linear", "padding_mode": "zeros", "align_corners": 0}
    return w.node("GridSample", name, value, last, **how)


def broadcast(tensor: Tensor, rank: int) -> Tensor:
    """A constant of one value a channel, for batches of samples with ``rank`` axes."""
    return tensor.reshape(-1, *(1,) * (rank - 1)) if tensor.dim() else tensor
