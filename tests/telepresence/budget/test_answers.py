import json
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from esca.cli.main import app
from esca.errors import EscaError
from esca.telepresence.budget import answer
from esca.telepresence.budget.config import Figure
from esca.telepresence.budget.plan import Plan, Work
from esca.telepresence.budget.results import answers_data, answers_text, budgets_text

pytest.importorskip("simpy")


def test_answers_of_a_fixed_plan(still: Plan) -> None:
    made = answer(still, seconds=1, calls=3)
    assert made.faces_hertz == pytest.approx(100, rel=0.03)
    assert made.frames_hertz == pytest.approx(100, rel=0.03)
    assert made.head == pytest.approx({"p50": 13, "p95": 13, "p99": 13})
    assert made.late == pytest.approx({"p50": 11, "p95": 11, "p99": 11})
    assert 45.5 <= made.face["p50"] <= made.face["p95"] <= made.face["p99"] <= 55.5
    assert made.utilization["decoder"] == {"decoder": pytest.approx(0.4, rel=0.03)}
    assert made.millijoules == pytest.approx({"encoder": 1.5, "decoder": 2.5}, rel=0.03)
    assert made.unknown == ("warp", "rasterizer", "compositor")
    assert (made.gaze, made.tolerated) == ({}, None)
    assert (made.fit, made.sustained) == (2, 2)


def test_what_binds_is_what_the_simulation_runs_at(still: Plan) -> None:
    made = answer(replace(still, decoder=Work("decoder", 25.0)), seconds=2, calls=2)
    assert (made.binds.name, made.binds.hertz) == ("decoder", 40.0)
    assert made.faces_hertz == pytest.approx(40, rel=0.02)
    assert made.utilization["decoder"]["decoder"] == pytest.approx(1, rel=0.01)
    assert (made.fit, made.sustained) == (0, 0)


@pytest.mark.parametrize(("tolerated", "fine"), [(50.0, True), (10.0, False)])
def test_old_gaze_is_told(still: Plan, tolerated: float, fine: bool) -> None:
    plan = replace(still, gaze="parallel", tolerated_ms=tolerated)
    assert answer(plan, seconds=0.5, calls=1).tolerated is fine


def test_text_names_what_is_assumed(still: Plan) -> None:
    fields = ("encoder", "decoder", "warp", "rasterizer", "compositor", "camera", "display")
    fields += ("network.delay", "network.playout", "gaze.tracker")
    sources = {field: Figure(1.0, "ms", f"for {field}", field == "warp") for field in fields}
    plan = replace(still, sources=sources, gaze="series")
    named = ("mine", "My headset", answer(plan, seconds=0.2, calls=1))
    text = answers_text(named)
    assert "assumed: for warp" in text and "assumed: for decoder" not in text
    assert "binds" in text and "gaze moves" in text and "7 others in 10 ms" in text
    assert "mine" in budgets_text([named])
    assert json.loads(json.dumps(answers_data(named)))["figures"]["warp"]["assumed"]


def test_the_command_prints_one_json_document() -> None:
    short = ["--seconds", "0.2", "--calls", "1", "--json"]
    result = CliRunner().invoke(app, ["budget", "esca-w4", "--gaze", "series", *short])
    assert result.exit_code == 0, result.output
    data = json.loads(result.stdout)
    assert (data["name"], data["gaze"], data["fit"]) == ("esca-w4", "series", 2)
    assert data["figures"]["decoder"]["value"] == 3.13
    assert set(data["face_ms"]) == {"p50", "p95", "p99"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("esca-w4", "--gaze", "both"), "--gaze: 'both', expected none, series, parallel"),
        (("esca-w4", "--period", "0"), "--period: 0, expected above 0"),
        (("quest",), "preset: 'quest' is none of"),
    ],
)
def test_wrong_options_are_told(arguments: tuple[str, ...], message: str) -> None:
    result = CliRunner().invoke(app, ["budget", *arguments])
    assert isinstance(result.exception, EscaError)
    assert message in str(result.exception)
