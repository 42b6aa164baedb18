import gc

import pytest
import torch
import torch.nn.functional as F

from esca.errors import EscaError
from esca.graph import Graph, Node
from esca.graph.execute import run
from esca.graph.ops import Conv2d, ConvTranspose2d, Input, Linear
from esca.quantization import statistics as module
from esca.quantization.statistics import BINS, Statistics, TexelMaps, collect, resized


def cut(feeds: dict[str, torch.Tensor], *sizes: int):
    """A stream of batches of these sizes."""

    def batches():
        start = 0
        for size in sizes:
            yield {name: value[start : start + size] for name, value in feeds.items()}
            start += size

    return batches


def values_of(graph: Graph, feeds: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Every node's value on the whole set at once."""
    seen: dict[str, torch.Tensor] = {}
    with torch.no_grad():
        run(graph, feeds, lambda node, value: seen.__setitem__(node.name, value))
    return seen


MAPS = TexelMaps(face=torch.rand(16, 16), weight=torch.rand(16, 16) + 0.1)


def test_statistics_equal_those_of_the_concatenated_data(decoder, frames) -> None:
    graph, feeds = decoder("residual"), frames(11)
    found = collect(graph, cut(feeds, 4, 4, 3), MAPS)
    values = values_of(graph, feeds)
    assert found.frames == 11
    for node in graph.weighted:
        assert node.inputs[0] in found.tensors
    for name, tensor in found.tensors.items():
        value = values[name]
        channels = value.transpose(0, 1).flatten(1) if value.dim() == 4 else value.reshape(1, -1)
        assert torch.equal(tensor.low, channels.amin(1))
        assert torch.equal(tensor.high, channels.amax(1))
        assert torch.equal(tensor.peak, channels.abs().amax(1))
        for row, counts, low, high in zip(
            channels, tensor.counts, tensor.low, tensor.high, strict=True
        ):
            # Values on the edge of a bin may fall to either side.
            expected = torch.histc(row.double(), BINS, float(low), float(high))
            assert float((counts.cumsum(0) - expected.cumsum(0)).abs().max()) <= 2
            assert float(counts.sum()) == row.numel()
        weight = torch.ones(channels.shape[1])
        if value.dim() == 4:
            weight = F.adaptive_avg_pool2d(MAPS.face[None, None], value.shape[2:])
            weight = weight.reshape(-1).repeat(len(value))
        mean = (channels * weight).sum(1) / weight.sum()
        variance = ((channels - mean[:, None]).square() * weight).sum(1) / weight.sum()
        torch.testing.assert_close(tensor.region_variance, variance, atol=1e-5, rtol=1e-4)


def brute_hessian(op, x: torch.Tensor, texel_weight: torch.Tensor | None) -> torch.Tensor:
    """Through autograd, over the flat weights of the first output channel."""
    where = (slice(None), slice(0, 1)) if isinstance(op, ConvTranspose2d) else (slice(0, 1),)
    start = op.weight[where]

    def loss(flat: torch.Tensor) -> torch.Tensor:
        weight = flat.reshape(start.shape)
        if isinstance(op, ConvTranspose2d):
            y = F.conv_transpose2d(x, weight, None, op.stride, op.padding)
        elif isinstance(op, Conv2d):
            y = F.conv2d(x, weight, None, op.stride, op.padding)
        else:
            y = F.linear(x, weight)
        return (y.square() if texel_weight is None else y.square() * texel_weight).sum()

    return torch.autograd.functional.hessian(loss, start.reshape(-1))


def test_hessians_equal_those_through_autograd(decoder, frames) -> None:
    graph, feeds = decoder("residual"), frames(5)
    found = collect(graph, cut(feeds, 2, 3), MAPS)
    values = values_of(graph, feeds)
    for name in ("fc", "conv1", "res", "conv3"):
        op, node = graph.weight_op(name), graph.by_name[name]
        x = values[node.inputs[0]]
        for hessians, uv in ((found.plain[name], False), (found.uv[name], True)):
            weight = None
            if uv and not isinstance(op, Linear):
                weight = F.adaptive_avg_pool2d(MAPS.weight[None, None], node.shape[1:])[0, 0]
            truth = brute_hessian(op, x, weight)
            # The blocks hold everything: their sums of squares agree.
            torch.testing.assert_close(
                sum(h.double().square().sum() for h in hessians),
                truth.double().square().sum(),
                rtol=1e-4,
                atol=0,
            )
            ordered = torch.cat([torch.diagonal(h) for h in hessians]).sort().values
            torch.testing.assert_close(
                ordered, torch.diagonal(truth).sort().values, rtol=1e-4, atol=1e-5
            )


def test_hessians_do_not_depend_on_which_others_are_asked_for(decoder, frames) -> None:
    graph, feeds = decoder("residual"), frames(3)
    both = collect(graph, cut(feeds, 3), MAPS)
    plain, uv = (collect(graph, cut(feeds, 3), MAPS, (kind,)) for kind in ("plain", "uv"))
    assert plain.uv == {} and uv.plain == {}
    assert plain.plain.keys() == uv.uv.keys() == both.plain.keys() == both.uv.keys()
    torch.testing.assert_close(plain.plain, both.plain)
    torch.testing.assert_close(uv.uv, both.uv)
    torch.testing.assert_close(both.uv["fc"], both.plain["fc"])


def assert_equal(left: Statistics, right: Statistics) -> None:
    assert left.frames == right.frames
    assert left.tensors.keys() == right.tensors.keys()
    for name, tensor in left.tensors.items():
        other = right.tensors[name]
        torch.testing.assert_close(tensor.low, other.low, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(tensor.high, other.high, atol=1e-5, rtol=1e-5)
        moved = (tensor.counts.cumsum(1) - other.counts.cumsum(1)).abs().amax()
        assert float(moved) <= 3, name
        torch.testing.assert_close(
            tensor.region_variance, other.region_variance, atol=1e-5, rtol=1e-4
        )
    for kind in ("plain", "uv"):
        for name, hessians in getattr(left, kind).items():
            torch.testing.assert_close(hessians, getattr(right, kind)[name], rtol=1e-4, atol=1e-3)


def test_how_the_stream_is_cut_does_not_matter(decoder, frames, monkeypatch) -> None:
    monkeypatch.setattr(module, "SAMPLED_TEXELS", 20)  # so that histograms are of samples
    graph, feeds = decoder(), frames(12)
    whole = collect(graph, cut(feeds, 12), MAPS)
    assert float(whole.tensors["texture"].counts[0].sum()) < 12 * 256 / 5
    for sizes in ((1,) * 12, (5, 7), (8, 4)):
        assert_equal(whole, collect(graph, cut(feeds, *sizes), MAPS))


def test_without_maps_there_is_no_uv_hessian_and_every_texel_counts(decoder, frames) -> None:
    graph, feeds = decoder(), frames(6)
    found = collect(graph, cut(feeds, 6), TexelMaps())
    assert found.uv == {}
    value = values_of(graph, feeds)["act1"].transpose(0, 1).flatten(1)
    variance = value.var(1, correction=0)
    torch.testing.assert_close(
        found.tensors["act1"].region_variance, variance, rtol=1e-4, atol=1e-6
    )
    assert collect(graph, cut(feeds, 6), MAPS, hessians=()).plain == {}


def test_progress_counts_both_passes(decoder, frames) -> None:
    calls: list[tuple[int, int]] = []
    collect(decoder(), cut(frames(5), 2, 3), TexelMaps(), (), lambda *done: calls.append(done), 5)
    assert calls == [(2, 10), (5, 10), (7, 10), (10, 10)]


def test_an_empty_set_is_an_error(decoder) -> None:
    with pytest.raises(EscaError, match="the set is empty"):
        collect(decoder(), lambda: iter(()), TexelMaps())


def test_a_stream_that_cannot_be_started_anew_is_an_error(decoder, frames) -> None:
    once = cut(frames(4), 2, 2)()
    with pytest.raises(EscaError, match="4 frames at first and 0 when"):
        collect(decoder(), lambda: once, TexelMaps())


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_values_that_are_not_finite_are_named_with_their_layer(decoder, frames, bad) -> None:
    graph = decoder()
    op = graph.weight_op("conv2")
    op.weight[0, 0, 0, 0] = bad
    with pytest.raises(EscaError, match="layer 'act2' produced NaN or infinity"):
        collect(graph, cut(frames(2), 2), TexelMaps())


def test_maps_are_checked() -> None:
    with pytest.raises(EscaError, match=r"'face': shape \(3, 4\), expected \(T, T\)"):
        TexelMaps(face=torch.ones(3, 4))
    for wrong in (-1.0, float("nan")):
        with pytest.raises(EscaError, match="'weight': expected finite values of at least 0"):
            TexelMaps(weight=torch.full((2, 2), wrong))
    with pytest.raises(EscaError, match="'face': is zero everywhere"):
        TexelMaps(face=torch.zeros(2, 2))
    with pytest.raises(EscaError, match="'weight': 4 x 4 texels, expected 2 x 2 as 'face'"):
        TexelMaps(face=torch.ones(2, 2), weight=torch.ones(4, 4))


def test_maps_are_resized_by_area() -> None:
    image = torch.rand(12, 12)
    blocks = image.reshape(4, 3, 4, 3).mean((1, 3))
    torch.testing.assert_close(resized(image, (4, 4)), blocks)
    assert resized(image, (12, 12)) is not None
    torch.testing.assert_close(resized(torch.ones(2, 2), (8, 8)), torch.ones(8, 8))


def test_memory_does_not_grow_with_the_stream() -> None:
    """Live tensor bytes at the last batch, of a layer with maps far larger than its Hessian."""
    graph = Graph(
        (
            Node("x", Input(), (), (3, 40, 40)),
            Node("c", Conv2d(torch.randn(3, 3, 3, 3), None, 1, 1), ("x",), (3, 40, 40)),
        ),
        {"y": "c"},
    )

    def held(count: int) -> int:
        most = 0

        def batches():
            nonlocal most
            for index in range(count):
                generator = torch.Generator().manual_seed(index)
                yield {"x": torch.randn(2, 3, 40, 40, generator=generator)}
            storages = {
                item.untyped_storage().data_ptr(): item.untyped_storage().nbytes()
                for item in gc.get_objects()
                if type(item) is torch.Tensor
            }
            most = max(most, sum(storages.values()))

        collect(graph, batches, TexelMaps(face=torch.ones(8, 8), weight=torch.ones(8, 8)))
        return most

    assert held(32) <= held(4) + 1000
