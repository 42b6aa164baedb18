import math

import numpy as np
import pytest

from esca.study.grouping import best_cells, by_label, by_subject
from esca.study.summary import (
    MEAN,
    figure_of,
    fp32_vdp,
    loss,
    of,
    region_psnr,
    spent,
    spread,
    spread_of,
    vdp,
)


def test_spread_is_mean_and_sample_deviation():
    values = [1.0, 4.0, 2.5]
    found = spread(values)
    assert found.mean == pytest.approx(np.mean(values))
    assert found.sd == pytest.approx(np.std(values, ddof=1))
    assert found.text(2) == "2.50 ± 1.50"
    assert spread([2.0]).text(1) == "2.0"
    assert spread([-0.25]).text(2) == "−0.25"
    assert spread([]).text(1) == "–"
    assert spread([math.inf, 1.0]).text(1) == "∞"


def test_figures_by_view_and_over_views(result):
    one = result("a", loss=0.5)
    assert figure_of(one, "front", vdp) == pytest.approx(8.1)
    assert figure_of(one, "left", loss) == pytest.approx(-1.3)
    assert figure_of(one, MEAN, loss) == pytest.approx(-1.1)
    assert figure_of(one, MEAN, fp32_vdp) == 9
    assert figure_of(one, MEAN, of("psnr")) == 40
    assert figure_of(one, MEAN, region_psnr("mouth")) == 30  # the one view that has it
    assert math.isnan(figure_of(one, "left", region_psnr("mouth")))


def test_spread_over_seeds(result):
    members = [result("a", loss=0.1 * seed, seed=seed) for seed in range(3)]
    found = spread_of(members, "front", vdp)
    assert (found.mean, found.sd, found.count) == (pytest.approx(8.5), pytest.approx(0.1), 3)
    assert spent(members, "quantization_seconds").mean == 2
    assert spread_of(members, "left", region_psnr("mouth")).count == 0


def test_groups_keep_their_order(result):
    results = [result(n, subject=s) for s in ("x", "y") for n in ("b", "a")]
    assert list(by_label(results)) == ["b", "a"]
    assert [len(g) for g in by_subject(results).values()] == [2, 2]


def test_best_cells_marks_all_that_print_alike_and_nothing_if_all_do():
    texts = [("a", "1.0", "2"), ("b", "1.0", "2"), ("c", "0.5", "2")]
    columns = {1: [1.01, 1.02, 0.5], 2: [2.0, 2.0, 2.0]}
    assert best_cells(columns, {1: True, 2: True}, texts) == {(0, 1), (1, 1)}
    assert best_cells(columns, {1: False, 2: True}, texts) == {(2, 1)}
