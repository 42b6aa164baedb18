from collections import Counter

import pytest
import torch
from tests.accelerator.conftest import make_layer

from esca.accelerator import TensorShape, WorkLayer, Workload, avatar_workload, graph_workload
from esca.accelerator import quantized_workload as of_quantized
from esca.accelerator.shapes import decoder_shapes, encoder_shapes
from esca.accelerator.workload import stored_bytes
from esca.avatars import VARIANTS, AvatarConfig
from esca.errors import EscaError
from esca.graph import trace
from esca.quantization import Recipe, collect, quantize
from esca.quantization.statistics import TexelMaps


def described(workload: Workload) -> Counter:
    """Layers without the names of tensors and of moves, which tracing makes up."""

    def shapes(tensors) -> tuple:
        return tuple((t.shape, t.bits) for t in tensors if t is not None)

    return Counter(
        (
            layer.name if layer.weights else "",
            layer.kind,
            shapes(layer.inputs),
            shapes((layer.output, layer.residual)),
            (layer.kernel, layer.stride, layer.padding, layer.output_padding, layer.factor),
            (layer.weight_bits, layer.channel_bias, layer.texel_bias_bits),
        )
        for layer in workload.layers
    )


@pytest.mark.parametrize("variant", VARIANTS)
def test_shapes_equal_the_traced_decoder(variant: str, traced_avatar) -> None:
    recipe = Recipe("x").with_bits("w4a4")
    made = graph_workload(decoder_shapes(AvatarConfig(variant, 256, 16, 50, 3)), recipe)
    assert described(made) == described(graph_workload(traced_avatar(variant).graph, recipe))


@pytest.mark.parametrize("variant", ["base", "res"])
def test_shapes_equal_the_traced_encoder(variant: str, traced_avatar) -> None:
    recipe = Recipe("x").with_bits("w8a8")
    shapes = {"average_texture": (3, 256, 256), "mesh": (150,)}
    traced = trace(traced_avatar(variant).avatar.encoder, shapes, ("mean", "logstd"))
    made = graph_workload(encoder_shapes(AvatarConfig(variant, 256, 16, 50, 3)), recipe)
    assert described(made) == described(graph_workload(traced, recipe))


@pytest.mark.parametrize("variant", ["warp", "res"])
def test_planned_bits_are_those_that_quantizing_gives(variant: str, traced_avatar) -> None:
    graph, recipe = traced_avatar(variant).graph, Recipe("x").with_bits("w4a8")
    feeds = {"z": torch.randn(2, 16), "view": torch.randn(2, 3)}
    statistics = collect(graph, lambda: [feeds], TexelMaps(), hessians=())
    assert (
        of_quantized(quantize(graph, statistics, recipe)).layers
        == graph_workload(graph, recipe).layers
    )


def test_sizes_of_the_texture_decoder() -> None:
    made = avatar_workload("base", 1024, "texture", "w8a8")
    assert len(made.layers) == 8
    assert sum(layer.texel_bias_bytes for layer in made.layers) == 9_142_272
    biases = sum(4 * layer.output.channels for layer in made.layers)
    assert sum(layer.weight_bytes for layer in made.layers) - biases == 1_438_464
    assert made.macs == 743_406_784
    assert [t.shape for t in made.inputs] == [(256, 4, 4)]


def test_multiply_accumulates_are_those_that_land() -> None:
    """A 3x3 kernel of stride 2 on 3x3 inputs without padding loses nothing; with it, its rim."""
    assert make_layer("conv_transpose2d", 2, 5, (3, 3), (3, 3), 2).macs == 9 * 9 * 10
    assert make_layer("conv_transpose2d", 2, 5, (3, 3), (3, 3), 2, 1).macs == 7 * 7 * 10
    assert make_layer("conv2d", 2, 5, (5, 5), (3, 3), 1, 1).macs == 13 * 13 * 10


@pytest.mark.parametrize(
    ("weights", "activations", "mode", "widths"),
    [
        (2, 4, "4x4", (4, 4)),
        (4, 5, "4x8", (4, 8)),
        (8, 3, "4x8", (8, 4)),
        (5, 8, "8x8", (8, 8)),
    ],
)
def test_the_mode_is_that_of_both_operands(weights, activations, mode: str, widths) -> None:
    made = make_layer("conv2d", 2, 2, (3, 3), bits=activations, weight_bits=weights)
    assert (made.array_mode, made.operand_widths) == (mode, widths)


def test_bytes_are_packed() -> None:
    assert [stored_bytes(7, bits) for bits in (2, 4, 5, 8, 9, 16)] == [4, 4, 7, 7, 14, 14]
    assert TensorShape("t", (3, 2, 5), 4).bytes == 2 * 8
    assert TensorShape("t", (3, 2, 5), 10).bytes == 2 * 5 * 4
    assert TensorShape("t", (2, 2, 2), 9).bytes == 2 * 2 * 4


def test_rows_that_outputs_need() -> None:
    up = make_layer("conv_transpose2d", 1, 1, (8, 8), (4, 4), 2, 1)
    assert [up.input_rows(n) for n in (0, 1, 2, 15, 16)] == [0, 1, 2, 8, 8]
    down = make_layer("conv2d", 1, 1, (8, 8), (4, 4), 2, 1)
    assert [down.input_rows(n) for n in (1, 2, 4)] == [3, 5, 8]
    assert [down.first_input_row(n) for n in (0, 1, 2)] == [0, 1, 3]
    assert [up.first_input_row(n) for n in (0, 1, 2, 3, 15)] == [0, 0, 0, 1, 7]


def test_what_is_wrong_is_named() -> None:
    with pytest.raises(EscaError, match="avatar: 'wrap', expected one of base res non"):
        avatar_workload("wrap", 1024, "texture", "w4a4")
    with pytest.raises(EscaError, match="part: 'mesh', expected one of texture decoder encoder"):
        avatar_workload("base", 1024, "mesh", "w4a4")
    with pytest.raises(EscaError, match="texture_size: expected 256, 512 or 1024, got 100"):
        avatar_workload("base", 100, "texture", "w4a4")
    with pytest.raises(EscaError, match="expected a label such as w4a4"):
        avatar_workload("base", 1024, "texture", "8")
    with pytest.raises(EscaError, match=r"layer 'layer': w8a16, the array multiplies 1 to 8 bits"):
        x, y = TensorShape("x", (1, 2, 2), 16), TensorShape("y", (1, 2, 2), 8)
        WorkLayer("layer", "conv2d", (x,), y, weight_bits=8)
    with pytest.raises(EscaError, match=r"layer 'layer': output is \(3, 2\), its geometry makes"):
        x, y = TensorShape("x", (1, 2, 2), 8), TensorShape("y", (1, 3, 2), 8)
        WorkLayer("layer", "conv2d", (x,), y, weight_bits=8)
