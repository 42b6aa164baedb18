"""Float execution of the graph: the reference that every other execution is held against."""

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from esca.errors import EscaError
from esca.graph.graph import Graph, Node
from esca.graph.ops import (
    Add,
    Affine,
    Concat,
    Conv2d,
    ConvTranspose2d,
    GridSample,
    Input,
    LeakyRelu,
    Linear,
    PixelShuffle,
    Reshape,
    TexelBias,
    Upsample,
)

Observer = Callable[[Node, Tensor], Tensor | None]


def apply(node: Node, *values: Tensor) -> Tensor:
    """The node's operator on batched float inputs."""
    op = node.op
    x = values[0]
    match op:
        case Linear():
            return F.linear(x, op.weight, op.bias)
        case Conv2d():
            return F.conv2d(x, op.weight, op.bias, op.stride, op.padding)
        case ConvTranspose2d():
            return F.conv_transpose2d(
                x, op.weight, op.bias, op.stride, op.padding, op.output_padding
            )
        case TexelBias():
            return x + op.bias
        case LeakyRelu():
            return F.leaky_relu(x, op.slope)
        case Reshape():
            return x.reshape(len(x), *op.shape)
        case Concat():
            return torch.cat(values, dim=1)
        case Add():
            return x + values[1]
        case Upsample():
            if op.mode == "nearest":
                return F.interpolate(x, scale_factor=op.factor, mode="nearest")
            return F.interpolate(x, scale_factor=op.factor, mode="bilinear", align_corners=False)
        case PixelShuffle():
            return F.pixel_shuffle(x, op.factor)
        case GridSample():
            return F.grid_sample(
                x, values[1].permute(0, 2, 3, 1), padding_mode="zeros", align_corners=False
            )
        case Affine():
            return x * op.scale + op.offset
        case Input():
            raise EscaError(f"graph: input {node.name!r} was not fed")


def run(
    graph: Graph, feeds: Mapping[str, Tensor], observe: Observer | None = None
) -> dict[str, Tensor]:
    """Evaluate the graph on a batch.

    ``feeds``: input name -> (B, ...) tensor. ``observe`` sees every node's output in order and may
    return another tensor to go on with (fake quantization). Returns output label -> tensor. A value
    is dropped after its last reader, so memory stays near that of the widest layers.
    """
    kept = set(graph.outputs.values())
    last_reader = {name: node.name for node in graph.nodes for name in node.inputs}
    values: dict[str, Tensor] = {}
    for node in graph.nodes:
        if isinstance(node.op, Input):
            if node.name not in feeds:
                raise EscaError(f"graph: input {node.name!r} was not fed")
            value = feeds[node.name]
            if value.shape[1:] != node.shape:
                raise EscaError(
                    f"graph: input {node.name!r} has shape {tuple(value.shape[1:])}, "
                    f"expected {node.shape}"
                )
        else:
            value = apply(node, *(values[name] for name in node.inputs))
        if observe is not None:
            replacement = observe(node, value)
            value = value if replacement is None else replacement
        values[node.name] = value
        for name in node.inputs:
            if last_reader.get(name) == node.name and name not in kept:
                values.pop(name, None)
    return {label: values[name] for label, name in graph.outputs.items()}


@torch.no_grad()
def evaluate(graph: Graph, feeds: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """:func:`run` without gradients."""
    return run(graph, feeds)
