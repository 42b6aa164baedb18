from dataclasses import replace

import pytest
import torch

from esca.graph import evaluate
from esca.graph.execute import run
from esca.quantization.fake import fake_run
from esca.quantization.learning.bounds import feature_error, train_bounds
from esca.quantization.learning.codes import CodeBook
from esca.quantization.learning.reconstruct import dropped, reconstruct
from esca.quantization.quantize import quantize
from esca.quantization.recipe import Recipe, Reconstruction, load_recipe
from esca.quantization.stages import smoothed_like
from esca.quantization.statistics import TexelMaps, collect
from esca.runtime import IntegerDecoder

VISIBILITY = (torch.rand(32, 32, generator=torch.Generator().manual_seed(1)) - 0.3).clamp_min(0)
METHODS = {
    "adaround-lsq": Reconstruction("adaround-lsq", steps=120),
    "brecq": Reconstruction("brecq", steps=120, layers=2),
    "qdrop": Reconstruction("qdrop", steps=200, layers=2, rate=0.02),
    "poca": Reconstruction("poca", steps=150),
    "dqc": Reconstruction("dqc", steps=80, rate=0.01),
}


@pytest.fixture(scope="module")
def start(decoder, frames):
    """A decoder on min/max grids, which leave much to be learned."""
    torch.set_num_threads(1)
    graph, feeds = decoder(side=4), frames(24)
    statistics = collect(graph, lambda: [feeds], TexelMaps())
    recipe = Recipe("t", range="minmax", weight_range="mse").with_bits("w3a4")
    quantized = quantize(graph, statistics, recipe)
    return graph, quantized, CodeBook(feeds["z"], feeds["view"])


@pytest.fixture(scope="module")
def learned(start):
    graph, quantized, book = start
    return {name: learn(config, graph, quantized, book) for name, config in METHODS.items()}


def learn(config, graph, quantized, book, progress=None):
    if config.method == "dqc":
        return train_bounds(quantized, graph, book, config, progress)
    return reconstruct(quantized, graph, book, VISIBILITY, config, progress)


def texture_error(graph, quantized, book) -> float:
    feeds = {"z": book.codes, "view": book.views}
    error = fake_run(quantized, feeds)["texture"] - evaluate(graph, feeds)["texture"]
    return float(error.square().mean())


def layer_error(graph, quantized, book, layer: str, steps: bool = True) -> float:
    """Error of what a layer writes before it is rounded, weights and (``steps``) grids before."""
    feeds = {"z": book.codes, "view": book.views}
    goal = evaluate(replace(graph, outputs={"o": layer}), feeds)["o"]

    def observe(node, value):
        grid = quantized.grids.get(node.name)
        return value if node.name == layer or grid is None or not steps else grid.fake(value)

    got = run(replace(quantized.graph, outputs={"o": layer}), feeds, observe)["o"]
    return float((got - goal).square().mean())


@pytest.mark.parametrize("method", METHODS)
def test_every_method_lowers_the_error_of_the_decoder(start, learned, method: str) -> None:
    graph, quantized, book = start
    assert texture_error(graph, learned[method], book) < 0.9 * texture_error(graph, quantized, book)


@pytest.mark.parametrize("method", ["adaround-lsq", "brecq", "qdrop"])
def test_every_block_lowers_its_own_loss(start, learned, method: str) -> None:
    graph, quantized, book = start
    targets = ("act2", "texture") if METHODS[method].layers == 2 else ("act1", "act2", "texture")
    for target in targets:
        # Rounding is learned on float activations where it is learned apart from the steps.
        steps = method == "qdrop"
        made = (quantized, learned[method])
        before, after = (layer_error(graph, one, book, target, steps) for one in made)
        assert after < before, target


@pytest.mark.parametrize("method", METHODS)
def test_only_what_a_method_says_is_learned(start, learned, method: str) -> None:
    _, quantized, _ = start
    made = learned[method]
    for name in ("fc", "mesh"):
        assert torch.equal(made.weights[name].values, quantized.weights[name].values)
    for name in ("z", "join", "fc.act", "map", "texture", "mesh"):
        assert made.grids[name] == quantized.grids[name]
    for name in ("conv1", "conv2", "conv3"):
        same = torch.equal(made.weights[name].scale, quantized.weights[name].scale)
        assert same == (method != "dqc")
        if method == "dqc":
            continue
        unit = made.graph.weight_op(name).weight.abs().max() / made.weights[name].values.abs().max()
        moved = made.weights[name].values.int() - quantized.weights[name].values.int()
        assert int(moved.abs().max()) == 1, "a weight goes to one of its two neighbours"
        assert float(unit) > 0
    for name in ("act1", "act2"):
        assert made.grids[name].scale != quantized.grids[name].scale
        same = made.grids[name].zero_point == quantized.grids[name].zero_point
        assert same or method == "dqc"


def test_integers_are_the_two_neighbours_of_the_float_weight(start, learned) -> None:
    graph, _, _ = start
    made = learned["adaround-lsq"].weights["conv2"]
    steps = graph.weight_op("conv2").weight / made.scale[:, 0][None, :, None, None]
    low, high = steps.floor().clamp(-3, 3), (steps.floor() + 1).clamp(-3, 3)
    values = made.values.float()
    assert bool(((values == low) | (values == high)).all())


@pytest.mark.parametrize("method", METHODS)
def test_what_was_learned_is_what_the_integers_do(start, learned, frames, method: str) -> None:
    made, feeds = learned[method], frames(6, seed=3)
    simulated = fake_run(made, feeds)["texture"]
    integer = IntegerDecoder(made)
    outputs = integer.run(integer.quantize(feeds))
    error = integer.dequantize("texture", outputs["texture"]) - simulated
    goal = evaluate(start[0], feeds)["texture"]
    # Values next to a rounding border may fall to either side, and that is carried on.
    assert float((error.abs() > 1.01 * made.grids["texture"].scale).float().mean()) < 0.1
    assert float(error.square().mean()) < 0.1 * float((simulated - goal).square().mean())


@pytest.mark.parametrize("method", METHODS)
def test_the_seed_decides_everything(start, method: str) -> None:
    graph, quantized, book = start
    config = replace(METHODS[method], steps=8)
    calls: list[tuple[int, int]] = []
    first = learn(config, graph, quantized, book, lambda done, total: calls.append((done, total)))
    torch.manual_seed(123)
    again = learn(config, graph, quantized, book)
    other = learn(replace(config, seed=5), graph, quantized, book)
    assert first.grids == again.grids and first.grids != other.grids
    for name, weight in first.weights.items():
        assert torch.equal(weight.values, again.weights[name].values)
    assert [done for done, _ in calls] == list(range(1, calls[-1][1] + 1))


def test_poca_leaves_plain_convolutions_alone(decoder, frames) -> None:
    graph, feeds = decoder("residual"), frames(8)
    statistics = collect(graph, lambda: [feeds], TexelMaps())
    quantized = quantize(graph, statistics, load_recipe("poca"))
    book = CodeBook(feeds["z"], feeds["view"])
    config = Reconstruction("poca", steps=40)
    made = reconstruct(quantized, graph, book, VISIBILITY, config)
    assert torch.equal(made.weights["res"].values, quantized.weights["res"].values)
    assert not torch.equal(made.weights["conv2"].values, quantized.weights["conv2"].values)


def test_smoothed_graphs_learn_toward_the_smoothed_float_graph(decoder, frames) -> None:
    graph, feeds = decoder(), frames(16)
    statistics = collect(graph, lambda: [feeds], TexelMaps())
    quantized = quantize(graph, statistics, load_recipe("smoothquant"))
    book = CodeBook(feeds["z"], feeds["view"])
    wanted = smoothed_like(graph, quantized)
    made = reconstruct(quantized, wanted, book, None, METHODS["adaround-lsq"])
    assert texture_error(graph, made, book) < texture_error(graph, quantized, book)


def test_the_share_that_stays_float() -> None:
    made, ideal = torch.zeros(3, 50, 50), torch.ones(3, 50, 50)
    for share in (0.0, 0.3, 0.5):
        mixed = dropped(made, ideal, share, torch.Generator().manual_seed(2))
        assert float(mixed.mean()) == pytest.approx(share, abs=0.02)
        assert set(mixed.unique().tolist()) <= {0.0, 1.0}


def test_features_are_compared_whatever_their_length() -> None:
    one = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(2))
    assert float(feature_error(one, 3 * one)) == pytest.approx(0, abs=1e-6)
    assert float(feature_error(one, -one)) == pytest.approx(4, rel=1e-5)
