"""What is clamped, counted by hand and by another path through the graph."""

import warnings
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from esca.errors import EscaError
from esca.graph import Graph
from esca.graph.execute import run
from esca.quantization.grid import Grid
from esca.quantization.quantize import QuantizedGraph, quantize
from esca.quantization.recipe import Recipe, Smoothing
from esca.quantization.statistics import Statistics, TexelMaps, collect
from esca.runtime.integer import IntegerDecoder
from esca.runtime.saturation import (
    Saturation,
    SaturationWarning,
    WatchedDecoder,
    calibrated_shares,
    channel_scales,
    saturated,
    saturation,
)

NARROW = Recipe("t", range="minmax", headroom=1.0).with_bits("w8a8")


@pytest.fixture(scope="module")
def graph(decoder: Callable[..., Graph]) -> Graph:
    return decoder("residual")


@pytest.fixture(scope="module")
def calibration(frames: Callable[..., dict[str, Tensor]]) -> dict[str, Tensor]:
    return frames(12)


@pytest.fixture(scope="module")
def statistics(graph: Graph, calibration: dict[str, Tensor]) -> Statistics:
    return collect(graph, lambda: [calibration], TexelMaps(), hessians=())


@pytest.fixture(scope="module")
def quantized(graph: Graph, statistics: Statistics) -> QuantizedGraph:
    return quantize(graph, statistics, NARROW)


def shrunk(quantized: QuantizedGraph, name: str, part: float) -> QuantizedGraph:
    """The grid of one tensor made finer, so that it covers only a part of its range."""
    grid = quantized.grids[name]
    finer = Grid(grid.scale * part, grid.zero_point, grid.bits)
    return replace(quantized, grids={**quantized.grids, name: finer})


def test_nothing_is_clamped_inside_the_calibration_range(
    quantized: QuantizedGraph, calibration: dict[str, Tensor]
) -> None:
    found = saturation(IntegerDecoder(quantized), calibration)
    assert list(found)[:2] == ["z", "view"]
    assert set(found) == {"z", "view", "fc.act", "act1", "act.sum", "act2", "texture", "mesh"}
    # One step of noise of the integer path may reach beyond an extreme.
    assert all(tensor.share < 0.03 for tensor in found.values())
    assert found["z"].share == found["view"].share == 0


def test_inputs_count_values_beyond_the_ends(quantized: QuantizedGraph) -> None:
    grid = quantized.grids["z"]
    low, high = -grid.zero_point * grid.scale, (grid.top - grid.zero_point) * grid.scale
    z = torch.zeros(2, 6)
    z[0, 0] = high + 0.6 * grid.scale
    z[0, 1] = high + 0.4 * grid.scale  # rounds to the last integer: not clamped
    z[1, 0], z[1, 1], z[1, 2] = low - 1, low - 2, low - 0.4 * grid.scale
    found = saturation(IntegerDecoder(quantized), {"z": z, "view": torch.zeros(2, 3)})["z"]
    assert (found.low, found.high) == pytest.approx((2 / 12, 1 / 12))
    assert found.share == pytest.approx(3 / 12)
    assert found.grid == grid


@pytest.mark.parametrize("name", ["act1", "act2", "texture"])
def test_layers_count_what_the_clamp_changes(
    quantized: QuantizedGraph, calibration: dict[str, Tensor], name: str
) -> None:
    """Against a decoder whose grid has the same step and zero point but room beyond the last."""
    narrow = shrunk(quantized, name, 0.4)
    grid = narrow.grids[name]
    wide = Grid(grid.scale, grid.zero_point, 16)
    seen: dict[str, Tensor] = {}
    roomy = IntegerDecoder(replace(narrow, grids={**narrow.grids, name: wide}))
    roomy.run(roomy.quantize(calibration), lambda key, value: seen.update({key: value.clone()}))
    expected = float((seen[name] > grid.top).float().mean())
    found = saturation(IntegerDecoder(narrow), calibration)[name]
    assert found.high == pytest.approx(expected)
    assert expected > 0.003


def test_counting_changes_no_output_and_no_batch_counts_twice(
    quantized: QuantizedGraph, frames: Callable[..., dict[str, Tensor]]
) -> None:
    narrow = shrunk(quantized, "act1", 0.5)
    decoder, feeds = IntegerDecoder(narrow), frames(5, seed=3)
    steps: list[tuple[int, int]] = []
    by_two = saturation(decoder, feeds, 2, lambda *step: steps.append(step))
    assert steps == [(2, 5), (4, 5), (5, 5)]
    whole = saturation(decoder, feeds, 5)
    for name, tensor in whole.items():
        assert (by_two[name].low, by_two[name].high) == pytest.approx((tensor.low, tensor.high))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        watched = WatchedDecoder(decoder, {}).decode(**feeds)
    for one, other in zip(watched, decoder.decode(**feeds), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("method", ["none", "icas"])
def test_calibrations_share_is_that_of_the_float_tensors(
    graph: Graph, statistics: Statistics, calibration: dict[str, Tensor], method: str
) -> None:
    recipe = replace(NARROW, smoothing=Smoothing(method)).with_bits("w8a8")
    made = quantize(graph, statistics, recipe)
    for name in ("z", "fc.act", "act1", "act2", "texture", "mesh"):
        made = shrunk(made, name, 0.5)
    shares, scales = calibrated_shares(made, statistics), channel_scales(made)
    values: dict[str, Tensor] = {}
    with torch.no_grad():
        run(graph, calibration, lambda node, value: values.update({node.name: value}))
    assert {"z", "view", "fc.act", "act1", "act2", "texture", "mesh"} <= set(shares)
    assert (method == "icas") == ("act1" in scales)
    for name, share in shares.items():
        grid = made.grids[name]
        steps = torch.floor(values[name] / scales.get(name, 1.0) / grid.scale + 0.5)
        outside = (steps + grid.zero_point < 0) | (steps + grid.zero_point > grid.top)
        assert share == pytest.approx(float(outside.float().mean()), abs=0.01), name
    assert shares["act1"] > 0.02
    assert shares["view"] == 0


def test_only_what_exceeds_calibration_is_saturated(graph: Graph) -> None:
    grid = Grid(0.1, 3, 4)

    def judged(name: str, share: float, calibrated: dict[str, float]) -> bool:
        return bool(saturated({name: Saturation(name, grid, share, 0)}, calibrated, graph))

    assert not judged("act1", 0.07, {"act1": 0.02})
    assert judged("act1", 0.09, {"act1": 0.02})
    assert not judged("act1", 0.0009, {"act1": 0.0})
    assert judged("act1", 0.002, {"act1": 0.0})
    assert not judged("act1", 0.9, {})
    assert judged("z", 1e-6, {})


def test_a_watched_decoder_warns_once_a_tensor(
    quantized: QuantizedGraph, calibration: dict[str, Tensor]
) -> None:
    watched = WatchedDecoder(IntegerDecoder(quantized), {})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        watched.decode(**calibration)
    far = {**calibration, "z": 3 * calibration["z"]}
    with pytest.warns(SaturationWarning, match=r"'z' clamps .*%.*0\.00% in calibration") as caught:
        watched.decode(**far)
        watched.decode(**far)
    assert len(caught) == 1
    assert "\n" not in str(caught[0].message)
    assert watched.found["z"].share > 0.05


def test_feeds_have_to_agree(quantized: QuantizedGraph) -> None:
    with pytest.raises(EscaError, match=r"saturation: expected feeds .* got \[1, 2\]"):
        saturation(IntegerDecoder(quantized), {"z": torch.zeros(2, 6), "view": torch.zeros(1, 3)})
