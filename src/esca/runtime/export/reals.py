"""Layers on real values: between QuantizeLinear and DequantizeLinear, or plain float32."""

from collections.abc import Mapping
from dataclasses import dataclass

from esca.graph.graph import Graph
from esca.graph.layers import Layer, Move
from esca.graph.ops import Add, Affine, GridSample, LeakyRelu, TexelBias, Weighted
from esca.runtime.export.constants import Constants
from esca.runtime.export.operators import (
    broadcast,
    depth_to_space,
    grid_sample,
    rearrange,
    split_stride,
    weigh,
)
from esca.runtime.export.phases import spread
from esca.runtime.export.writer import Writer


@dataclass(frozen=True)
class RealSteps:
    """Writes steps on real values. ``split``: transposed convolutions for all phases at once."""

    graph: Graph
    writer: Writer
    constants: Constants
    split: bool

    def input(self, name: str) -> str:
        """An input on its grid."""
        return self.constants.snapped(name, name)

    def output(self, name: str, value: str) -> str:
        """The reals of a node's value."""
        return value

    def layer(self, layer: Layer, values: Mapping[str, str]) -> str:
        """Operator, biases, residual, leaky ReLU, then the output's grid."""
        w, root = self.writer, layer.root
        stride = split_stride(self.graph, layer) if self.split else 1
        value = values[root.inputs[0]]
        if isinstance(root.op, Weighted):
            inputs = [value, self.constants.weight(root.name, stride)]
            if root.op.bias is not None:
                inputs.append(w.real(f"{root.name}.bias", spread(root.op.bias, stride)))
            value = weigh(w, root.name, root.op, stride > 1, *inputs)
        for member in layer.members:
            match member.op:
                case TexelBias():
                    texels = self.constants.texels(member.name, stride)
                    value = w.node("Add", member.name, value, texels)
                case Add():
                    assert layer.residual is not None
                    value = w.node("Add", member.name, value, values[layer.residual])
                case LeakyRelu():
                    value = w.node("LeakyRelu", member.name, value, alpha=member.op.slope)
                case Affine():
                    rank, name = len(member.shape), member.name
                    scale = w.real(f"{name}.scale", broadcast(member.op.scale, rank))
                    offset = w.real(f"{name}.offset", broadcast(member.op.offset, rank))
                    value = w.node("Mul", f"{name}.scaled", value, scale)
                    value = w.node("Add", name, value, offset)
        value = self.constants.snapped(layer.output.name, value)
        return depth_to_space(w, f"{layer.output.name}.spread", value, stride)

    def move(self, move: Move, values: Mapping[str, str]) -> str:
        """What only rearranges is snapped too: engines for QDQ want to be told its grid."""
        node = move.node
        inputs = [values[name] for name in node.inputs]
        if isinstance(node.op, GridSample):
            value = grid_sample(self.writer, node.name, *inputs)
        else:
            value = rearrange(self.writer, node, *inputs)
        return self.constants.snapped(node.name, value)
