"""``compile``, ``simulate`` and ``explore`` through the command line, on a tiny avatar."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from esca.avatars import load_avatar
from esca.captures import open_capture
from esca.quantization import CalibrationConfig, calibrate, load_recipe
from esca.runtime import quantized_artifact, save_artifact

Run = Callable[..., int]
FIGURES = {"cycles", "latency_ms", "useful_utilization", "occupied_utilization", "dram_bytes",
           "energy_uj"}  # fmt: skip
SWEEP = """
name: tiny
base: edge-8x8
workload: {avatar: base, texture: 256, part: texture, bits: w4a4}
axes:
  mappings:
    - {mappings: [compressed], array.mux_width: 1}
    - {mappings: [compressed, phases]}
  buffers:
    - {buffers.weight_bytes: 65536}
    - {buffers.weight_bytes: 2048}
"""


@pytest.fixture(scope="module")
def artifact(line: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("accelerator") / "tiny.esca"
    recipe = load_recipe("rtn", "w4a4")
    calibration = calibrate(
        load_avatar(line.avatar), open_capture(line.capture), CalibrationConfig(frames=1), None,
        [recipe],
    )  # fmt: skip
    save_artifact(quantized_artifact(calibration, recipe, line.avatar, "tiny"), path)
    return path


def told(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(capsys.readouterr().out)
    return data


def test_frames_of_a_capture_are_executed_bit_for_bit(
    run: Run, line: Any, artifact: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["simulate", str(artifact), "--execute", "--frames", "2"]
    frames = ["--capture", str(line.capture), "--checkpoint", str(line.avatar)]
    assert run(*asked, *frames, "--json") == 0
    data = told(capsys)
    assert data.keys() >= FIGURES and all(layer.keys() >= FIGURES for layer in data["layers"])
    outputs = 3 * 256 * 256 + 3 * open_capture(line.capture).vertex_count
    assert (data["bit_identity"]["frames"], data["bit_identity"]["values"]) == (2, 2 * outputs)
    assert data["bit_identity"]["codes"] == f"held-out frames of {line.capture.name}"
    assert run(*asked, "--random-codes", "--seed", "3") == 0
    said = capsys.readouterr().out.splitlines()
    assert any(
        row.startswith("bit-identical to the integer runtime: 2 frames (random codes, seed 3)")
        for row in said
    )


def test_a_program_costs_what_its_artifact_costs(
    run: Run, artifact: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program, text = tmp_path / "tiny.program", tmp_path / "tiny.txt"
    assert run("compile", str(artifact), "--out", str(program), "--preset", "edge-8x8", "--text",
               str(text), "--json") == 0  # fmt: skip
    data = told(capsys)
    lines = text.read_text().splitlines()
    assert data["config"] == "edge-8x8" and data["config_sha256"] in lines[0]
    assert sum(not row.startswith("#") for row in lines) == data["instructions"]
    assert 0 < data["image_bytes"] < program.stat().st_size
    assert run("simulate", str(program), "--json") == 0
    compiled = told(capsys)
    trace = tmp_path / "trace.json"
    assert (
        run("simulate", str(artifact), "--preset", "edge-8x8", "--trace", str(trace), "--json") == 0
    )
    direct = told(capsys)
    assert compiled["config_sha256"] == data["config_sha256"]
    assert {key: compiled[key] for key in FIGURES} == {key: direct[key] for key in FIGURES}
    spans = [event for event in json.loads(trace.read_text())["traceEvents"] if event["ph"] == "X"]
    ends = max(span["ts"] + span["dur"] for span in spans)
    assert 0.9 * direct["latency_ms"] < ends / 1e3 <= direct["latency_ms"]


def test_a_sweep_leaves_rows_front_and_page(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep, out = tmp_path / "tiny.yaml", tmp_path / "out"
    sweep.write_text(SWEEP)
    assert run("explore", str(sweep), "--out", str(out), "--workers", "1", "--json") == 0
    data = told(capsys)
    assert (data["designs"], data["failed"]) == (4, 2)
    assert json.loads((out / "front.json").read_text()) == data
    assert len((out / "rows.jsonl").read_text().splitlines()) == 4
    assert "<svg" in (out / "pareto.html").read_text()
    assert run("explore", str(sweep), "--out", str(out), "--workers", "1") == 0
    assert "4 designs, 2 do not run" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--execute",), "--execute takes its frames from --capture and --checkpoint"),
        (("--execute", "--random-codes", "--capture", "."), "--execute takes its frames"),
        (("--execute", "--random-codes", "--frames", "0"), "frames is 0, expected 1 or more"),
        (("--execute", "--random-codes", "--part", "texture"), "and its whole decoder"),
        (("--bits", "w8a8"), "--bits goes with --avatar"),
        (("--part", "encoder"), "part: 'encoder', expected texture or decoder"),
        (("--preset", "nope"), "preset: 'nope'"),
        (("--avatar", "warp"), "expected either an artifact or --avatar"),
    ],
)
def test_what_does_not_fit_together_is_one_line(
    run: Run,
    artifact: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    message: str,
) -> None:
    assert run("simulate", str(artifact), *arguments) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and message in lines[0], lines


def test_programs_and_artifacts_are_told_apart(
    run: Run, artifact: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program = tmp_path / "tiny.program"
    assert run("compile", str(artifact), "--out", str(program), "--part", "texture") == 0
    capsys.readouterr()
    for arguments, message in (
        (("simulate", str(program), "--preset", "edge-8x8"), "compiled for esca-16x16"),
        (("simulate", str(program), "--execute", "--random-codes"), "takes an artifact"),
        (("compile", str(program), "--out", str(tmp_path / "b")), "esca-artifact"),
        (("compile", str(artifact), "--out", str(tmp_path / "b"), "--part", "x"), "part: 'x'"),
    ):
        assert run(*arguments) == 2
        lines = capsys.readouterr().err.strip().splitlines()
        assert len(lines) == 1 and message in lines[0], lines
    assert not (tmp_path / "b").exists()
