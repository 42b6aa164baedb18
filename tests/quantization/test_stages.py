"""Where learned stages meet the rest; what each learns is tested beside it."""

from dataclasses import replace

import torch

from esca.quantization.calibration import Calibration, CalibrationConfig
from esca.quantization.recipe import Distillation, load_recipe
from esca.quantization.stages import quantize_calibrated
from esca.quantization.statistics import TexelMaps, collect
from esca.runtime.saturation import calibrated_shares

LEARNED = ("adaround-lsq", "brecq", "qdrop", "2dquant", "poca")


def test_every_shipped_recipe_that_learns_runs_and_can_be_distilled_after(decoder, frames) -> None:
    graph, feeds = decoder(), frames(12)
    maps = TexelMaps(torch.rand(16, 16), torch.rand(16, 16) + 0.01)
    statistics = collect(graph, lambda: [feeds], maps)
    known = Calibration(
        graph,
        statistics,
        feeds["z"],
        feeds["view"],
        maps,
        torch.rand(16, 16),
        torch.rand(2, 16, 16) + 0.01,
        (),
        CalibrationConfig(),
    )
    for name in LEARNED:
        shipped = load_recipe(name, "w4a4")
        assert shipped.reconstruction is not None
        recipe = replace(shipped, reconstruction=replace(shipped.reconstruction, steps=3))
        counts: list[int] = []
        made = quantize_calibrated(known, recipe, lambda done, _, to=counts: to.append(done))
        assert made.course is None and counts[-1] == len(counts) >= 3
        # Learned grids clamp some of what calibration saw, and the shares still tell how much.
        shares = calibrated_shares(made.quantized, statistics)
        assert all(0 <= share < 0.5 for share in shares.values())
        after = replace(recipe, distill=Distillation(steps=2, batch=2, examine_every=1))
        assert quantize_calibrated(known, after).course is not None
