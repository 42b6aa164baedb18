"""Accumulators against brute force in int64, where float32 would round, and beyond int32."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from esca.errors import EscaError
from esca.graph import Graph, Node
from esca.graph.ops import Conv2d, ConvTranspose2d, Input, Linear, Op, Weighted
from esca.quantization.grid import Grid
from esca.quantization.quantize import QuantizedGraph
from esca.quantization.recipe import Recipe
from esca.quantization.weights import QuantizedWeight, dequantize_weight
from esca.runtime.integer import accumulate, run_layer
from esca.runtime.lowering import IntegerLayer, lower


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
