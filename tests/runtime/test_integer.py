"""Integer execution against the floats that it stands for, layer by layer."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from esca.avatars import VARIANTS
from esca.errors import EscaError
from esca.graph import Graph, Node
from esca.graph.layers import Move
from esca.graph.ops import (
    Add,
    Affine,
    Conv2d,
    ConvTranspose2d,
    Input,
    LeakyRelu,
    Linear,
    Op,
    TexelBias,
    Weighted,
)
from esca.quantization.fake import fake_run
from esca.quantization.grid import Grid
from esca.quantization.quantize import QuantizedGraph, quantize
from esca.quantization.recipe import Override, Recipe, load_recipe
from esca.quantization.statistics import TexelMaps, collect
from esca.quantization.weights import QuantizedBias, QuantizedWeight
from esca.runtime.integer import IntegerDecoder
from esca.runtime.lowering import IntegerLayer

# Ranges by extremes, because searching them takes most of the time and moves no integer wrongly.
PLAIN = Recipe("t", range="minmax", weight_range="minmax")
RECIPES = {
    "w4a4": PLAIN.with_bits("w4a4"),
    "w8a8 phases": replace(PLAIN, granularity="channel_phase").with_bits("w8a8"),
    "mixed": replace(
        PLAIN,
        granularity="channel_phase",
        texel_bias=5,
        texture=10,
        overrides=(Override("*conv1*", 8, 8), Override("*upsample.2*", 3, 5)),
    ),
}


def real_weight(op: Weighted, stored: QuantizedWeight) -> Tensor:
    """Double weights; the scale of a tap is that of the output phase that it reaches."""
    values, scale = stored.values.double(), stored.scale.double()
    if not isinstance(op, ConvTranspose2d):
        return values * scale[:, 0].reshape(-1, *(1,) * (values.dim() - 1))
    result = torch.zeros_like(values)
    for y in range(values.shape[2]):
        for x in range(values.shape[3]):
            row, column = (y - op.padding) % op.stride, (x - op.padding) % op.stride
            phase = row * op.stride + column if scale.shape[1] > 1 else 0
            result[:, :, y, x] = values[:, :, y, x] * scale[:, phase]
    return result


def real_layer(
    quantized: QuantizedGraph, step: IntegerLayer, x: Tensor, residual: Tensor | None
) -> Tensor:
    """What a layer's integers stand for, in double, in steps of its output grid, unrounded."""
    layer, grids = step.layer, quantized.grids

    def real(name: str, integers: Tensor) -> Tensor:
        return (integers.double() - grids[name].zero_point) * grids[name].scale

    y = real(layer.root.inputs[0], x)
    for node in layer.members:
        op = node.op
        if isinstance(op, Weighted):
            weight = real_weight(op, quantized.weights[node.name])
            bias = None if op.bias is None else op.bias.double()
            if isinstance(op, Linear):
                y = F.linear(y, weight, bias)
            elif isinstance(op, Conv2d):
                y = F.conv2d(y, weight, bias, op.stride, op.padding)
            else:
                y = F.conv_transpose2d(y, weight, bias, op.stride, op.padding, op.output_padding)
        elif isinstance(op, TexelBias):
            stored = quantized.texel_biases[node.name]
            y = y + stored.values.double() * stored.scale.double()[:, None, None]
        elif isinstance(op, Add):
            assert residual is not None
            y = y + real(layer.residual, residual)
        elif isinstance(op, LeakyRelu):
            y = torch.where(y < 0, y * op.slope, y)
        elif isinstance(op, Affine):
            y = y * op.scale.double() + op.offset.double()
    target = grids[layer.output.name]
    return (y / target.scale + target.zero_point).clamp(0, target.top)


@pytest.fixture(scope="module")
def quantized_avatar(traced_avatar: Callable) -> Callable[[str, str], QuantizedGraph]:
    statistics, made = {}, {}

    def make(variant: str, recipe: str) -> QuantizedGraph:
        graph = traced_avatar(variant).graph
        if variant not in statistics:
            feeds = codes(3, 5)
            statistics[variant] = collect(graph, lambda: [feeds], TexelMaps(), hessians=())
        if (variant, recipe) not in made:
            made[variant, recipe] = quantize(graph, statistics[variant], RECIPES[recipe])
        return made[variant, recipe]

    return make


def codes(frames: int, seed: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        "z": torch.randn(frames, 16, generator=generator),
        "view": torch.randn(frames, 3, generator=generator),
    }


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_layer_is_within_a_step_of_the_floats(variant, recipe, quantized_avatar) -> None:
    quantized = quantized_avatar(variant, recipe)
    decoder = IntegerDecoder(quantized)
    feeds = decoder.quantize(codes(1, 6))
    values: dict[str, Tensor] = dict(feeds)
    decoder.run(feeds, lambda name, value: values.__setitem__(name, value.clone()))
    layers = [step for step in decoder.program.steps if not isinstance(step, Move)]
    assert len(layers) >= 12
    for step in layers:
        source, residual = step.layer.root.inputs[0], step.layer.residual
        found = values[step.layer.output.name]
        assert found.dtype == torch.int32
        expected = real_layer(
            quantized, step, values[source], values[residual] if residual else None
        )
        difference = (found - expected).abs()
        assert float(difference.max()) < 1.0, step.layer.name
        # 17-bit factors cost half a step of a 16-bit output, nothing to speak of elsewhere.
        if step.target.bits <= 10:
            assert float(difference.max()) < 0.6, step.layer.name
        if step.target.bits <= 10 and found.numel() > 1000:
            assert float((found == expected.round()).double().mean()) > 0.95, step.layer.name


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_batch_does_not_matter(variant, quantized_avatar) -> None:
    decoder = IntegerDecoder(quantized_avatar(variant, "w4a4"))
    feeds = decoder.quantize(codes(3, 8))
    whole = decoder.run(feeds)
    for cut in ((1, 1, 1), (2, 1)):
        start = 0
        for size in cut:
            part = slice(start, start + size)
            alone = decoder.run({name: value[part] for name, value in feeds.items()})
            for label, value in alone.items():
                assert torch.equal(value, whole[label][part]), label
            start += size


@pytest.mark.parametrize("variant", ["plain", "residual", "upsample"])
@pytest.mark.parametrize("recipe", ["rtn", "ffas-uv"])
def test_the_whole_decoder_is_near_its_fake_path(decoder, frames, variant, recipe) -> None:
    graph, feeds = decoder(variant), frames(20)
    maps = TexelMaps(torch.rand(16, 16), torch.rand(16, 16) + 0.1)
    statistics = collect(graph, lambda: [feeds], maps)
    quantized = quantize(graph, statistics, load_recipe(recipe, "w8a8"))
    runtime = IntegerDecoder(quantized)
    texture, mesh = runtime.decode(feeds["z"], feeds["view"])
    fake = fake_run(quantized, feeds)
    for label, value in (("texture", texture), ("mesh", mesh)):
        steps = (value - fake[label]).abs() / quantized.grids[label].scale
        # A tie that falls the other way early on may move what follows by a few steps.
        assert float(steps.double().mean()) < (0.4 if label == "texture" else 1.0)


SHAPE = (2, 3, 3)


def elementwise(*nodes: tuple[str, Op, tuple[str, ...]], biases=None) -> QuantizedGraph:
    grids = {"x": Grid(0.02, 120, 8), "r": Grid(0.05, 3, 6)}
    made = [Node("x", Input(), (), SHAPE), Node("r", Input(), (), SHAPE)]
    for name, op, inputs in nodes:
        made.append(Node(name, op, inputs, SHAPE))
    grids[nodes[-1][0]] = Grid(0.03, 77, 8)
    graph = Graph(tuple(made), {"y": nodes[-1][0]})
    return QuantizedGraph(graph, Recipe("t"), {}, biases or {}, grids)


BIAS = QuantizedBias(torch.randint(-127, 128, SHAPE), torch.tensor([0.01, 0.02]), 8)
ALONE = {
    "affine": elementwise(
        (
            "a",
            Affine(
                torch.tensor([-2.0, 0.5])[:, None, None], torch.tensor([0.3, -0.1])[:, None, None]
            ),
            ("x",),
        )
    ),
    "affine of one value": elementwise(("a", Affine(torch.tensor(0.7), torch.tensor(0.2)), ("x",))),
    "leaky relu": elementwise(("a", LeakyRelu(0.2), ("x",))),
    "relu": elementwise(("a", LeakyRelu(0.0), ("x",))),
    "no slope": elementwise(("a", LeakyRelu(1.0), ("x",))),
    "sum": elementwise(("a", Add(), ("x", "r"))),
    "sum with itself": elementwise(("a", Add(), ("x", "x"))),
    "bias, sum, activation": elementwise(
        ("b", TexelBias(BIAS.real), ("x",)),
        ("s", Add(), ("r", "b")),
        ("a", LeakyRelu(0.1), ("s",)),
        biases={"b": BIAS},
    ),
}


@pytest.mark.parametrize("name", ALONE)
def test_elementwise_layers_are_within_a_step(name: str) -> None:
    quantized = ALONE[name]
    decoder = IntegerDecoder(quantized)
    (step,) = decoder.program.steps
    assert isinstance(step, IntegerLayer)
    every = torch.arange(256).repeat(18)[: 256 * 18].reshape(256, 18)
    feeds = {
        "x": every.roll(7, 0).reshape(256, *SHAPE).int(),
        "r": (every % 64).reshape(256, *SHAPE).int(),
    }
    found = decoder.run(feeds)["y"]
    residual = step.layer.residual
    expected = real_layer(
        quantized, step, feeds[step.layer.root.inputs[0]], feeds[residual] if residual else None
    )
    assert float((found - expected).abs().max()) < 0.52


def test_large_negative_biases_in_front_of_a_relu() -> None:
    """The bias step is a thousand output steps; the guard bits make way."""
    bias = QuantizedBias(torch.full(SHAPE, -127), torch.tensor([30.0, 0.001]), 8)
    quantized = elementwise(
        ("b", TexelBias(bias.real), ("x",)), ("a", LeakyRelu(0.0), ("b",)), biases={"b": bias}
    )
    decoder = IntegerDecoder(quantized)
    x = torch.full((1, *SHAPE), 255, dtype=torch.int32)
    found = decoder.run({"x": x, "r": torch.zeros_like(x)})["y"]
    (step,) = decoder.program.steps
    assert isinstance(step, IntegerLayer)
    assert step.guard < 8
    assert float((found - real_layer(quantized, step, x, None)).abs().max()) <= 1.0


def test_inputs_are_checked() -> None:
    decoder, x = IntegerDecoder(ALONE["sum"]), torch.zeros(1, *SHAPE, dtype=torch.int32)
    with pytest.raises(EscaError, match="input 'r' was not fed"):
        decoder.run({"x": x})
    with pytest.raises(EscaError, match=r"'r' has shape \(3, 3\), expected \(2, 3, 3\)"):
        decoder.run({"x": x, "r": x[0]})
    with pytest.raises(EscaError, match="'r' holds values outside 0 to 63"):
        decoder.run({"x": x, "r": x + 64})
    real = {"x": torch.full((1, *SHAPE), float("nan")), "r": torch.zeros(1, *SHAPE)}
    with pytest.raises(EscaError, match="'x' holds values outside 0 to 255"):
        decoder.run(decoder.quantize(real))
