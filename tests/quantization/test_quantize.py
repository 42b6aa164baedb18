from dataclasses import replace

import pytest
import torch

from esca.errors import EscaError
from esca.graph import Graph, Node, evaluate
from esca.graph.execute import run
from esca.graph.layers import Layer, schedule
from esca.graph.ops import (
    Affine,
    Conv2d,
    GridSample,
    Input,
    LeakyRelu,
    TexelBias,
)
from esca.quantization.fake import fake_run
from esca.quantization.phases import phases, weight_matrix
from esca.quantization.quantize import quantize
from esca.quantization.recipe import Override, Recipe, Rounding, Smoothing, load_recipe
from esca.quantization.statistics import TexelMaps, collect

MAPS = TexelMaps(face=torch.rand(16, 16), weight=torch.rand(16, 16) + 0.01)


def statistics_of(graph, feeds, maps=MAPS):
    return collect(graph, lambda: [feeds], maps)


def test_every_tensor_between_steps_has_a_grid_and_moves_keep_it(decoder, frames) -> None:
    graph = decoder("upsample")
    made = quantize(graph, statistics_of(graph, frames(8)), load_recipe("ffas-uv", "w4a4"))
    written = {
        step.output.name if isinstance(step, Layer) else step.node.name for step in schedule(graph)
    }
    assert made.grids.keys() == written | {"z", "view"}
    assert made.grids["z"] == made.grids["view"] == made.grids["join"]
    assert made.grids["fc.act"] == made.grids["map"] == made.grids["up"]
    assert made.weights.keys() == {node.name for node in graph.weighted}
    assert made.texel_biases.keys() == {"bias1", "texture"}


def test_bits_of_every_tensor(decoder, frames) -> None:
    graph = decoder()
    made = quantize(graph, statistics_of(graph, frames(8)), Recipe("t", mesh=12, texture=7))
    assert {name: grid.bits for name, grid in made.grids.items()} == {
        "z": 8,
        "view": 8,
        "join": 8,
        "fc.act": 4,
        "map": 4,
        "act1": 4,
        "act2": 4,
        "texture": 7,
        "mesh": 12,
    }
    assert {name: weight.bits for name, weight in made.weights.items()} == {
        "fc": 8,
        "conv1": 4,
        "conv2": 4,
        "conv3": 4,
        "mesh": 8,
    }


def test_overrides_change_exactly_their_layers(decoder, frames) -> None:
    graph = decoder("residual")
    statistics = statistics_of(graph, frames(8))
    plain = quantize(graph, statistics, Recipe("t"))
    recipe = Recipe("t", overrides=(Override("conv2", weights=7, activations=6),))
    made = quantize(graph, statistics, recipe)
    changed = {n for n, weight in made.weights.items() if weight.bits != plain.weights[n].bits}
    assert changed == {"conv2"}
    assert made.weights["conv2"].bits == 7
    # Its input gets the bits; the residual behind that input does not.
    finer = {name for name, grid in made.grids.items() if grid.bits != plain.grids[name].bits}
    assert finer == {"act.sum"}
    assert made.grids["act.sum"].bits == 6
    for name in made.weights.keys() - {"conv2"}:
        assert torch.equal(made.weights[name].values, plain.weights[name].values)
    with pytest.raises(EscaError, match=r"'t': overrides: layer 'conv9\*' matches none of fc, con"):
        quantize(graph, statistics, Recipe("t", overrides=(Override("conv9*", weights=4),)))


def test_tensors_that_only_elementwise_layers_read_get_the_bits_of_what_comes_after() -> None:
    shape = (2, 4, 4)
    graph = Graph(
        (
            Node("x", Input(), (), shape),
            Node("norm", Affine(torch.tensor(2.0), torch.tensor(-1.0)), ("x",), shape),
            Node("a", Conv2d(torch.randn(2, 2, 1, 1), None, 1, 0), ("norm",), shape),
            Node("again", Affine(torch.tensor(0.5), torch.tensor(0.1)), ("a",), shape),
        ),
        {"y": "again"},
    )
    statistics = collect(graph, lambda: [{"x": torch.rand(4, *shape)}], TexelMaps())
    made = quantize(graph, statistics, Recipe("t"))
    bits = {name: grid.bits for name, grid in made.grids.items()}
    assert bits == {"x": 4, "norm": 4, "a": 10, "again": 10}


def test_coordinates_get_their_own_bits() -> None:
    shape = (2, 4, 4)
    graph = Graph(
        (
            Node("x", Input(), (), shape),
            Node("place", Conv2d(torch.randn(2, 2, 1, 1), None, 1, 0), ("x",), shape),
            Node("moved", TexelBias(torch.rand(shape)), ("place",), shape),
            Node("colour", Conv2d(torch.randn(2, 2, 1, 1), None, 1, 0), ("x",), shape),
            Node("shade", TexelBias(torch.rand(shape)), ("colour",), shape),
            Node("sampled", GridSample(), ("shade", "moved"), shape),
        ),
        {"texture": "sampled"},
    )
    statistics = collect(graph, lambda: [{"x": torch.rand(4, *shape)}], TexelMaps())
    made = quantize(graph, statistics, Recipe("t", coordinate=13, texel_bias=6))
    assert (made.grids["moved"].bits, made.texel_biases["moved"].bits) == (13, 13)
    assert (made.grids["shade"].bits, made.texel_biases["shade"].bits) == (10, 6)
    assert made.grids["sampled"] == made.grids["shade"]


@pytest.mark.parametrize("variant", ["plain", "residual", "upsample"])
@pytest.mark.parametrize("side", [1, 2])
@pytest.mark.parametrize("method", ["none", "icas", "ffas"])
def test_grids_fit_the_tensors_of_the_smoothed_graph(decoder, frames, variant, side, method):
    """With min/max ranges, what the float path of the scaled graph does is covered by the grids."""
    graph, feeds = decoder(variant, side), frames(20)
    recipe = Recipe(
        "t",
        smoothing=Smoothing(method, 0.5, 50.0),
        range="minmax",
        weight_range="minmax",
        texel_bias=16,
        headroom=1.0,
    ).with_bits("w8a8")
    made = quantize(graph, statistics_of(graph, feeds), recipe)
    values: dict[str, torch.Tensor] = {}
    run(made.graph, feeds, lambda node, value: values.__setitem__(node.name, value))
    for name, grid in made.grids.items():
        low, high = -grid.zero_point * grid.scale, (grid.top - grid.zero_point) * grid.scale
        if name in ("z", "view"):  # share the range of both
            continue
        seen_low, seen_high = min(float(values[name].min()), 0), max(float(values[name].max()), 0)
        span = high - low
        assert low == pytest.approx(seen_low, abs=0.06 * span), name
        assert high == pytest.approx(seen_high, abs=0.06 * span), name


@pytest.mark.parametrize("name", ["rtn", "gptq", "icas", "uv", "icas-uv", "ffas-uv"])
def test_eight_bits_are_near_the_float_output_and_weights_have_changed(
    decoder, frames, name
) -> None:
    graph, feeds = decoder("residual"), frames(24)
    # Squared error is what is asserted, so ranges are searched for it too.
    recipe = replace(load_recipe(name, "w8a8"), range_power=2.0)
    made = quantize(graph, statistics_of(graph, feeds), recipe)
    for node in graph.weighted:
        before, after = graph.weight_op(node.name).weight, made.graph.weight_op(node.name).weight
        assert not torch.equal(before, after)
    exact, fake = evaluate(graph, feeds), fake_run(made, feeds)
    for label, value in exact.items():
        noise = (fake[label] - value).square().mean()
        assert float(noise / value.var()) < 2e-3, label


def test_gptq_beats_nearest_rounding_in_the_layer_s_own_output(decoder, frames) -> None:
    graph, feeds = decoder(), frames(60)
    statistics = statistics_of(graph, feeds)
    values: dict[str, torch.Tensor] = {}
    run(graph, feeds, lambda node, value: values.__setitem__(node.name, value))
    errors = {}
    for method in ("nearest", "gptq"):
        recipe = Recipe("t", rounding=Rounding(method), weight_range="minmax").with_bits("w3a8")
        made = quantize(graph, statistics, recipe)
        errors[method] = [
            float((apply_conv(made.graph, n, values) - values[n]).square().mean())
            for n in ("conv1", "conv2", "conv3")
        ]
    assert all(g < n for g, n in zip(errors["gptq"], errors["nearest"], strict=True))


def apply_conv(graph: Graph, name: str, values: dict[str, torch.Tensor]) -> torch.Tensor:
    op = graph.weight_op(name)
    x = values[graph.by_name[name].inputs[0]]
    return torch.nn.functional.conv_transpose2d(x, op.weight, op.bias, op.stride, op.padding)


def test_hessians_of_smoothed_inputs_are_those_of_the_divided_activations(decoder, frames) -> None:
    """GPTQ after smoothing = smoothing first and then collecting anew."""
    graph, feeds = decoder(), frames(30)
    recipe = Recipe(
        "t", smoothing=Smoothing("icas"), rounding=Rounding("gptq", "uv"), weight_range="minmax"
    )
    made = quantize(graph, statistics_of(graph, feeds), recipe)
    again = smoothed_then_collected(graph, feeds, made, recipe)
    for name in ("conv1", "conv2", "conv3"):
        same = (made.weights[name].values == again.weights[name].values).float().mean()
        assert float(same) > 0.98, name
        torch.testing.assert_close(made.weights[name].scale, again.weights[name].scale)


def smoothed_then_collected(graph, feeds, made, recipe):
    from esca.quantization.smoothing import apply_scales, scaling_groups

    scales = {
        group: found.scales
        for group, found in zip(scaling_groups(graph), made.smoothed, strict=True)
    }
    scaled = apply_scales(graph, scales)
    return quantize(scaled, statistics_of(scaled, feeds), replace(recipe, smoothing=Smoothing()))


def test_uv_weights_move_the_error_away_from_visible_texels(decoder, frames) -> None:
    graph, feeds = decoder(), frames(60)
    seen = torch.full((16, 16), 1e-3)
    seen[:, :8] = 1.0
    statistics = statistics_of(graph, feeds, TexelMaps(weight=seen))
    values: dict[str, torch.Tensor] = {}
    run(graph, feeds, lambda node, value: values.__setitem__(node.name, value))
    errors = {}
    for hessian in ("plain", "uv"):
        recipe = Recipe("t", rounding=Rounding("gptq", hessian), weight_range="minmax")
        made = quantize(graph, statistics, recipe.with_bits("w2a8"))
        # Each phase of the last layer is weighed by the visibility of its own texels.
        squares = (apply_conv(made.graph, "conv3", values) - values["conv3"]).square()
        errors[hessian] = float(squares[..., :8].mean())
    assert errors["uv"] < errors["plain"]


def test_missing_hessians_are_named(decoder, frames) -> None:
    graph, feeds = decoder(), frames(4)
    none = collect(graph, lambda: [feeds], TexelMaps(), hessians=())
    with pytest.raises(EscaError, match="'gptq': calibration collected no Hessians"):
        quantize(graph, none, load_recipe("gptq"))
    plain = collect(graph, lambda: [feeds], TexelMaps())
    with pytest.raises(EscaError, match="'uv': calibration collected no texel weight map"):
        quantize(graph, plain, load_recipe("uv"))


def test_the_same_inputs_give_the_same_integers(decoder, frames) -> None:
    graph, feeds = decoder(), frames(10)
    recipe = load_recipe("ffas-uv", "w4a4")
    first = quantize(graph, statistics_of(graph, feeds), recipe)
    second = quantize(graph, statistics_of(graph, feeds), recipe)
    for name, weight in first.weights.items():
        assert torch.equal(weight.values, second.weights[name].values)
    assert dict(first.grids) == dict(second.grids)


def test_the_fake_path_stays_on_the_grids(decoder, frames) -> None:
    graph, feeds = decoder("residual"), frames(5)
    made = quantize(graph, statistics_of(graph, feeds), load_recipe("rtn", "w4a4"))
    seen: dict[str, torch.Tensor] = {}
    fake_run(made, feeds, lambda node, value: seen.__setitem__(node.name, value))
    for name, grid in made.grids.items():
        steps = seen[name].double() / grid.scale + grid.zero_point
        assert float((steps - steps.round()).abs().max()) < 1e-2
        assert -0.1 < float(steps.min()) <= float(steps.max()) < grid.top + 0.1


def test_weights_of_all_phases_are_integers_on_their_scale(decoder, frames) -> None:
    graph, feeds = decoder(), frames(10)
    recipe = replace(load_recipe("uv", "w4a4"), granularity="channel_phase")
    made = quantize(graph, statistics_of(graph, feeds), recipe)
    op = made.graph.weight_op("conv2")
    scale = made.weights["conv2"].scale
    assert scale.shape == (3, 4)
    for phase in phases(op):
        steps = weight_matrix(op, op.weight, phase) / scale[:, phase.index, None]
        torch.testing.assert_close(steps, steps.round(), atol=1e-4, rtol=0)
    assert isinstance(graph.by_name["act1"].op, LeakyRelu)


def test_codes_have_headroom_and_are_never_clipped(decoder, frames) -> None:
    graph, feeds = decoder(), frames(20)
    made = quantize(graph, statistics_of(graph, feeds), Recipe("t", headroom=1.5))
    grid = made.grids["z"]
    seen = torch.cat([feeds["z"].reshape(-1), feeds["view"].reshape(-1)])
    low, high = -grid.zero_point * grid.scale, (grid.top - grid.zero_point) * grid.scale
    assert low <= 1.5 * float(seen.min()) + grid.scale
    assert high >= 1.5 * float(seen.max()) - grid.scale
