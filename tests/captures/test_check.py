import json

import numpy as np
import pytest

from esca.captures import AVERAGE, FrameId, check_capture
from esca.captures.check_segment import dropped
from esca.captures.layout import Layout
from esca.captures.plain import write_float32, write_png
from esca.errors import EscaError


def told(report, path, severity="error"):
    """Messages about one path."""
    return [p.message for p in report.problems if (p.path, p.severity) == (path, severity)]


def test_a_good_capture(recorded):
    calls = []
    report = check_capture(
        str(recorded.root), deep=True, progress=lambda done, total: calls.append((done, total))
    )
    assert report.problems == ()
    assert calls == [(1, 2), (2, 2)]
    assert (report.subject, report.rig, report.cameras) == ("000000007", "v1", recorded.ids)
    assert report.segments == {"E001_Neutral_Eyes_Open": 3, "EXP_ROM07_Facial_Expressions": 2}
    assert (report.frames, report.samples, report.photos) == (5, 15, 15)
    assert (report.texture_size, report.vertices, report.triangles) == (16, 9, 8)
    assert (report.regions, report.loss_weight, report.audio) == (("eyes", "mouth"), True, 0)
    assert (report.dropped_frames, report.frames_without_samples) == (2, 0)
    again = json.loads(json.dumps(report.as_dict()))
    assert again["ok"] is True
    assert again["problems"] == []


def test_every_problem_is_told_at_once(damaged, recorded):
    layout = Layout(damaged)
    first, second, third, fourth, fifth = recorded.frames
    neutral, rom = first.segment, fourth.segment
    layout.vertices(first).write_bytes(layout.vertices(first).read_bytes()[:-3])
    write_float32(layout.vertices(second), np.full(27, np.inf))
    layout.vertices(third).unlink()
    layout.transform(fourth).unlink()
    layout.transform(fifth).write_text("1 2 three\n")
    write_png(layout.texture(first, AVERAGE), np.zeros((8, 8, 3), dtype=np.uint8))
    content = layout.texture(fourth, recorded.ids[0]).read_bytes()
    layout.texture(fourth, recorded.ids[0]).write_bytes(content[:-40])
    layout.photo(first, recorded.ids[0]).write_bytes(b"")
    layout.photo(second, recorded.ids[1]).unlink()
    layout.texture_variance.write_text("-1\n")
    layout.krt.write_text(layout.krt.read_text().replace("0.0 0.0 1.0", "0 0 2", 1))
    write_png(layout.region("eyes"), np.zeros((4, 4), dtype=np.uint8))
    report = check_capture(damaged, deep=True)
    mesh, texture = f"tracked_mesh/{neutral}", f"unwrapped_uv_1024/{neutral}"
    assert told(report, f"{mesh}/000102.bin") == [
        "holds 105 bytes, expected 108 (27 float32 values)"
    ]
    assert "NaN or infinity" in told(report, f"{mesh}/000105.bin")[0]
    assert told(report, f"{mesh}/000114.bin") == ["missing, but the frame has textures"]
    assert told(report, f"tracked_mesh/{rom}/000201_transform.txt") == ["missing"]
    assert "expected 12" in told(report, f"tracked_mesh/{rom}/000204_transform.txt")[0]
    assert told(report, f"{texture}/average/000102.png") == ["8 x 8 texels, expected 16 x 16"]
    assert "variance is -1" in told(report, "tex_var.txt")[0]
    assert "camera 400029" in told(report, "KRT")[0]
    assert told(report, "regions/eyes.png") == ["4 x 4 texels, expected 16 x 16"]
    assert "1 of 3 textures have no photo: 000105" in told(
        report, f"images/{neutral}/400012", "warning"
    )
    assert report.cameras == recorded.ids[1:]
    assert told(report, texture, "warning") == ["1 entries that are no camera of the KRT: 400029"]
    assert len(report.errors) == 9
    assert report.as_dict()["ok"] is False


def test_only_deep_decodes_every_image(damaged, recorded):
    layout = Layout(damaged)
    path = layout.texture(recorded.frames[0], recorded.ids[2])
    path.write_bytes(path.read_bytes()[:-40])
    photo = layout.photo(recorded.frames[0], recorded.ids[2])
    write_png(photo, np.zeros((3, 5, 3), dtype=np.uint8))
    assert check_capture(damaged).problems == ()
    deep = check_capture(damaged, deep=True)
    assert "not a readable PNG" in told(deep, str(path.relative_to(damaged)))[0]
    assert "3 x 5 pixels" in told(deep, str(photo.relative_to(damaged)))[0]


def test_dropped_frames_and_strays_are_counted(damaged, recorded):
    layout = Layout(damaged)
    neutral = recorded.frames[0].segment
    with layout.frame_list.open("a") as stream:
        stream.write(f"{neutral} 000117\n{neutral} 000120\n{neutral} 000120\nSEN_none 000001\n")
    layout.frame_list.write_text(layout.frame_list.read_text().replace(f"{neutral} 000114\n", ""))
    layout.texture(recorded.frames[1], "400017").unlink()
    layout.texture(recorded.frames[0], AVERAGE).unlink()
    layout.obj(recorded.frames[0]).unlink()
    (layout.meshes / "EXP_unknown").mkdir()
    (damaged / "notes.docx").touch()
    report = check_capture(damaged)
    assert not report.errors
    assert (report.frames, report.samples) == (7, 3 * 2 + 2)
    assert (report.frames_without_samples, report.dropped_samples) == (4, 1)
    assert report.dropped_frames == 3
    assert told(report, "frame_list.txt", "warning") == ["1 repeated lines"]
    assert told(report, f"tracked_mesh/{neutral}", "warning") == [
        "2 of 4 listed frames have no data: 000117, 000120",
        "1 frames have no obj, which the dataset's own reader may want: 000102",
        "1 meshes are not in the frame list: 000114",
    ]
    assert told(report, f"unwrapped_uv_1024/{neutral}/average", "warning") == [
        "1 of 4 frames have camera textures but no average: 000102"
    ]
    assert told(report, "tracked_mesh", "warning") == [
        "1 entries are no listed segment: EXP_unknown"
    ]
    assert told(report, ".", "warning") == ["1 entries do not belong to the format: notes.docx"]


def test_a_folder_that_holds_nothing(tmp_path):
    report = check_capture(tmp_path)
    assert {problem.path for problem in report.errors} == {
        *("KRT", "frame_list.txt", "tex_mean.png", "tex_var.txt", "vert_mean.bin", "vert_var.txt")
    }
    assert (report.rig, report.vertices, report.texture_size) == ("other", None, None)
    with pytest.raises(EscaError, match="no such folder"):
        check_capture(tmp_path / "none")


def test_heads_that_are_broken_do_not_hide_the_rest(damaged, recorded):
    layout = Layout(damaged)
    for path in (layout.krt, layout.texture_mean, layout.vertex_mean):
        path.write_bytes(b"\xff")
    layout.obj(recorded.frames[0]).write_text("f 1/1 2/2\n")
    with layout.frame_list.open("a") as stream:
        stream.writelines("one two three\n" for _ in range(15))
    report = check_capture(damaged)
    assert len(told(report, "frame_list.txt")) == 11
    assert told(report, "frame_list.txt")[-1] == "5 more lines like these"
    for name in ("KRT", "tex_mean.png", "vert_mean.bin"):
        assert len(told(report, name)) == 1
    assert len(told(report, f"tracked_mesh/{recorded.frames[0].segment}/000102.obj")) == 1
    assert report.frames == 5


def test_one_frame_and_meshes_without_textures(damaged, recorded):
    layout = Layout(damaged)
    layout.frame_list.write_text(layout.frame_list.read_text().splitlines()[0])
    for path in layout.textures.rglob("*.png"):
        path.unlink()
    report = check_capture(damaged)
    assert "one frame only" in told(report, "frame_list.txt", "warning")[0]
    assert told(report, "unwrapped_uv_1024") == [
        "no frame has both an average and a camera texture"
    ]


def test_skipped_numbers_are_counted_at_the_usual_step():
    for numbers, expected in (
        ([102, 105, 108], 0),
        ([102, 105, 114, 117], 2),
        ([1, 2, 3, 5], 1),
        ([7], 0),
    ):
        assert dropped([FrameId("EXP_a", f"{number:06d}") for number in numbers]) == expected
