"""The flow capture -> train -> quantize -> evaluate -> report through the command line."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from esca.runtime import IntegerDecoder, load_artifact

pytest.importorskip("pyfvvdp")

Run = Callable[..., int]


def test_flow_from_capture_to_report(
    run: Run, line: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    artifacts = []
    for recipe, bits in (("rtn", "w4a4"), ("ffas-uv", "w8a8")):
        path = tmp_path / f"{recipe}.esca"
        code = run("quantize", str(line.capture), str(line.avatar), str(path), "--recipe", recipe,
                   "--bits", bits, "--frames", "6", "--json")  # fmt: skip
        assert code == 0
        told = json.loads(capsys.readouterr().out)
        assert told["recipe"] == recipe and told["bits"] == bits
        assert told["calibration_frames"] == 6
        assert told["file_bytes"] == path.stat().st_size > sum(told["bytes"].values())
        artifacts.append(str(path))
    page, results = tmp_path / "report.html", tmp_path / "results.json"
    code = run("report", str(line.capture), str(line.avatar), *artifacts, "--out", str(page),
               "--results", str(results), "--scale", "0.1", "--frames", "2")  # fmt: skip
    assert code == 0
    rows = json.loads(results.read_text())["rows"]
    assert {(row["method"], row["bits"]) for row in rows} == {
        ("fp32", "fp32"), ("rtn", "w4a4"), ("ffas-uv", "w8a8")
    }  # fmt: skip
    assert {row["view"] for row in rows} == {"front", "left", "right", "mean"}
    by = {(row["method"], row["view"]): row for row in rows}
    assert by["ffas-uv", "mean"]["psnr_fp32"] > by["rtn", "mean"]["psnr_fp32"] + 2
    assert by["ffas-uv", "mean"]["bytes"] < by["fp32", "mean"]["bytes"] / 3
    assert "ffas-uv" in page.read_text()
    capsys.readouterr()
    code = run("gallery", str(line.capture), str(line.avatar), *artifacts, "--out",
               str(tmp_path / "gallery"), "--scale", "0.1", "--frames", "3", "--json")  # fmt: skip
    assert code == 0
    made = json.loads(capsys.readouterr().out)
    with Image.open(made["talking"]) as moving, Image.open(made["methods"]) as still:
        # fp32 and two artifacts move; the still picture has the reference beside them.
        assert still.width > moving.width and still.height > 6 * moving.height * 0.8
    code = run("evaluate", str(line.capture), str(line.avatar), artifacts[1], "--scale", "0.1",
               "--frames", "2", "--json")  # fmt: skip
    assert code == 0
    again = json.loads(capsys.readouterr().out)["rows"]
    front = next(r for r in again if (r["method"], r["view"]) == ("ffas-uv", "front"))
    assert np.isclose(front["vdp"], by["ffas-uv", "front"]["vdp"], atol=1e-3)


def test_train_show_convert(
    run: Run, line: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    arguments = ["train", str(line.capture), str(folder), "--latent", "8", "--batch", "2"]
    assert run(*arguments, "--steps", "2", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["steps"] == 2 and told["texture"] == 256 and told["losses"]["screen"] is None
    half = tmp_path / "half.safetensors"
    assert run("avatar", "convert", told["path"], str(half), "--half", "--json") == 0
    assert json.loads(capsys.readouterr().out)["bytes"] < 0.6 * Path(told["path"]).stat().st_size
    assert run("avatar", "show", str(half), "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["variant"], facts["latent"], facts["texture"]) == ("base", 8, 256)


def test_check_tells_what_is_there_and_what_is_broken(
    run: Run, line: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("capture", "check", str(line.capture), "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["ok"] and told["frames"] == 14 and len(told["cameras"]) == 3
    broken = tmp_path / line.capture.name
    shutil.copytree(line.capture, broken)
    victim = next(broken.glob("tracked_mesh/*/*.bin"))
    victim.write_bytes(victim.read_bytes()[:-4])
    assert run("capture", "check", str(broken)) == 1
    assert victim.name in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--recipe", "magic"), "magic"),
        (("--bits", "w9a4"), "w9a4"),
        (("--frames", "0"), "frames is 0"),
        (("--regions", "/nowhere"), "/nowhere"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(
    run: Run,
    line: Any,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    told: str,
) -> None:
    out = tmp_path / "out" / "a.esca"
    assert run("quantize", str(line.capture), str(line.avatar), str(out), *arguments) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and told in lines[0]
    assert not out.parent.exists() or not list(out.parent.iterdir())


def test_wrong_files_are_named(
    run: Run, line: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing, out = tmp_path / "missing.pth", str(tmp_path / "a.esca")
    assert run("quantize", str(line.capture), str(missing), out) == 2
    assert str(missing) in capsys.readouterr().err
    assert run("quantize", str(tmp_path), str(line.avatar), out) == 2
    assert str(tmp_path) in capsys.readouterr().err
    damaged = tmp_path / "damaged.esca"
    damaged.write_bytes(b"nothing of use")
    assert run("evaluate", str(line.capture), str(line.avatar), str(damaged)) == 2
    assert str(damaged) in capsys.readouterr().err


def test_artifact_runs_without_the_avatar(run: Run, line: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.esca"
    assert run("quantize", str(line.capture), str(line.avatar), str(path), "--frames", "4") == 0
    decoder = IntegerDecoder(load_artifact(path).quantized)
    texture, mesh = decoder.decode(torch.zeros(1, 16), torch.tensor([[0.0, 0.0, 1.0]]))
    assert texture.shape == (1, 3, 256, 256) and bool(torch.isfinite(mesh).all())
