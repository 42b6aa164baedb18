from dataclasses import replace
from typing import get_args

import pytest

from esca.quantization import CalibrationConfig, load_recipe
from esca.quantization.recipe import Distillation
from esca.study.sweeps import ALPHAS, EXEMPT, SweepName, seeded, variants

BASE = load_recipe("ffas-uv")
CONFIG = CalibrationConfig()


def test_k_has_the_points_of_the_published_table():
    points = variants("k", BASE, [], CONFIG)
    assert [point.value for point in points] == list(EXEMPT)
    assert set(EXEMPT) >= {30, 40, 50, 60, 70, 75, 80, 85, 90, 95}
    assert [point.recipe.smoothing.exempt_percent for point in points] == list(EXEMPT)
    assert {point.recipe.smoothing.method for point in points} == {"ffas"}


def test_each_sweep_changes_one_thing():
    alphas = variants("alpha", BASE, [], CONFIG)
    assert [point.recipe.smoothing.alpha for point in alphas] == list(ALPHAS)
    frames = variants("frames", BASE, [], CONFIG, (8, 16))
    assert [point.calibration.frames for point in frames] == [8, 16]
    assert all(point.recipe == BASE for point in frames)
    scales = variants("granularity", BASE, [], CONFIG)
    assert [replace(p.recipe, granularity="channel") for p in scales] == [BASE] * 2
    rivals = [load_recipe("rtn"), load_recipe("gptq")]
    assert [point.recipe for point in variants("rivals", BASE, rivals, CONFIG)] == rivals


def test_smoothing_is_switched_on_for_its_strength():
    points = variants("alpha", load_recipe("gptq"), [], CONFIG)
    assert {point.recipe.smoothing.method for point in points} == {"icas"}


def test_stages_leave_out_what_the_recipe_has():
    learned = replace(BASE, distill=Distillation())
    points = {point.label: point.recipe for point in variants("stages", learned, [], CONFIG)}
    assert points["all"] == learned
    assert points["no distillation"] == BASE
    assert points["no smoothing"].smoothing.method == "none"
    assert points["nearest rounding"].rounding.method == "nearest"
    assert len(set(map(repr, points.values()))) == len(points)
    plain = {point.label for point in variants("stages", load_recipe("rtn"), [], CONFIG)}
    assert not plain & {"no smoothing", "nearest rounding", "plain Hessian", "no distillation"}


def test_every_seed_of_a_recipe_is_set():
    assert seeded(replace(BASE, distill=Distillation()), 7).distill == Distillation(seed=7)
    assert seeded(BASE, 7) == BASE


@pytest.mark.parametrize("sweep", get_args(SweepName))
def test_labels_are_distinct(sweep):
    labels = [p.label for p in variants(sweep, BASE, [BASE], CONFIG)]
    assert len(set(labels)) == len(labels) > 0
