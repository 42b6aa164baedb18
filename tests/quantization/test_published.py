import pytest
import torch

from esca.errors import EscaError
from esca.graph import evaluate
from esca.graph.ops import ConvTranspose2d
from esca.quantization.calibration import Calibration, CalibrationConfig
from esca.quantization.phases import phases, weight_matrix
from esca.quantization.published import group_rounded, published, row_rounded
from esca.quantization.recipe import Bits
from esca.quantization.statistics import TexelMaps, collect


def calibration(graph, feeds, hessians=("uv",)) -> Calibration:
    generator = torch.Generator().manual_seed(3)
    face, weight = torch.rand(2, 16, 16, generator=generator) + 0.01
    maps = TexelMaps(face, weight)
    statistics = collect(graph, lambda: [feeds], maps, hessians)
    codes, views = feeds["z"], feeds["view"]
    gain = torch.ones(2, 16, 16)
    return Calibration(graph, statistics, codes, views, maps, weight, gain, (), CalibrationConfig())


def test_rows_against_a_loop() -> None:
    x = torch.randn(2, 3, 4, 9, generator=torch.Generator().manual_seed(2))
    x[0, 0, 0] = 0.0
    x[1, 2, 3] = x[1, 2, 3].abs()
    made = row_rounded(x, 4)
    for row, got in zip(x.reshape(-1, 9).tolist(), made.reshape(-1, 9).tolist(), strict=True):
        low, high = min(*row, 0.0), max(*row, 0.0)
        step = (high - low) / 15
        for value, result in zip(row, got, strict=True):
            assert abs(value - result) <= 0.5001 * step
            if step:
                assert result / step == pytest.approx(round(result / step), abs=1e-4)


def test_groups_of_four_have_a_step_of_their_own() -> None:
    generator = torch.Generator().manual_seed(4)
    op = ConvTranspose2d(torch.randn(6, 5, 4, 4, generator=generator), None, 2, 1)
    plain = [torch.eye(24) for _ in phases(op)]  # without correlations GPTQ is rounding to nearest
    made = group_rounded(op, plain, 4)
    for phase in phases(op):
        wanted, got = (weight_matrix(op, w, phase) for w in (op.weight, made))
        for row, rounded in zip(wanted, got, strict=True):
            for four, result in zip(row.split(4), rounded.split(4), strict=True):
                step = four.abs().max() / 7
                assert torch.allclose(result, (four / step).round() * step, atol=1e-5)


def test_only_convolutions_are_rounded_and_it_comes_near_the_float_decoder(decoder, frames) -> None:
    graph, feeds = decoder("residual"), frames(12)
    known = calibration(graph, feeds)
    errors = {}
    for bits in (4, 8):
        made = published(known, Bits(bits, bits))
        texture, mesh = made.decode(feeds["z"], feeds["view"])
        goal = evaluate(graph, feeds)
        assert torch.allclose(mesh, goal["mesh"], atol=1e-5)
        errors[bits] = float((texture - goal["texture"]).square().mean())
    assert 0 < errors[8] < 0.01 * errors[4] < 0.01 * float(goal["texture"].var())


def test_bytes_count_two_for_every_group_of_four(decoder, frames) -> None:
    graph = decoder()
    made = published(calibration(graph, frames(4)), Bits(4, 4))
    convolutions = 0
    floats = sum(p.numel() for n in graph.nodes for p in _floats(n))
    for name in ("conv1", "conv2", "conv3"):
        inputs, outputs = graph.weight_op(name).weight.shape[:2]
        columns = 4 * inputs  # of each of four phases
        convolutions += outputs * 4 * (columns // 2 + 2 * -(-columns // 4))
    assert made.bytes == 4 * floats + convolutions


def _floats(node):
    op = node.op
    is_convolution = isinstance(op, ConvTranspose2d)
    found = [] if is_convolution else [getattr(op, "weight", None)]
    return [p for p in (*found, getattr(op, "bias", None)) if p is not None]


def test_it_needs_hessians(decoder, frames) -> None:
    with pytest.raises(EscaError, match=r"esca-published.*no texel weight map"):
        published(calibration(decoder(), frames(4), ()), Bits(4, 4))
