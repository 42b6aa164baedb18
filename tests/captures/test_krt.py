import numpy as np
import pytest

from esca.captures.krt import parse_krt, read_krt, write_krt
from esca.errors import EscaError

IDS = ("400029", "400012", "400017")


@pytest.fixture
def text(tmp_path, new_camera):
    write_krt(tmp_path / "KRT", [new_camera(id, seed) for seed, id in enumerate(IDS)])
    return (tmp_path / "KRT").read_text()


def test_roundtrip_is_exact_and_keeps_the_order(tmp_path, new_camera):
    cameras = [new_camera(id, seed, (24, 20)) for seed, id in enumerate(IDS)]
    write_krt(tmp_path / "KRT", cameras)
    again = read_krt(tmp_path / "KRT", size=(24, 20))
    assert [camera.id for camera in again] == list(IDS)
    for one, two in zip(cameras, again, strict=True):
        np.testing.assert_array_equal(one.intrinsics, two.intrinsics)
        np.testing.assert_array_equal(one.extrinsics, two.extrinsics)
        np.testing.assert_array_equal(one.distortion, two.distortion)
        assert one.size == two.size


def test_nine_lines_a_camera_the_last_one_blank(text):
    lines = text.split("\n")
    assert len(lines) == 9 * len(IDS) + 1
    assert lines[-1] == ""
    for index, id in enumerate(IDS):
        block = lines[9 * index : 9 * index + 9]
        assert block[0] == id
        assert [len(line.split()) for line in block] == [1, 3, 3, 3, 5, 4, 4, 4, 0]


def test_missing_and_extra_blank_lines_at_the_end(text):
    assert len(parse_krt(text.rstrip())[0]) == len(IDS)
    assert len(parse_krt(text + "\n\n")[0]) == len(IDS)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("0.0 0.0 1.0\n", "0.0 0.0 2.0\n", "camera 400029: .*third row of K"),
        ("0.0 0.0 0.0 0.0 0.0", "0 0 0 0", "camera 400029: its line 5 holds 4 values, expected 5"),
        ("0.0 0.0 0.0 0.0 0.0", "0 0 nan 0 0", "its line 5: a number is not finite"),
        ("0.0 0.0 0.0 0.0 0.0", "0 0 one 0 0", "its line 5"),
        ("\n400012\n", "\n400029\n", "line 10: camera 400029 stands there twice"),
        ("400029\n", "a camera\n", "expected a camera id"),
        ("0.0 0.0 1.0\n", "", "expected 9 lines, the last of them blank"),
    ],
)
def test_a_wrong_calibration_is_told(tmp_path, text, old, new, message):
    (tmp_path / "KRT").write_text(text.replace(old, new, 1))
    with pytest.raises(EscaError, match=message):
        read_krt(tmp_path / "KRT")


def test_a_matrix_that_is_no_rotation_is_told(tmp_path, new_camera):
    camera = new_camera("400029", 0)
    camera.extrinsics[:, :3] *= 1.1
    write_krt(tmp_path / "KRT", [camera])
    with pytest.raises(EscaError, match="R is not a rotation"):
        read_krt(tmp_path / "KRT")


def test_good_cameras_are_read_beside_bad_ones(text):
    cameras, problems = parse_krt(text.replace("0.0 0.0 1.0", "0.0 0.0 x", 2))
    assert [camera.id for camera in cameras] == [IDS[2]]
    assert len(problems) == 2


def test_an_empty_file_and_a_truncated_one(tmp_path, text):
    (tmp_path / "KRT").write_text("\n")
    with pytest.raises(EscaError, match="holds no cameras"):
        read_krt(tmp_path / "KRT")
    (tmp_path / "KRT").write_text(text[: len(text) // 2])
    with pytest.raises(EscaError, match="KRT: line 10: camera 400012"):
        read_krt(tmp_path / "KRT")
