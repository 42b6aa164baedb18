"""How weights, texel biases and activations stand in an exported graph: integers, or plain floats.

``stride`` above 1 asks for the form that computes all phases of a transposed convolution at once.
"""

from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from esca.graph.graph import Graph
from esca.graph.ops import ConvTranspose2d, TexelBias, out_channel_axis
from esca.quantization.quantize import QuantizedGraph
from esca.quantization.weights import QuantizedWeight, dequantize_weight
from esca.runtime.export.operators import texels
from esca.runtime.export.phases import split_texels, split_weight, spread
from esca.runtime.export.writer import Writer


class Constants(Protocol):
    """Each method returns the name of a value that holds reals."""

    def weight(self, name: str, stride: int) -> str:
        """The weight of a node, in its operator's layout or as that of a convolution."""
        ...

    def texels(self, name: str, stride: int) -> str:
        """The texel biases of a node, (1, C, H, W) or (1, C stride^2, H / stride, W / stride)."""
        ...

    def snapped(self, name: str, value: str) -> str:
        """A value on the grid of the node ``name``."""
        ...


@dataclass(frozen=True)
class IntegerConstants:
    """Stored integers behind DequantizeLinear; activations snapped to their grids."""

    quantized: QuantizedGraph
    writer: Writer

    def weight(self, name: str, stride: int) -> str:
        """See :class:`Constants`."""
        w, op = self.writer, self.quantized.graph.weight_op(name)
        stored, made = self.quantized.weights[name], f"{name}.weight"
        if isinstance(op, ConvTranspose2d) and stride > 1:
            scale = spread(stored.scale, stride)
            return w.dequantized(made, split_weight(op, stored.values), stored.bits, scale, 0)
        if stored.scale.shape[1] == 1:
            axis = out_channel_axis(op)
            return w.dequantized(made, stored.values, stored.bits, stored.scale, axis)
        assert isinstance(op, ConvTranspose2d)
        # DequantizeLinear knows one scale a channel; those of phases multiply behind it.
        one = torch.ones(())
        integers = w.dequantized(f"{made}.unscaled", stored.values, stored.bits, one, None)
        return w.node("Mul", made, integers, w.real(f"{made}.scale", _scale_of_taps(op, stored)))

    def texels(self, name: str, stride: int) -> str:
        """See :class:`Constants`."""
        bias = self.quantized.texel_biases[name]
        return texels(self.writer, f"{name}.texels", bias, stride, bias.scale)

    def snapped(self, name: str, value: str) -> str:
        """See :class:`Constants`."""
        return self.writer.snapped(name, value, self.quantized.grids[name])


@dataclass(frozen=True)
class FloatConstants:
    """The graph's own float32 values; activations are not touched."""

    graph: Graph
    writer: Writer

    def weight(self, name: str, stride: int) -> str:
        """See :class:`Constants`."""
        op = self.graph.weight_op(name)
        weight = op.weight
        if isinstance(op, ConvTranspose2d) and stride > 1:
            weight = split_weight(op, weight)
        return self.writer.real(f"{name}.weight", weight)

    def texels(self, name: str, stride: int) -> str:
        """See :class:`Constants`."""
        op = self.graph.by_name[name].op
        assert isinstance(op, TexelBias)
        return self.writer.real(f"{name}.texels", split_texels(op.bias, stride)[None])

    def snapped(self, name: str, value: str) -> str:
        """The value itself."""
        return value


def _scale_of_taps(op: ConvTranspose2d, stored: QuantizedWeight) -> Tensor:
    """(1, out, k, k): the scale of the phase that each tap belongs to."""
    one_input = replace(op, weight=op.weight[:1])
    return dequantize_weight(one_input, replace(stored, values=torch.ones_like(stored.values[:1])))
