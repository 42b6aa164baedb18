from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from esca.avatars import VARIANTS
from esca.graph import Graph, Node, evaluate
from esca.graph.execute import run
from esca.graph.ops import (
    Add,
    Affine,
    Concat,
    Conv2d,
    ConvTranspose2d,
    Input,
    LeakyRelu,
    Linear,
    PixelShuffle,
    Reshape,
)
from esca.quantization.quantize import quantize
from esca.quantization.recipe import Recipe, Rounding, Smoothing
from esca.quantization.smoothing import (
    apply_scales,
    exempt_channels,
    icas_scales,
    keep_range,
    scaling_groups,
    weight_peaks,
)
from esca.quantization.statistics import TexelMaps, collect

CONVS = Conv2d | ConvTranspose2d


def random_scales(graph: Graph, seed: int = 0) -> dict:
    generator = torch.Generator().manual_seed(seed)
    return {
        group: torch.exp(torch.randn(group.channels, generator=generator))
        for group in scaling_groups(graph)
    }


@pytest.mark.parametrize("variant", VARIANTS)
def test_any_scales_leave_an_avatar_s_output_alone(variant: str, traced_avatar: Callable) -> None:
    graph = traced_avatar(variant).graph
    groups = scaling_groups(graph)
    smoothed = {sink for group in groups for sink in group.sinks}
    left_out = {n.name for n in graph.weighted if isinstance(n.op, CONVS)} - smoothed
    # In `res` the last residual convolution reads a tensor that is added to the texture itself.
    assert left_out == ({"dec.texture_decoder.upsample.3.res2"} if variant == "res" else set())
    assert len(groups) == {"warp": 17}.get(variant, 8)

    torch.manual_seed(0)
    feeds = {"z": torch.randn(3, 16), "view": torch.randn(3, 3)}
    before = evaluate(graph, feeds)
    after = evaluate(apply_scales(graph, random_scales(graph)), feeds)
    for label, value in before.items():
        # A coordinate moves a sampled texture by its gradient, so rounding there is amplified.
        scale = float(value.abs().max())
        assert float((after[label] - value).abs().max()) <= 1e-4 * scale, label


@pytest.mark.parametrize("method", ["icas", "ffas"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_icas_and_ffas_leave_an_avatar_s_output_alone(
    variant: str, method: str, traced_avatar: Callable
) -> None:
    graph = traced_avatar(variant).graph
    torch.manual_seed(0)
    feeds = {"z": torch.randn(2, 16), "view": torch.randn(2, 3)}
    statistics = collect(graph, lambda: [feeds], TexelMaps(face=torch.rand(32, 32)), ())
    plain = Recipe("t", range="minmax", weight_range="minmax")
    made = quantize(graph, statistics, replace(plain, smoothing=Smoothing(method, 0.5, 75.0)))
    scales = {
        group: found.scales
        for group, found in zip(scaling_groups(graph), made.smoothed, strict=True)
    }
    before, after = evaluate(graph, feeds), evaluate(apply_scales(graph, scales), feeds)
    for label, value in before.items():
        torch.testing.assert_close(after[label], value, atol=1e-4, rtol=1e-4)
    for group, found in zip(scaling_groups(graph), made.smoothed, strict=True):
        assert found.sinks == group.sinks
        assert int(found.exempt.sum()) == (round(group.channels * 0.75) if method == "ffas" else 0)
        assert bool((found.scales[found.exempt] == 1).all())
        assert bool((found.scales > 0).all())


def test_scaled_tensors_are_divided_by_their_scales(decoder, frames) -> None:
    for variant in ("plain", "residual", "upsample"):
        for side in (1, 2):
            graph = decoder(variant, side)
            scales = random_scales(graph)
            before: dict[str, torch.Tensor] = {}
            after: dict[str, torch.Tensor] = {}
            run(graph, frames(3), lambda n, v, to=before: to.__setitem__(n.name, v))
            run(
                apply_scales(graph, scales),
                frames(3),
                lambda n, v, to=after: to.__setitem__(n.name, v),
            )
            scaled = set()
            for group, scale in scales.items():
                for name, repeat in group.tensors:
                    shape = (-1, 1, 1) if before[name].dim() == 4 else (-1,)
                    divisor = scale.repeat_interleave(repeat).reshape(shape)
                    torch.testing.assert_close(after[name], before[name] / divisor)
                    scaled.add(name)
            for name in before.keys() - scaled:
                torch.testing.assert_close(after[name], before[name], atol=1e-4, rtol=1e-4)


def test_a_residual_ties_its_branches_to_one_group(decoder) -> None:
    groups = scaling_groups(decoder("residual"))
    (tied,) = (group for group in groups if "res" in group.sinks)
    assert set(tied.sinks) == {"res", "conv2"}
    assert {name for name, _ in tied.sources} == {"conv1", "res"}
    assert tied.biases == ("bias1",)
    assert {name for name, _ in tied.tensors} >= {"act1", "sum", "act.sum"}


@pytest.mark.parametrize("side", [1, 2])
def test_a_linear_layer_before_a_reshape_owns_its_channels_rows(decoder, side: int) -> None:
    first = scaling_groups(decoder("plain", side))[0]
    assert first.sinks == ("conv1",)
    assert first.sources == (("fc", side * side),)
    assert first.channels == 4


def graph_of(*nodes: tuple, outputs: dict[str, str]) -> Graph:
    return Graph(tuple(Node(*node) for node in nodes), outputs)


MAP = (2, 4, 4)


def conv() -> Conv2d:
    return Conv2d(torch.randn(2, 2, 1, 1), None, 1, 0)


LEFT_OUT = {
    "an input": graph_of(("x", Input(), (), MAP), ("a", conv(), ("x",), MAP), outputs={"y": "a"}),
    "an output": graph_of(
        ("v", Input(), (), (2,)),
        ("l", Linear(torch.randn(32, 2), None), ("v",), (32,)),
        ("m", Reshape(MAP), ("l",), MAP),
        ("a", conv(), ("m",), MAP),
        outputs={"y": "a", "vector": "l"},
    ),
    "a vector with a second reader": graph_of(
        ("v", Input(), (), (2,)),
        ("l", Linear(torch.randn(32, 2), None), ("v",), (32,)),
        ("m", Reshape(MAP), ("l",), MAP),
        ("a", conv(), ("m",), MAP),
        ("k", Linear(torch.randn(3, 32), None), ("l",), (3,)),
        outputs={"y": "a", "mesh": "k"},
    ),
    "a concat": graph_of(
        ("v", Input(), (), (2,)),
        ("l", Linear(torch.randn(16, 2), None), ("v",), (16,)),
        ("m", Reshape((1, 4, 4)), ("l",), (1, 4, 4)),
        ("c", Concat(), ("m", "m"), MAP),
        ("a", conv(), ("c",), MAP),
        outputs={"y": "a"},
    ),
    "a pixel shuffle": graph_of(
        ("v", Input(), (), (2,)),
        ("l", Linear(torch.randn(32, 2), None), ("v",), (32,)),
        ("m", Reshape((8, 2, 2)), ("l",), (8, 2, 2)),
        ("p", PixelShuffle(2), ("m",), MAP),
        ("a", conv(), ("p",), MAP),
        outputs={"y": "a"},
    ),
    "an affine": graph_of(
        ("v", Input(), (), (2,)),
        ("l", Linear(torch.randn(32, 2), None), ("v",), (32,)),
        ("m", Reshape(MAP), ("l",), MAP),
        ("f", Affine(torch.tensor(2.0), torch.tensor(1.0)), ("m",), MAP),
        ("a", conv(), ("f",), MAP),
        outputs={"y": "a"},
    ),
    "a sum with an input": graph_of(
        ("v", Input(), (), (2,)),
        ("x", Input(), (), MAP),
        ("l", Linear(torch.randn(32, 2), None), ("v",), (32,)),
        ("m", Reshape(MAP), ("l",), MAP),
        ("s", Add(), ("m", "x"), MAP),
        ("r", LeakyRelu(0.2), ("s",), MAP),
        ("a", conv(), ("r",), MAP),
        outputs={"y": "a"},
    ),
}


@pytest.mark.parametrize("why", LEFT_OUT)
def test_tensors_that_cannot_be_scaled_are_left_out(why: str) -> None:
    assert scaling_groups(LEFT_OUT[why]) == ()


def test_the_formula_by_hand() -> None:
    peak = torch.tensor([4.0, 9.0, 0.0, 1.0, 16.0])
    weight = torch.tensor([1.0, 4.0, 1.0, 0.0, 0.25])
    expected = torch.tensor([2.0, 1.5, 1.0, 1.0, 8.0])  # sqrt(x / w); 1 where either is silent
    torch.testing.assert_close(icas_scales(peak, weight, 0.5), expected)
    quarter = icas_scales(torch.tensor([16.0]), torch.tensor([81.0]), 0.25)
    torch.testing.assert_close(quarter, torch.tensor([2.0 / 27.0]))
    torch.testing.assert_close(icas_scales(peak[:2], weight[:2], 1.0), peak[:2])
    torch.testing.assert_close(icas_scales(peak[:2], weight[:2], 0.0), 1 / weight[:2])


def test_the_range_is_kept_by_one_common_factor() -> None:
    scales, peak = torch.tensor([2.0, 8.0, 1.0]), torch.tensor([6.0, 4.0, 0.0])
    kept = keep_range(scales, peak)
    torch.testing.assert_close(kept / scales, torch.full((3,), 0.5))
    assert float((peak / kept).max()) == 6.0
    assert torch.equal(keep_range(scales, torch.zeros(3)), scales)


def test_the_most_varying_channels_are_exempt() -> None:
    variance = torch.tensor([0.1, 5.0, 0.3, 5.0, 2.0, 0.0, 1.0, 0.2])
    assert exempt_channels(variance, 25.0).tolist() == [i in (1, 3) for i in range(8)]
    assert exempt_channels(variance, 50.0).tolist() == [i in (1, 3, 4, 6) for i in range(8)]
    for percent, count in ((0, 0), (10, 1), (75, 6), (99, 8), (100, 8)):
        assert int(exempt_channels(variance, percent).sum()) == count


def test_weight_peaks_are_the_largest_over_all_readers(decoder) -> None:
    graph = decoder("residual")
    res, conv2 = graph.weight_op("res").weight, graph.weight_op("conv2").weight
    for channel, peak in enumerate(weight_peaks(graph, ("res", "conv2"))):
        assert float(peak) == max(
            float(res[:, channel].abs().max()), float(conv2[channel].abs().max())
        )


def test_scales_of_a_recipe_follow_the_statistics(decoder, frames) -> None:
    graph, feeds = decoder("residual"), frames(9)
    face = torch.zeros(16, 16)
    face[4:9, 3:8] = 1
    statistics = collect(graph, lambda: [feeds], TexelMaps(face=face))
    values: dict[str, torch.Tensor] = {}
    run(graph, feeds, lambda node, value: values.__setitem__(node.name, value))
    for alpha in (0.3, 0.5):
        recipe = Recipe("t", smoothing=Smoothing("ffas", alpha, 40.0), rounding=Rounding())
        for made in quantize(graph, statistics, recipe).smoothed:
            tensors = [values[graph.by_name[name].inputs[0]] for name in made.sinks]
            peak = torch.stack([t.abs().amax((0, 2, 3)) for t in tensors]).amax(0)
            raw = peak**alpha / weight_peaks(graph, made.sinks) ** (1 - alpha)
            raw = raw * (peak / raw).max() / peak.max()
            assert int(made.exempt.sum()) == round(len(peak) * 0.4)
            expected = torch.where(made.exempt, torch.ones(()), raw)
            torch.testing.assert_close(made.scales, expected, rtol=1e-4, atol=0)
            inside = 0
            for tensor in tensors:
                size = tensor.shape[2:]
                mask = torch.nn.functional.adaptive_avg_pool2d(face[None, None], size)[0, 0]
                mean = (tensor * mask).sum((0, 2, 3)) / (mask.sum() * len(tensor))
                spread = (tensor - mean[:, None, None]).square() * mask
                inside = inside + spread.sum((0, 2, 3)) / (mask.sum() * len(tensor))
            assert float(inside[made.exempt].min()) >= float(inside[~made.exempt].max())
