from dataclasses import replace

import pytest
import torch

from esca.errors import EscaError
from esca.graph import evaluate
from esca.quantization.fake import fake_run
from esca.quantization.learning.codes import CodeBook, sample_pairs
from esca.quantization.learning.distill import distill
from esca.quantization.quantize import quantize
from esca.quantization.recipe import Distillation, load_recipe
from esca.quantization.stages import smoothed_like
from esca.quantization.statistics import TexelMaps, collect

WEIGHT = torch.rand(16, 16, generator=torch.Generator().manual_seed(1)) + 0.05
LESSON = Distillation(steps=60, batch=4, rate=0.02, examine_every=10)


@pytest.fixture
def start(decoder, frames):
    graph, feeds = decoder(), frames(24)
    statistics = collect(graph, lambda: [feeds], TexelMaps(torch.rand(16, 16), WEIGHT))
    quantized = quantize(graph, statistics, load_recipe("icas-uv", "w4a4"))
    return graph, quantized, smoothed_like(graph, quantized), CodeBook(feeds["z"], feeds["view"])


def weighted_error(graph, quantized, book) -> float:
    feeds = {"z": book.codes, "view": book.views}
    error = fake_run(quantized, feeds)["texture"] - evaluate(graph, feeds)["texture"]
    return float((error.square() * WEIGHT / WEIGHT.mean()).mean())


def test_learning_lowers_the_error_on_codes_that_were_held_out(start) -> None:
    graph, quantized, wanted, book = start
    made, course = distill(quantized, graph, wanted, book, WEIGHT, LESSON)
    held_out = book.split(LESSON.hold_out)[1]
    before, after = (weighted_error(graph, q, held_out) for q in (quantized, made))
    assert after < 0.85 * before
    assert course.losses[0] == pytest.approx(before, rel=1e-4)
    assert course.losses[course.best] == pytest.approx(after, rel=1e-4)
    assert course.best == min(course.losses, key=course.losses.__getitem__)


def test_each_channel_of_a_texel_may_have_a_weight_of_its_own(start) -> None:
    graph, quantized, wanted, book = start
    weight = torch.stack([WEIGHT, torch.zeros_like(WEIGHT)])
    made, course = distill(quantized, graph, wanted, book, weight, replace(LESSON, steps=30))
    held_out = book.split(LESSON.hold_out)[1]
    feeds = {"z": held_out.codes, "view": held_out.views}
    error = fake_run(made, feeds)["texture"] - evaluate(graph, feeds)["texture"]
    by_hand = (error[:, 0].square() * WEIGHT / WEIGHT.mean()).mean()
    assert course.losses[course.best] == pytest.approx(float(by_hand), rel=1e-4)


def test_it_never_returns_something_worse_than_its_start(start) -> None:
    graph, quantized, wanted, book = start
    wild = replace(LESSON, rate=1.0, steps=3, examine_every=1)
    made, course = distill(quantized, graph, wanted, book, WEIGHT, wild)
    assert course.best == 0
    assert torch.equal(made.weights["conv1"].values, quantized.weights["conv1"].values)


def test_an_interrupted_run_goes_on_to_the_same_result(start, tmp_path) -> None:
    graph, quantized, wanted, book = start
    whole, _ = distill(quantized, graph, wanted, book, WEIGHT, LESSON)
    path = tmp_path / "lesson.pt"

    def stop(done: int, total: int) -> None:
        if done == 25:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        distill(quantized, graph, wanted, book, WEIGHT, LESSON, stop, path)
    assert path.is_file()
    again, _ = distill(quantized, graph, wanted, book, WEIGHT, LESSON, None, path)
    assert not path.exists()
    for name, weight in whole.weights.items():
        assert torch.equal(weight.values, again.weights[name].values)
        assert torch.equal(weight.scale, again.weights[name].scale)
    assert whole.grids == again.grids


def test_a_checkpoint_of_another_run_is_an_error_that_names_the_file(start, tmp_path) -> None:
    graph, quantized, wanted, book = start
    path = tmp_path / "lesson.pt"
    path.write_bytes(b"something else")
    with pytest.raises(EscaError, match=r"lesson\.pt"):
        distill(quantized, graph, wanted, book, WEIGHT, LESSON, None, path)


def test_a_checkpoint_of_another_configuration_is_not_gone_on_with(start, tmp_path) -> None:
    graph, quantized, wanted, book = start
    path = tmp_path / "lesson.pt"

    def stop(done: int, total: int) -> None:
        if done == 25:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        distill(quantized, graph, wanted, book, WEIGHT, LESSON, stop, path)
    other = replace(LESSON, rate=0.01)
    with pytest.raises(EscaError, match=r"lesson\.pt: no checkpoint of this"):
        distill(quantized, graph, wanted, book, WEIGHT, other, None, path)


def test_codes_are_sampled_around_frames_and_move_toward_the_next() -> None:
    codes = torch.arange(6.0)[:, None] * torch.ones(1, 3)
    book = CodeBook(codes, torch.eye(3)[torch.arange(6) % 3])
    generator = torch.Generator().manual_seed(4)
    drawn, views = sample_pairs(book, 500, 0.0, generator)
    now, later = drawn.chunk(2)
    assert torch.equal(views[:500], views[500:])
    assert float(now.min()) >= 0 and float(now.max()) <= 5
    assert torch.allclose(now[:, 0], now[:, 2])
    ahead = now[:, 0] % 1 > 0  # the last frame's neighbour is the first
    assert float((later - now)[ahead].abs().max()) <= 0.25 * 5
    noisy, _ = sample_pairs(book, 4000, 0.5, torch.Generator().manual_seed(4))
    spread = (noisy[:4000, 0] - noisy[:4000, 1]).std() / 2**0.5
    assert spread == pytest.approx(0.5 * float(codes[:, 0].std(unbiased=False)), rel=0.1)
