import json
from dataclasses import replace
from itertools import product

import pytest
import torch

from esca.accelerator import graph_workload, load_config
from esca.accelerator.layer_cost import latency_cost
from esca.captures import open_capture
from esca.errors import EscaError
from esca.evaluation import FloatDecoder
from esca.quantization import load_recipe
from esca.quantization.budget import Unit, units
from esca.quantization.recipe import Bits
from esca.study import sensitivity as module
from esca.study.bench import Bench
from esca.study.mixed import Prices, mix
from esca.study.sensitivity import Judge, Loss, Sensitivity, validation_segments

CHOICES = (Bits(4, 4), Bits(8, 8))


@pytest.fixture(scope="module")
def made(subject, protocol, calibration, tmp_path_factory):
    folder = tmp_path_factory.mktemp("mix")
    arguments = (subject.capture, subject.avatar, load_recipe("rtn"), 1.5, folder)
    keywords = {"segments": 1, "choices": CHOICES}
    return mix(*arguments, calibration, protocol, **keywords), folder, arguments, keywords


def test_the_choice_is_the_best_that_fits(made):
    mixed = made[0]
    assert mixed.chosen.cost <= 1.5
    added = [
        {bits: mixed.sensitivity.added(unit, bits) for bits in CHOICES} for unit in mixed.units
    ]
    costs = {a.bits: a.cost for a in mixed.front}
    assert costs[tuple([CHOICES[0]] * len(mixed.units))] == pytest.approx(1)
    base = mixed.sensitivity.base.mse
    front = {a.bits: a for a in mixed.front}
    for bits in product(CHOICES, repeat=len(mixed.units)):
        loss = base + sum(part[b] for part, b in zip(added, bits, strict=True))
        if bits in front:
            assert front[bits].loss == pytest.approx(loss)
    assert mixed.measured["chosen"][1].mse <= mixed.measured["all w4a4"][1].mse


def test_files_hold_recipe_and_front(made):
    mixed, folder = made[:2]
    recipe = load_recipe(folder / "recipe.yaml")
    assert recipe == mixed.recipe and recipe.name == "rtn-mixed"
    for unit, bits in zip(mixed.units, mixed.chosen.bits, strict=True):
        assert {recipe.bits_of(layer, False) for layer in unit.layers} == {bits}
    data = json.loads((folder / "front.json").read_text())
    assert data["chosen"]["cost"] == mixed.chosen.cost
    assert set(data["measured"]) == {"all w4a4", "chosen", "all w8a8"}
    assert (folder / "front.svg").read_text().startswith("<svg xmlns=")


def test_probes_are_not_rendered_again(made, calibration, protocol, monkeypatch):
    mixed, _, arguments, keywords = made

    def never(self, decoder):
        raise AssertionError("a stored probe was rendered again")

    monkeypatch.setattr(module.Judge, "loss", never)
    again = mix(*arguments, calibration, protocol, **keywords)
    assert again.recipe == mixed.recipe


def test_budgets_below_uniform_are_refused(made, calibration, protocol):
    capture, avatar, recipe, _, folder = made[2]
    with pytest.raises(EscaError, match="below the cheapest"):
        mix(capture, avatar, recipe, 0.5, folder, calibration, protocol, **made[3])


def test_nothing_is_lost_by_the_fp32_avatar(subject, protocol):
    bench = Bench(subject, replace(protocol, reference="fp32"))
    loss = Judge(bench.clips).loss(FloatDecoder(bench.avatar))
    assert (loss.mse, loss.psnr) == (0, float("inf"))
    assert loss.jod == pytest.approx(10, abs=1e-3)


def test_validation_never_sees_the_tests(subject):
    capture = open_capture(subject.capture)
    assert validation_segments(capture, 1) == ("E001_Neutral",)
    assert validation_segments(capture, 9) == ("E001_Neutral", "E002_Smile")


def test_added_error_is_never_negative():
    unit = Unit(("a",))
    sensed = Sensitivity(Loss(2.0, 9.0), {unit: {Bits(4, 4): Loss(1.5, 9.0)}})
    assert sensed.added(unit, Bits(4, 4)) == 0
    assert torch.isfinite(torch.tensor(sensed.base.psnr))


def test_a_layer_s_latency_is_a_cost(traced_avatar):
    graph, recipe = traced_avatar("base").graph, load_recipe("rtn", "w4a4")
    cost = latency_cost(graph_workload(graph, recipe), load_config("esca-16x16"))
    found = units(graph, recipe)
    priced = Prices(graph, recipe, found, cost)
    low, high = (sum(priced.part(unit, bits) for unit in found) for bits in CHOICES)
    assert priced.fixed + low == pytest.approx(1)
    assert low < high <= 4 * low * 1.01
