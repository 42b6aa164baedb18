"""The examples run as they stand."""

import runpy
import sys
from pathlib import Path

import pytest

from esca.avatars import AvatarConfig, build_avatar, save_avatar
from esca.captures import open_capture
from esca.runtime import load_artifact
from esca.subjects.procedural import procedural_subject
from esca.subjects.rig import studio_rig
from esca.subjects.segments import default_segments
from esca.subjects.studio import RecordConfig, record

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_own_decoder(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(EXAMPLES / "own_decoder.py"), run_name="__main__")
    lines = capsys.readouterr().out.splitlines()
    decibels = {line.split(":")[0]: float(line.split()[1]) for line in lines}
    # Six decibels a bit: four more bits must show.
    assert decibels["w8a8"] > decibels["w4a4"] + 12 > 24


def test_quantize_avatar(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("pyfvvdp")
    root = tmp_path / "m--20260101--0000--tiny--GHS"
    config = RecordConfig(
        texture_size=256, cameras=studio_rig(3), segments=default_segments(10), workers=1
    )
    record(procedural_subject(0, 1900), root, config)
    capture = open_capture(root)
    avatar = build_avatar(AvatarConfig("non", 256, 8, capture.vertex_count, 3), seed=0)
    save_avatar(avatar, tmp_path / "avatar.pth")
    out = tmp_path / "out.esca"
    arguments = [str(root), str(tmp_path / "avatar.pth"), str(out)]
    monkeypatch.setattr(sys, "argv", ["quantize_avatar.py", *arguments])
    runpy.run_path(str(EXAMPLES / "quantize_avatar.py"), run_name="__main__")
    assert "ffas-uv" in capsys.readouterr().out
    assert load_artifact(out).quantized.recipe.label == "w4a4"
