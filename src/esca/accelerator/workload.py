"""What has to be computed: typed layers with shapes and bits, without any values.

Built from a float graph with planned bits, or from a quantized graph with the bits it has.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from math import ceil, prod
from typing import Literal

from esca.accelerator.bits import StorageBits, planned_bits, quantized_bits
from esca.accelerator.config import ArrayMode
from esca.errors import EscaError
from esca.graph import Graph, Node
from esca.graph.layers import Layer, Move, schedule
from esca.graph.ops import (
    Add,
    Affine,
    Concat,
    Conv2d,
    ConvTranspose2d,
    GridSample,
    LeakyRelu,
    Linear,
    PixelShuffle,
    Reshape,
    TexelBias,
    Upsample,
    Weighted,
)
from esca.quantization.quantize import QuantizedGraph
from esca.quantization.recipe import Recipe

Part = Literal["texture", "decoder", "encoder"]
Kind = Literal[
    "conv_transpose2d",
    "conv2d",
    "linear",
    "texel_bias",
    "add",
    "affine",
    "leaky_relu",
    "reshape",
    "concat",
    "upsample",
    "pixel_shuffle",
    "grid_sample",
]

ARRAY_KINDS: tuple[Kind, ...] = ("conv_transpose2d", "conv2d", "linear")
ELEMENTWISE_KINDS: tuple[Kind, ...] = ("texel_bias", "add", "affine", "leaky_relu")
MOVE_KINDS: tuple[Kind, ...] = ("reshape", "concat", "pixel_shuffle")

_KINDS: dict[type, Kind] = {
    ConvTranspose2d: "conv_transpose2d",
    Conv2d: "conv2d",
    Linear: "linear",
    TexelBias: "texel_bias",
    Add: "add",
    Affine: "affine",
    LeakyRelu: "leaky_relu",
    Reshape: "reshape",
    Concat: "concat",
    Upsample: "upsample",
    PixelShuffle: "pixel_shuffle",
    GridSample: "grid_sample",
}


def stored_bytes(values: int, bits: int) -> int:
    """Bytes of packed integers: half a byte, one or two each (as in the artifact)."""
    if not 1 <= bits <= 16:
        raise EscaError(f"bits: {bits}, expected 1 to 16")
    return ceil(values / 2) if bits <= 4 else values if bits <= 8 else 2 * values


@dataclass(frozen=True)
class TensorShape:
    """One tensor between layers: ``shape`` is (C, H, W) or (N,), without a batch."""

    name: str
    shape: tuple[int, ...]
    bits: int

    @property
    def channels(self) -> int:
        """C of a map, N of a vector."""
        return self.shape[0]

    @property
    def height(self) -> int:
        """Rows; a vector has one."""
        return self.shape[1] if len(self.shape) == 3 else 1

    @property
    def width(self) -> int:
        """Columns; a vector has one."""
        return self.shape[2] if len(self.shape) == 3 else 1

    @property
    def values(self) -> int:
        """Number of values."""
        return prod(self.shape)

    @property
    def bytes(self) -> int:
        """Bytes of the packed tensor; whole rows of a map start on a byte."""
        return self.height * self.row_bytes

    @property
    def row_bytes(self) -> int:
        """Bytes of one row of all channels; of 9 or 10 bits, three values lie in four bytes.

        Colours of 10 bits are what graphics processors read as one 32-bit word a texel.
        """
        values = self.channels * self.width
        return 4 * ceil(values / 3) if self.bits in (9, 10) else stored_bytes(values, self.bits)


@dataclass(frozen=True)
class WorkLayer:
    """One pass of the machine: a root operator with its fused epilogue, or a move.

    ``inputs``: operands of the root; ``residual``: the tensor that the epilogue adds. ``kernel``,
    ``stride``, ``padding``, ``output_padding`` are those of a (transposed) convolution; ``factor``
    that of an upsample or pixel shuffle. ``texel_bias_bits``: one entry a fused texel bias that is
    stored; ``ramps``: how many are computed from their rise instead.
    """

    name: str
    kind: Kind
    inputs: tuple[TensorShape, ...]
    output: TensorShape
    residual: TensorShape | None = None
    kernel: tuple[int, int] = (1, 1)
    stride: int = 1
    padding: int = 0
    output_padding: int = 0
    factor: int = 1
    weight_bits: int = 0
    channel_bias: bool = False
    texel_bias_bits: tuple[int, ...] = ()
    ramps: int = 0

    def __post_init__(self) -> None:
        if self.kind not in ARRAY_KINDS:
            return
        if not 1 <= self.weight_bits <= 8 or not 1 <= self.input.bits <= 8:
            raise EscaError(
                f"layer {self.name!r}: w{self.weight_bits}a{self.input.bits}, the array multiplies "
                "1 to 8 bits"
            )
        if min(*self.kernel, self.stride) < 1 or min(self.padding, self.output_padding) < 0:
            raise EscaError(
                f"layer {self.name!r}: kernel {self.kernel}, stride {self.stride}, padding "
                f"{self.padding}, expected at least 1, 1 and 0"
            )
        expected = tuple(self._side(axis) for axis in (0, 1))
        got = (self.output.height, self.output.width)
        if expected != got or min(expected) < 1:
            raise EscaError(f"layer {self.name!r}: output is {got}, its geometry makes {expected}")

    def _side(self, axis: int) -> int:
        size = (self.input.height, self.input.width)[axis]
        kernel = self.kernel[axis]
        if self.kind == "conv_transpose2d":
            return (size - 1) * self.stride - 2 * self.padding + kernel + self.output_padding
        return (size + 2 * self.padding - kernel) // self.stride + 1

    @property
    def input(self) -> TensorShape:
        """The first operand."""
        return self.inputs[0]

    @property
    def operand_widths(self) -> tuple[int, int]:
        """Widths, 4 or 8 bits, that weights and activations are multiplied at."""
        return 4 if self.weight_bits <= 4 else 8, 4 if self.input.bits <= 4 else 8

    @property
    def array_mode(self) -> ArrayMode:
        """Mode of the array; which of the operands is the wider does not matter."""
        modes: dict[int, ArrayMode] = {8: "4x4", 12: "4x8", 16: "8x8"}
        return modes[sum(self.operand_widths)]

    @property
    def weights(self) -> int:
        """Number of weights that meet a value. Taps that lie in the padding or outside the output,
        wherever the kernel stands, are neither stored nor loaded.
        """
        if self.kind not in ARRAY_KINDS:
            return 0
        met = prod(len({tap for _, tap in self._valid_taps(axis)}) for axis in (0, 1))
        return self.input.channels * self.output.channels * met

    @property
    def weight_bytes(self) -> int:
        """Bytes of packed weights and of the int32 biases."""
        if self.kind not in ARRAY_KINDS:
            return 0
        biases = 4 * self.output.channels if self.channel_bias else 0
        return stored_bytes(self.weights, self.weight_bits) + biases

    @property
    def texel_bias_bytes(self) -> int:
        """Bytes of the per-texel biases, read once a frame."""
        return sum(stored_bytes(self.output.values, bits) for bits in self.texel_bias_bits)

    @cached_property
    def macs(self) -> int:
        """Useful multiply-accumulates, exactly: none with padding, none that is cropped."""
        if self.kind not in ARRAY_KINDS:
            return 0
        taps = prod(len(self._valid_taps(axis)) for axis in (0, 1))
        return taps * self.input.channels * self.output.channels

    @property
    def uncropped_macs(self) -> int:
        """The usual count, which takes products at borders for useful ones."""
        if self.kind not in ARRAY_KINDS:
            return 0
        where = self.input if self.kind == "conv_transpose2d" else self.output
        products = self.input.channels * self.output.channels * prod(self.kernel)
        return products * where.height * where.width

    def _valid_taps(self, axis: int) -> list[tuple[int, int]]:
        """Pairs (position, tap) of an axis whose product counts."""
        sizes = [(t.height, t.width)[axis] for t in (self.input, self.output)]
        small, large = sizes if self.kind == "conv_transpose2d" else reversed(sizes)
        # Both directions pair position i of the smaller raster with i * stride + tap - padding.
        return [
            (i, tap)
            for i in range(small)
            for tap in range(self.kernel[axis])
            if 0 <= i * self.stride + tap - self.padding < large
        ]

    def input_rows(self, output_rows: int, index: int = 0, window: int = 0) -> int:
        """Rows of operand ``index`` that the first ``output_rows`` output rows need.

        ``window``: rows of a sampled texture held on chip, half of them ahead.
        """
        height = self.inputs[index].height
        last = output_rows - 1
        match self.kind:
            case _ if output_rows <= 0:
                return 0
            case "conv_transpose2d":
                rows = (last + self.padding) // self.stride + 1
            case "conv2d":
                rows = last * self.stride + self.kernel[0] - self.padding
            case "upsample":
                rows = last // self.factor + 2
            case "pixel_shuffle":
                rows = last // self.factor + 1
            case "grid_sample":
                rows = output_rows + window // 2 if index == 0 else output_rows
            case "reshape" | "linear":
                rows = height
            case _:
                rows = output_rows
        return max(0, min(height, rows))

    def first_input_row(self, output_row: int, index: int = 0, window: int = 0) -> int:
        """First row of operand ``index`` that output rows from ``output_row`` on need."""
        row = output_row
        match self.kind:
            case "conv_transpose2d":
                row = -((self.kernel[0] - 1 - self.padding - output_row) // self.stride)
            case "conv2d":
                row = output_row * self.stride - self.padding
            case "upsample":
                row = output_row // self.factor - 1
            case "pixel_shuffle":
                row = output_row // self.factor
            case "grid_sample" if index == 0:
                row = output_row - window // 2
            case "reshape" | "linear":
                row = 0
        return min(max(0, row), self.inputs[index].height)


@dataclass(frozen=True)
class Workload:
    """Layers in an order of execution; ``inputs`` come from and ``outputs`` go to DRAM."""

    name: str
    layers: tuple[WorkLayer, ...]
    inputs: tuple[TensorShape, ...]
    outputs: tuple[str, ...]

    @property
    def macs(self) -> int:
        """Useful multiply-accumulates, borders subtracted."""
        return sum(layer.macs for layer in self.layers)

    def alone(self, name: str) -> "Workload":
        """One layer, by its name; EscaError where there is none."""
        for layer in self.layers:
            if layer.name == name:
                read = (*layer.inputs, *([layer.residual] if layer.residual else []))
                fed = tuple({tensor.name: tensor for tensor in read}.values())
                return Workload(name, (layer,), fed, (layer.output.name,))
        raise EscaError(f"{self.name}: no layer {name!r}")

    def texture_part(self) -> "Workload":
        """The texture decoder alone: maps from the first feature map to the unwarped texture."""
        last = [x for x in self.layers if x.name.startswith("dec.texture_decoder")]
        if not last:
            raise EscaError(f"{self.name}: part texture: no layer of dec.texture_decoder")
        wanted = {last[-1].output.name}
        kept: list[WorkLayer] = []
        for layer in reversed(self.layers):
            is_map = len(layer.output.shape) == 3 and layer.kind != "reshape"
            if layer.output.name in wanted and is_map:
                kept.insert(0, layer)
                wanted |= {t.name for t in (*layer.inputs, layer.residual) if t is not None}
        made = {layer.output.name for layer in kept}
        fed = {t.name: t for x in kept for t in x.inputs if t.name not in made}
        return Workload(self.name, tuple(kept), tuple(fed.values()), (last[-1].output.name,))


_TensorOf = Callable[[str], TensorShape]


def graph_workload(graph: Graph, recipe: Recipe, name: str = "graph") -> Workload:
    """Layers of a float graph, with the bits that ``recipe`` would give them."""
    return _workload(graph, planned_bits(graph, recipe), name)


def quantized_workload(
    quantized: QuantizedGraph, name: str = "artifact", part: str = "decoder"
) -> Workload:
    """Layers of a quantized graph, with the bits that it has.

    ``part``: ``decoder`` for the whole graph (of an encoder, too), or ``texture``.
    """
    if part not in ("texture", "decoder"):
        raise EscaError(f"part: {part!r}, expected texture or decoder, which an artifact holds")
    workload = _workload(quantized.graph, quantized_bits(quantized), name)
    return workload.texture_part() if part == "texture" else workload


def _workload(graph: Graph, bits: StorageBits, name: str) -> Workload:
    def tensor(of: str) -> TensorShape:
        return TensorShape(of, graph.by_name[of].shape, bits.tensors[of])

    layers = []
    for step in schedule(graph):
        if isinstance(step, Move):
            layers.append(_move(step.node, tuple(map(tensor, step.node.inputs)), tensor))
        else:
            layers.append(_layer(step, bits, tensor))
    inputs = tuple(tensor(node.name) for node in graph.inputs)
    return Workload(name, tuple(layers), inputs, tuple(graph.outputs.values()))


def _move(node: Node, inputs: tuple[TensorShape, ...], tensor: _TensorOf) -> WorkLayer:
    op = node.op
    factor = op.factor if isinstance(op, Upsample | PixelShuffle) else 1
    return WorkLayer(node.name, _KINDS[type(op)], inputs, tensor(node.name), factor=factor)


def _layer(step: Layer, bits: StorageBits, tensor: _TensorOf) -> WorkLayer:
    op, root = step.root.op, step.root
    residual = None if step.residual is None else tensor(step.residual)
    biases = [bits.texel_biases[node.name] for node in step.texel_biases]
    geometry: dict[str, int] = {}
    kernel = (1, 1)
    if isinstance(op, Conv2d | ConvTranspose2d):
        kernel = (int(op.weight.shape[2]), int(op.weight.shape[3]))
        geometry = {"stride": op.stride, "padding": op.padding}
    if isinstance(op, ConvTranspose2d):
        geometry["output_padding"] = op.output_padding
    return WorkLayer(
        step.name,
        _KINDS[type(op)],
        (tensor(root.inputs[0]),),
        tensor(step.output.name),
        residual,
        kernel,
        weight_bits=bits.weights.get(step.name, 0),
        channel_bias=isinstance(op, Weighted) and op.bias is not None,
        texel_bias_bits=tuple(stored for stored in biases if stored),
        ramps=biases.count(0),
        **geometry,
    )
