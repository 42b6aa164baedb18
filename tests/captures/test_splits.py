import json

import pytest

from esca.captures import (
    CameraSplit,
    open_capture,
    read_camera_split,
    split_segments,
    write_camera_split,
)
from esca.errors import EscaError

IDS = ("400029", "400012", "400017")
GOOD = {"train": ["400029", "400012"], "test": ["400029", "400017"], "visual": ["400029"]}


def test_roundtrip_and_overlap_is_allowed(tmp_path):
    split = CameraSplit(("400029", "400012"), ("400029",), ())
    write_camera_split(tmp_path / "split.json", split)
    assert read_camera_split(tmp_path / "split.json", IDS) == split
    assert [path.name for path in tmp_path.iterdir()] == ["split.json"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train": ["400099"]}, "full.train names camera '400099', not in the rig"),
        ({"test": [400029]}, "full.test: expected a list of camera ids, as strings"),
        ({"visual": "400029"}, "full.visual: expected a list"),
        ({"visual": None}, "full.visual: expected a list"),
        ({"train": []}, "full.train is empty"),
        ({"test": ["400029", "400029"]}, "full.test names camera '400029' twice"),
    ],
)
def test_a_wrong_field_is_named(tmp_path, change, message):
    path = tmp_path / "split.json"
    path.write_text(json.dumps({"full": {**GOOD, **change}}))
    with pytest.raises(EscaError, match=message):
        read_camera_split(path, IDS)


@pytest.mark.parametrize("text", ["[]", "{}", '{"full": []}', '{"half": {}}'])
def test_another_structure_is_told(tmp_path, text):
    (tmp_path / "split.json").write_text(text)
    with pytest.raises(EscaError, match=r'expected \{"full"'):
        read_camera_split(tmp_path / "split.json")


def test_no_json_and_no_file(tmp_path):
    (tmp_path / "split.json").write_text("{full")
    with pytest.raises(EscaError, match="not JSON"):
        read_camera_split(tmp_path / "split.json")
    with pytest.raises(EscaError, match="missing"):
        read_camera_split(tmp_path / "none.json")


def test_held_out_segments(recorded):
    capture = open_capture(recorded.root)
    train, held_out = split_segments(capture)
    assert {frame.segment for frame in train} == {"E001_Neutral_Eyes_Open"}
    assert {frame.segment for frame in held_out} == {"EXP_ROM07_Facial_Expressions"}
    assert set(train) | set(held_out) == set(capture.frames)
