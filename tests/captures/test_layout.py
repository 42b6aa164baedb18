from datetime import datetime
from pathlib import Path

import pytest

from esca.captures.layout import AVERAGE, FrameId, Layout, SampleId, capture_name, stems
from esca.captures.rig import held_out_prefixes, rig_of

ROOT = Path("/data/m--20180227--0000--6795937--GHS")
FRAME = FrameId("E001_Neutral_Eyes_Open", "000102")


def test_names_of_the_format():
    layout = Layout(ROOT)
    below = {
        layout.photo(FRAME, "400002"): "images/E001_Neutral_Eyes_Open/400002/000102.png",
        layout.texture(FRAME, AVERAGE): (
            "unwrapped_uv_1024/E001_Neutral_Eyes_Open/average/000102.png"
        ),
        layout.vertices(FRAME): "tracked_mesh/E001_Neutral_Eyes_Open/000102.bin",
        layout.obj(FRAME): "tracked_mesh/E001_Neutral_Eyes_Open/000102.obj",
        layout.transform(FRAME): "tracked_mesh/E001_Neutral_Eyes_Open/000102_transform.txt",
    }
    for path, expected in below.items():
        assert path.relative_to(ROOT).as_posix() == expected
    assert layout.vertices(SampleId(*FRAME, "400002")) == layout.vertices(FRAME)
    assert SampleId(*FRAME, "400002").frame_id == FRAME


def test_subject_and_folder_name():
    assert Layout(ROOT).subject == "6795937"
    assert Layout(Path("/data/some_head")).subject == "some_head"
    name = capture_name("000000007", datetime(2025, 1, 2, 3, 4))
    assert name == "m--20250102--0304--000000007--GHS"
    assert Layout(Path(name)).subject == "000000007"


def test_stems_of_a_missing_folder_are_none(tmp_path):
    (tmp_path / "a.png").touch()
    (tmp_path / "b.bin").touch()
    assert stems(tmp_path, ".png") == {"a"}
    assert stems(tmp_path / "none", ".png") == set()
    assert stems(tmp_path / "a.png", ".png") == set()


@pytest.mark.parametrize(
    ("ids", "rig"),
    [
        (["400002", "400070", "400029"], "v1"),
        (["400262", "400503"], "v2"),
        (["400029", "400262"], "other"),
        (["400071"], "other"),
        (["400261"], "other"),
        (["left", "400029"], "other"),
        ([], "other"),
    ],
)
def test_rigs(ids, rig):
    assert rig_of(ids) == rig


def test_held_out_segments_of_each_rig():
    assert held_out_prefixes("v1") == ("EXP_ROM",)
    assert held_out_prefixes("v2") == ("EXP_free_face",)
    assert set(held_out_prefixes("other")) == {"EXP_ROM", "EXP_free_face"}
