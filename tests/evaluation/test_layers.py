import math

import pytest
import torch
import torch.nn.functional as F

from esca.errors import EscaError
from esca.evaluation.layers import LayerError, layer_errors, sqnr_db
from esca.graph.graph import Graph, Node
from esca.graph.ops import ConvTranspose2d, Input, LeakyRelu, Linear, Reshape, TexelBias
from esca.quantization.quantize import QuantizedGraph, quantize
from esca.quantization.recipe import Bits, Recipe, Smoothing
from esca.quantization.statistics import Statistics, TexelMaps, collect
from esca.runtime.integer import IntegerDecoder
from esca.runtime.saturation import channel_scales

C = 6


@pytest.fixture(scope="module")
def graph() -> Graph:
    """fc -> 2x2 map -> transposed convolution with texel bias -> transposed convolution."""
    generator = torch.Generator().manual_seed(3)

    def noise(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    spread = torch.logspace(-1, 1, C).repeat_interleave(4)
    return Graph(
        (
            Node("z", Input(), (), (8,)),
            Node("fc", Linear(noise(4 * C, 8) * spread[:, None], noise(4 * C)), ("z",), (4 * C,)),
            Node("fc.act", LeakyRelu(0.2), ("fc",), (4 * C,)),
            Node("map", Reshape((C, 2, 2)), ("fc.act",), (C, 2, 2)),
            Node("up0", ConvTranspose2d(noise(C, C, 4, 4), noise(C), 2, 1), ("map",), (C, 4, 4)),
            Node("up0.bias", TexelBias(noise(C, 4, 4)), ("up0",), (C, 4, 4)),
            Node("up0.act", LeakyRelu(0.2), ("up0.bias",), (C, 4, 4)),
            Node("up1", ConvTranspose2d(noise(C, 3, 4, 4), None, 2, 1), ("up0.act",), (3, 8, 8)),
        ),
        {"texture": "up1"},
    )


@pytest.fixture(scope="module")
def feeds() -> dict[str, torch.Tensor]:
    return {"z": torch.randn(5, 8, generator=torch.Generator().manual_seed(4))}


@pytest.fixture(scope="module")
def statistics(graph: Graph, feeds: dict[str, torch.Tensor]) -> Statistics:
    return collect(graph, lambda: [feeds], TexelMaps(), hessians=())


def recipe(weights: int, activations: int, method: str = "none") -> Recipe:
    return Recipe("test", Bits(weights, activations), smoothing=Smoothing(method, 0.5, 30.0))


def float_outputs(graph: Graph, z: torch.Tensor) -> dict[str, torch.Tensor]:
    """The layers' outputs by plain torch calls."""
    ops = {node.name: node.op for node in graph.nodes}
    fc = F.leaky_relu(F.linear(z, ops["fc"].weight, ops["fc"].bias), 0.2)
    x = fc.reshape(-1, C, 2, 2)
    up0 = F.conv_transpose2d(x, ops["up0"].weight, ops["up0"].bias, 2, 1) + ops["up0.bias"].bias
    up0 = F.leaky_relu(up0, 0.2)
    up1 = F.conv_transpose2d(up0, ops["up1"].weight, None, 2, 1)
    return {"fc": fc, "up0": up0, "up1": up1}


def by_layer(errors: tuple[LayerError, ...]) -> dict[str, LayerError]:
    return {error.name: error for error in errors}


@pytest.mark.parametrize("method", ["none", "icas", "ffas"])
def test_figures_equal_a_computation_over_the_whole_batch(graph, feeds, statistics, method):
    quantized = quantize(graph, statistics, recipe(4, 4, method))
    errors = by_layer(layer_errors(graph, quantized, feeds))
    assert list(errors) == ["fc", "up0", "up1"]
    integers: dict[str, torch.Tensor] = {}
    decoder = IntegerDecoder(quantized)
    decoder.run(decoder.quantize(feeds), lambda name, value: integers.update({name: value.clone()}))
    scale = {"fc": torch.ones(4 * C), "up0": torch.ones(C, 1, 1), "up1": torch.ones(())}
    if method != "none":
        first, second = quantized.smoothed
        scale = {
            "fc": first.scales.repeat_interleave(4),
            "up0": second.scales[:, None, None],
            "up1": torch.ones(()),
        }
    for name, real in float_outputs(graph, feeds["z"]).items():
        output = {"fc": "fc.act", "up0": "up0.act", "up1": "up1"}[name]
        grid = quantized.grids[output]
        restored = (integers[output] - grid.zero_point) * grid.scale * scale[name]
        expected = 10 * torch.log10((real**2).sum() / ((real - restored) ** 2).sum())
        error = errors[name]
        assert error.sqnr_db == pytest.approx(float(expected), abs=1e-3)
        smoothed = real / scale[name]
        assert error.observed_low == pytest.approx(float(smoothed.min()), rel=1e-4)
        assert error.observed_high == pytest.approx(float(smoothed.max()), rel=1e-4)
        assert error.clip_high - error.clip_low == pytest.approx(grid.scale * grid.top)
        unbounded = torch.round(smoothed / grid.scale) + grid.zero_point
        outside = ((unbounded < 0) | (unbounded > grid.top)).float().mean()
        assert error.saturated == pytest.approx(float(outside), abs=1e-6)
        assert error.activation_bits == grid.bits


def test_more_bits_mean_less_noise(graph, feeds, statistics):
    coarse, fine = (
        by_layer(layer_errors(graph, quantize(graph, statistics, recipe(b, b)), feeds))
        for b in (4, 8)
    )
    assert coarse["up0"].sqnr_db + 12 < fine["up0"].sqnr_db
    assert (coarse["up0"].weight_bits, fine["up0"].weight_bits) == (4, 8)
    assert (coarse["fc"].kind, coarse["up0"].kind) == ("Linear", "ConvTranspose2d")


def test_smoothing_left_in_would_show_as_noise(graph, feeds, statistics):
    quantized = quantize(graph, statistics, recipe(8, 8, "icas"))
    assert set(channel_scales(quantized)) == {"fc", "fc.act", "map", "up0", "up0.bias", "up0.act"}
    assert all(error.sqnr_db > 25 for error in layer_errors(graph, quantized, feeds))


def test_frames_are_counted(graph, feeds, statistics):
    seen: list[tuple[int, int]] = []
    quantized = quantize(graph, statistics, recipe(8, 8))
    layer_errors(graph, quantized, feeds, lambda done, total: seen.append((done, total)))
    assert seen == [(index + 1, 5) for index in range(5)]


def test_ratio_of_nothing():
    assert sqnr_db(1.0, 0.0) == math.inf
    assert sqnr_db(0.0, 1.0) == -math.inf
    assert sqnr_db(100.0, 1.0) == pytest.approx(20)


def test_bad_inputs_are_named(graph, feeds, statistics):
    quantized = quantize(graph, statistics, recipe(4, 4))
    with pytest.raises(EscaError, match="one or more frames"):
        layer_errors(graph, quantized, {"z": feeds["z"][:0]})
    other = Graph((Node("z", Input(), (), (8,)),))
    with pytest.raises(EscaError, match=r"no layer 'fc'"):
        layer_errors(other, quantized, feeds)
    unlike = QuantizedGraph(quantized.graph, quantized.recipe, {}, {}, quantized.grids)
    assert channel_scales(unlike) == {}
