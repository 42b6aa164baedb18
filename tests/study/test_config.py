from pathlib import Path

import pytest

from esca.errors import EscaError
from esca.study.config import StudyConfig, Subject, load_study

TEXT = """
title: Two heads
subjects:
  - {name: a, capture: caps/a, avatar: a.pth}
  - {name: b, capture: /abs/b, avatar: b.pth, regions: masks}
recipes: [rtn, mine.yaml]
bits: [w4a4, w8a8]
seeds: [0, 1, 2]
sweeps: [k, rivals]
calibration: {frames: 16}
protocol: {scale: 0.25, crop: face}
"""


def test_a_study_file(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text(TEXT)
    study = load_study(path)
    assert study.subjects[0] == Subject("a", tmp_path / "caps/a", tmp_path / "a.pth")
    assert study.subjects[1].capture == Path("/abs/b")
    assert study.subjects[1].regions == tmp_path / "masks"
    assert study.recipes == ("rtn", str(tmp_path / "mine.yaml"))
    assert (study.calibration.frames, study.protocol.crop) == (16, "face")
    assert (study.seeds, study.sweeps) == ((0, 1, 2), ("k", "rivals"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "expected a mapping"),
        ("a: [", "not valid YAML"),
        ("subjects: []", "subjects"),
        (TEXT.replace("[k, rivals]", "[q]"), "sweeps"),
        (TEXT.replace("seeds: [0, 1, 2]", "seeds: [1, 1]"), "'1' is there twice"),
        (TEXT.replace("name: b", "name: a"), "'a' is there twice"),
        (TEXT + "extra: 1", "extra"),
        (TEXT.replace("scale: 0.25", "scale: 2"), "protocol scale"),
        (TEXT.replace("frames: 16", "frames: 0"), "calibration"),
    ],
)
def test_bad_files_are_told_in_one_line(tmp_path, text, message):
    path = tmp_path / "study.yaml"
    path.write_text(text)
    with pytest.raises(EscaError, match=message):
        load_study(path)


def test_missing_file(tmp_path):
    with pytest.raises(EscaError, match="no such study file"):
        load_study(tmp_path / "none.yaml")


def test_defaults_are_all_sweeps():
    study = StudyConfig(subjects=(Subject("a", Path("a"), Path("b")),))
    assert len(study.sweeps) == 6
