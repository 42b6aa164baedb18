import pytest

from esca.captures.frames import by_segment, read_frame_list, write_frame_list
from esca.captures.layout import FrameId
from esca.errors import EscaError


def test_an_unsorted_list_is_ordered_by_segment_and_number(tmp_path):
    path = tmp_path / "frame_list.txt"
    path.write_text("SEN_b 000010\nEXP_a 100000\nSEN_b 000009\n\nEXP_a 99999\nSEN_b 000010\n")
    frames = read_frame_list(path)
    assert frames == (
        FrameId("EXP_a", "99999"),
        FrameId("EXP_a", "100000"),
        FrameId("SEN_b", "000009"),
        FrameId("SEN_b", "000010"),
    )
    assert list(by_segment(frames)) == ["EXP_a", "SEN_b"]
    write_frame_list(path, frames)
    assert path.read_text().splitlines()[2] == "SEN_b 000009"
    assert read_frame_list(path) == frames


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("EXP_a 000001\nEXP_a\n", "line 2"),
        ("EXP_a 000001 000002\n", "line 1"),
        ("EXP_a first\n", "expected 'SEGMENT 000102'"),
        ("\n", "holds no frames"),
    ],
)
def test_a_wrong_list_is_told(tmp_path, text, message):
    (tmp_path / "frame_list.txt").write_text(text)
    with pytest.raises(EscaError, match=message):
        read_frame_list(tmp_path / "frame_list.txt")
