"""Runs on a tiny subject, each in a real process of its own."""

import json

import pytest

from esca.errors import EscaError
from esca.quantization import CalibrationConfig, load_recipe
from esca.study import study as module
from esca.study.bench import Bench
from esca.study.config import StudyConfig
from esca.study.study import plan, run_study
from esca.study.worker import Order, worker


@pytest.fixture
def small(subject, protocol, calibration) -> StudyConfig:
    return StudyConfig(
        subjects=(subject,),
        sweeps=("rivals", "granularity"),
        base="rtn",
        recipes=("rtn",),
        calibration=calibration,
        protocol=protocol,
    )


def test_runs_are_done_once_and_a_second_start_does_none(small, tmp_path, monkeypatch):
    seen = []
    results = run_study(small, tmp_path, lambda *pair: seen.append(pair))
    # The rival and the first granularity are the same run.
    assert [r.run.variant.label for r in results] == ["rtn", "channel", "channel_phase"]
    assert results[0].run.key == results[1].run.key != results[2].run.key
    assert seen == [(0, 2), (1, 2), (2, 2)]
    spent = results[0].data["spent"]
    assert spent["calibration_seconds"] > 0 and spent["quantization_seconds"] > 0
    assert spent["peak_memory"] > 50_000_000
    lines = [json.loads(line) for line in (tmp_path / "results.jsonl").open()]
    assert [(line["sweep"], line["view"], line["subject"]) for line in lines] == [
        ("rivals", "front", "grid"),
        ("granularity", "front", "grid"),
        ("granularity", "front", "grid"),
    ]
    assert {"vdp", "psnr", "flicker", "bytes", "seed", "bits", "peak_memory"} <= set(lines[0])

    def never(order):
        raise AssertionError("a finished run was started again")

    monkeypatch.setattr(module, "worker", never)
    again = run_study(small, tmp_path)
    assert [r.data for r in again] == [r.data for r in results]


def test_the_published_configuration_is_a_row_labelled_as_a_simulation(small, tmp_path):
    results = run_study(
        _changed(small, sweeps=("rivals",), recipes=("esca-published", "rtn")), tmp_path
    )
    assert [r.run.variant.label for r in results] == [
        "esca-published (float simulation)",
        "rtn",
    ]
    lines = [json.loads(line) for line in (tmp_path / "results.jsonl").open()]
    assert [(line["method"], line["bits"]) for line in lines] == [
        ("esca-published (float simulation)", "w4a4"),
        ("rtn", "w4a4"),
    ]


def test_keys_follow_what_decides_the_result(small, subject, protocol):
    bench = Bench(subject, protocol)
    keys = {run.seed: run.key for run in plan(_changed(small, seeds=(0, 1)), [bench])}
    assert len(set(keys.values())) == 2
    other = plan(_changed(small, calibration=CalibrationConfig(frames=3)), [bench])
    assert other[0].key not in keys.values()
    points = plan(_changed(small, sweeps=("k",)), [bench], (0, 50))
    assert [run.variant.value for run in points] == [0, 50]


def test_only_named_recipes_run_with_every_seed(small, subject, protocol):
    bench = Bench(subject, protocol)
    study = _changed(small, recipes=("rtn", "gptq"), seeds=(3, 4), seeded=("gptq",))
    runs = [(run.variant.recipe.name, run.variant.sweep, run.seed) for run in plan(study, [bench])]
    assert runs[:3] == [("rtn", "rivals", 3), ("gptq", "rivals", 3), ("gptq", "rivals", 4)]
    assert {seed for _, sweep, seed in runs if sweep == "granularity"} == {3}
    with pytest.raises(EscaError, match="seeded: 'uv' is none of its recipes"):
        plan(_changed(study, seeded=("uv",)), [bench])


def _changed(study: StudyConfig, **changes: object) -> StudyConfig:
    values = {name: getattr(study, name) for name in StudyConfig.__dataclass_fields__}
    return StudyConfig(**values | changes)


def test_an_error_in_the_process_is_the_users(subject, calibration, tmp_path):
    order = Order(tmp_path / "none", subject.avatar, calibration, load_recipe("rtn"))
    with worker(order) as at_work, pytest.raises(EscaError, match="none"):
        at_work.make(load_recipe("rtn"), tmp_path)
