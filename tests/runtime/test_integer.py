"""Integer execution against brute force, and against the floats that it stands for."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
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
from esca.quantization.weights import QuantizedBias, QuantizedWeight, dequantize_weight
from esca.runtime.integer import IntegerDecoder, accumulate, run_layer
from esca.runtime.lowering import IntegerLayer, lower

RECIPES = {
    "w4a4": Recipe("t", range="minmax").with_bits("w4a4"),
    "w8a8 phases": Recipe("t", range="minmax", granularity="channel_phase").with_bits("w8a8"),
    "mixed": Recipe(
        "t",
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
            statistics[variant] = collect(graph, lambda: [feeds], TexelMaps(), hessians=False)
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
        assert float(steps.double().mean()) < (0.1 if label == "texture" else 1.0)


# --- accumulators against brute force --------------------------------------------------------


def brute_accumulator(op: Op, weight: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Sums of products in int64, one at a time."""
    if isinstance(op, Linear):
        return x @ weight.T
    batch, cin, height, width = x.shape
    kernel_y, kernel_x = weight.shape[2:]
    s, p = op.stride, op.padding
    if isinstance(op, Conv2d):
        rows, columns = (height + 2 * p - kernel_y) // s + 1, (width + 2 * p - kernel_x) // s + 1
        cout = weight.shape[0]
    else:
        extra = op.output_padding
        rows = (height - 1) * s - 2 * p + kernel_y + extra
        columns = (width - 1) * s - 2 * p + kernel_x + extra
        cout = weight.shape[1]
    out = np.zeros((batch, cout, rows, columns), dtype=np.int64)
    for b, c, o, ky, kx in np.ndindex(batch, cin, cout, kernel_y, kernel_x):
        if isinstance(op, Conv2d):
            for oy, ox in np.ndindex(rows, columns):
                iy, ix = oy * s - p + ky, ox * s - p + kx
                if 0 <= iy < height and 0 <= ix < width:
                    out[b, o, oy, ox] += weight[o, c, ky, kx] * x[b, c, iy, ix]
        else:
            for iy, ix in np.ndindex(height, width):
                oy, ox = iy * s - p + ky, ix * s - p + kx
                if 0 <= oy < rows and 0 <= ox < columns:
                    out[b, o, oy, ox] += weight[c, o, ky, kx] * x[b, c, iy, ix]
    return out


def single_layer(
    op: Weighted,
    weight: Tensor,
    bits: int,
    source: Grid,
    shape: tuple[int, ...],
    target: Grid | None = None,
) -> IntegerLayer:
    """A lowered graph of one layer with the given integer weights."""
    scale = torch.full((weight.shape[1 if isinstance(op, ConvTranspose2d) else 0], 1), 0.01)
    stored = QuantizedWeight(weight.to(torch.int8), scale, bits)
    op = replace(op, weight=weight.float())
    op = replace(op, weight=dequantize_weight(op, stored))
    example = torch.zeros(1, *shape)
    if isinstance(op, Linear):
        out = F.linear(example, op.weight)
    elif isinstance(op, Conv2d):
        out = F.conv2d(example, op.weight, None, op.stride, op.padding)
    else:
        out = F.conv_transpose2d(example, op.weight, None, op.stride, op.padding, op.output_padding)
    graph = Graph(
        (Node("x", Input(), (), shape), Node("l", op, ("x",), tuple(out.shape[1:]))), {"y": "l"}
    )
    grids = {"x": source, "l": target or Grid(1.0, 100, 8)}
    (step,) = lower(QuantizedGraph(graph, Recipe("t"), {"l": stored}, {}, grids)).steps
    assert isinstance(step, IntegerLayer)
    return step


@st.composite
def integer_layers(draw: st.DrawFn):
    kind = draw(st.sampled_from(["linear", "conv", "transposed"]))
    bits, activation_bits = draw(st.integers(2, 8)), draw(st.integers(2, 16))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 10**6)))
    limit, top = 2 ** (bits - 1) - 1, 2**activation_bits - 1
    source = Grid(0.1, draw(st.integers(0, top)), activation_bits)
    cin, cout = draw(st.integers(1, 3)), draw(st.integers(1, 2))
    if kind == "linear":
        op, shape, weights = Linear(None, None), (cin,), (cout, cin)
    else:
        kernel, stride = draw(st.integers(1, 4)), draw(st.integers(1, 3))
        padding = draw(st.integers(0, kernel // 2))
        shape = (cin, draw(st.integers(4, 5)), draw(st.integers(4, 6)))
        if kind == "conv":
            op, weights = Conv2d(None, None, stride, padding), (cout, cin, kernel, kernel)
        else:
            extra = draw(st.integers(0, stride - 1))
            op = ConvTranspose2d(None, None, stride, padding, extra)
            weights = (cin, cout, kernel, kernel)
    weight = torch.randint(-limit, limit + 1, weights, generator=generator)
    x = torch.randint(0, top + 1, (2, *shape), generator=generator, dtype=torch.int32)
    return op, weight, bits, source, x


@settings(max_examples=60, deadline=None)
@given(integer_layers())
def test_accumulators_equal_brute_force(case) -> None:
    op, weight, bits, source, x = case
    step = single_layer(op, weight, bits, source, tuple(x.shape[1:]))
    centred = x.numpy().astype(np.int64) - source.zero_point
    expected = brute_accumulator(op, weight.numpy().astype(np.int64), centred)
    found = accumulate(step, x)
    assert found.dtype == torch.int32
    assert np.array_equal(found.numpy(), expected)
    assert np.abs(expected).max(initial=0) <= step.accumulator_bound


WIDE = {
    "linear": (Linear(None, None), (1, 699), (699,)),
    "conv": (Conv2d(None, None, 1, 1), (1, 70, 3, 3), (70, 4, 4)),
    "transposed": (ConvTranspose2d(None, None, 2, 1), (150, 1, 4, 4), (150, 3, 3)),
}


@pytest.mark.parametrize("kind", WIDE)
def test_sums_beyond_24_bits_are_exact(kind: str) -> None:
    """Every product at its largest and the sum odd: float32 would have to round."""
    op, weights, shape = WIDE[kind]
    weight = torch.full(weights, 127)
    source = Grid(0.1, 0, 8)
    x = torch.full((1, *shape), 255, dtype=torch.int32)
    weight.view(-1)[0] = 126
    x.view(-1)[-1] = 254
    step = single_layer(op, weight, 8, source, shape)
    assert step.accumulator_bound >= 2**24
    expected = brute_accumulator(op, weight.numpy().astype(np.int64), x.numpy().astype(np.int64))
    assert expected.max() > 2**24
    assert (expected % 2 == 1).any()
    assert np.array_equal(accumulate(step, x).numpy(), expected)


def test_sums_just_below_24_bits_are_exact_in_float32() -> None:
    weight = torch.full((1, 518), 127)  # 518 * 127 * 255 = 2^24 - 1786
    weight[0, ::2] = -127
    x = torch.where(weight > 0, 255, 0).int()
    step = single_layer(Linear(None, None), weight, 8, Grid(0.1, 0, 8), (518,))
    assert 2**24 - 2000 < step.accumulator_bound < 2**24
    assert int(accumulate(step, x)) == 259 * 127 * 255


def test_sums_beyond_32_bits_are_refused() -> None:
    weight = torch.full((1, 70_000), 127)
    with pytest.raises(EscaError, match="layer 'l' may overflow its int32 accumulator"):
        single_layer(Linear(None, None), weight, 8, Grid(0.1, 0, 8), (70_000,))


def test_fewer_guard_bits_where_sums_are_large() -> None:
    """A fine output grid under huge sums: the guard shrinks, and the result stays in a step."""
    weight = torch.randint(-127, 128, (4, 300))
    x = torch.randint(0, 256, (16, 300), dtype=torch.int32)
    guards = []
    for scale in (1.0, 1e-3, 2e-5, 2e-6):
        target = Grid(scale, 2**15, 16)
        step = single_layer(Linear(None, None), weight, 8, Grid(0.1, 128, 8), (300,), target)
        guards.append(step.guard)
        real = (x - 128).double() @ weight.double().t() * (0.1 * float(torch.tensor(0.01)))
        expected = (real / scale + 2**15).clamp(0, target.top)
        inside = (expected > 0) & (expected < target.top)
        difference = (run_layer(step, x) - expected).abs()
        assert float(difference.max()) <= 1.0 + (0 if step.guard else 0.5)
        assert bool(inside.any()) or scale < 1e-3
    assert guards[0] == 8
    assert sorted(guards, reverse=True) == guards
    assert guards[-1] < 8
    with pytest.raises(EscaError, match="layer 'l' may exceed 32 bits before requantization"):
        single_layer(Linear(None, None), weight, 8, Grid(0.1, 128, 8), (300,), Grid(1e-9, 0, 8))


# --- elementwise layers -----------------------------------------------------------------------

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
    found = decoder.run({"x": x, "r": x})["y"]
    (step,) = decoder.program.steps
    assert isinstance(step, IntegerLayer)
    assert step.guard < 8
    assert float((found - real_layer(quantized, step, x, None)).abs().max()) <= 1.0


def test_inputs_are_named() -> None:
    with pytest.raises(EscaError, match="integer runtime: input 'r' was not fed"):
        IntegerDecoder(ALONE["sum"]).run({"x": torch.zeros(1, *SHAPE, dtype=torch.int32)})
