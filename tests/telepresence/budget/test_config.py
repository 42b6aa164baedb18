from pathlib import Path

import pytest

from esca.errors import EscaError
from esca.telepresence.budget.config import Figure, budget_names, devices, figure, load_budget
from esca.telepresence.budget.plan import plan_of

PUBLISHED = {
    "xr2-fp": ("npu", 13.80, 25.80),
    "xr2-w8": ("npu", 4.00, 14.50),
    "orin-fp": ("gpu", 9.96, 50.35),
    "esca-w8": ("accelerator", 3.05, 12.51),
    "esca-w4": ("accelerator", 3.05, 3.13),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_presets_hold_the_published_latencies(name: str) -> None:
    plan = plan_of(load_budget(name))
    device, encoder, decoder = PUBLISHED[name]
    assert (plan.encoder.device, plan.encoder.ms) == (device, encoder)
    assert (plan.decoder.device, plan.decoder.ms) == (device, decoder)
    for field in ("encoder", "decoder"):
        source = plan.sources[field]
        assert "2510.24787" in source.source and source.unit == "ms" and not source.assumed


def test_every_shipped_figure_says_what_it_is() -> None:
    figures = [one for group in devices().figures.values() for one in group.values()]
    assert len(figures) > 25
    assert all(one.source and one.unit for one in figures)
    cited = ("2510.24787", "Albert")
    assert all(one.assumed or any(name in one.source for name in cited) for one in figures)


def test_our_own_latencies_come_from_the_accelerator_model() -> None:
    from esca.accelerator import avatar_workload, load_config, time_workload
    from esca.accelerator.energy import frame_energy

    assert {"ours-w8", "ours-w4", "ours-w4-warp", "ours-w4-32x32"} <= set(budget_names())
    plan = plan_of(load_budget("ours-w4"))
    config = load_config("esca-16x16")
    frame = time_workload(avatar_workload("base", 1024, "decoder", "w4a4"), config)
    assert plan.decoder.ms == frame.latency_ms
    assert plan.decoder.millijoules == pytest.approx(frame_energy(frame).total.value / 1e3)
    assert "base 1024 decoder w4a4 on esca-16x16" in plan.sources["decoder"].source


OWN = """
title: Mine
encoder: {device: dsp, latency: xr2-gen2.encoder-8bit}
decoder:
  device: dsp
  latency: {value: 2, unit: ms, source: my bench}
  energy: {value: 3, unit: mJ, source: my meter}
network: {loss: {value: 0, unit: share, source: cable}}
avatars: 3
"""


def test_an_own_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(OWN)
    plan = plan_of(load_budget(path))
    assert (plan.encoder.ms, plan.encoder.millijoules) == (4.0, None)
    assert (plan.decoder.ms, plan.decoder.millijoules) == (2.0, 3.0)
    assert (plan.loss, plan.avatars, plan.gaze) == (0.0, 3, "none")
    assert plan_of(load_budget(path), avatars=5, gaze="series").gaze == "series"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("xr2-gen2.encoder-8bit", "xr2.encoder", "encoder: no figure 'xr2.encoder'"),
        ("xr2-gen2.encoder-8bit", "gaze.field", "encoder: expected a figure in ms, got degrees"),
        ("unit: mJ", "unit: ms", "decoder.energy: expected a figure in mJ, got ms"),
        ("unit: ms", "unit: s", "decoder.latency"),
        ("value: 2,", "value: -2,", "decoder.latency"),
        (", source: my bench", "", "decoder.latency"),
        ("value: 0,", "value: 2,", "network.loss: expected at most 1, got 2"),
        ("avatars: 3", "avatars: 0", "avatars: .*got 0"),
        ("title: Mine", "titel: Mine", "title"),
        ("title: Mine", "title: M\nrefresh_rate: {value: 0, unit: Hz, source: x}", "refresh_rate"),
        ("title: Mine", "title: M\ngaze: {sharp: gaze.field}", "100 degrees do not fit"),
        ("latency: xr2-gen2.encoder-8bit", "energy: x.y", "either latency or model"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(OWN.replace(old, new, 1))
    with pytest.raises(EscaError, match=message):
        plan_of(load_budget(path))


def test_names_that_are_no_preset() -> None:
    with pytest.raises(EscaError, match="preset: 'quest' is none of esca-w4"):
        load_budget("quest")
    own = Figure(1.0, "ms", "here")
    assert figure(own, "ms", "x") is own
