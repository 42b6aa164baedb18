import dataclasses
import os

import numpy as np
import pytest

from esca.captures import AVERAGE, FrameId, SampleId, open_capture
from esca.captures.geometry import PHOTO_SIZE
from esca.captures.krt import write_krt
from esca.captures.layout import Layout
from esca.captures.plain import read_png, write_float32, write_png
from esca.errors import EscaError

SIZE, PHOTO = 16, (24, 20)
IDS = ("400029", "400012", "400017")
NEUTRAL, ROM = "E001_Neutral_Eyes_Open", "EXP_ROM07_Facial_Expressions"
FRAMES = (
    *(FrameId(NEUTRAL, number) for number in ("000102", "000105", "000114")),
    *(FrameId(ROM, number) for number in ("000201", "000204")),
)
FRAME = FRAMES[0]


def test_everything_comes_back(recorded):
    capture = open_capture(str(recorded.root))
    assert capture.root == recorded.root
    assert (capture.subject, capture.rig) == ("000000007", "v1")
    assert (capture.texture_size, capture.vertex_count) == (SIZE, 9)
    assert capture.frames == FRAMES
    for field in dataclasses.fields(recorded.topology):
        np.testing.assert_array_equal(
            getattr(capture.topology, field.name), getattr(recorded.topology, field.name)
        )
    for one, two in zip(capture.cameras, recorded.cameras, strict=True):
        assert (one.id, one.size) == (two.id, two.size)
        np.testing.assert_array_equal(one.intrinsics, two.intrinsics)
        np.testing.assert_array_equal(one.extrinsics, two.extrinsics)
    for frame in FRAMES:
        np.testing.assert_array_equal(capture.vertices(frame), recorded.vertices[frame])
        np.testing.assert_array_equal(capture.transform(frame), recorded.transforms[frame])
    for (frame, camera), texture in recorded.textures.items():
        np.testing.assert_array_equal(capture.texture(frame, camera), texture)
    for (frame, camera), photo in recorded.photos.items():
        np.testing.assert_array_equal(capture.photo(frame, camera), photo)
        assert capture.has_photo(frame, camera)
    assert capture.regions().keys() == recorded.regions.keys()
    for name, mask in capture.regions().items():
        np.testing.assert_array_equal(mask, recorded.regions[name])
    np.testing.assert_allclose(
        capture.loss_weight(), recorded.loss_weight / recorded.loss_weight.max(), atol=0.5 / 255
    )
    assert capture.loss_weight().max() == 1


def test_means_and_deviations_against_numpy(recorded):
    capture = open_capture(recorded.root)
    vertices = np.stack([recorded.vertices[f].ravel() for f in FRAMES]).astype(np.float64)
    np.testing.assert_allclose(capture.vertex_mean, vertices.mean(0), rtol=1e-6)
    assert capture.vertex_std == pytest.approx(np.sqrt(vertices.var(0).mean()))
    textures = np.stack([recorded.textures[f, AVERAGE] for f in FRAMES]).astype(np.float64)
    seen = textures > 0
    count = np.maximum(seen.sum(0), 1)
    mean = textures.sum(0) / count
    np.testing.assert_array_equal(capture.texture_mean, np.rint(mean))
    assert capture.texture_mean.dtype == np.float32
    variance = (((textures - mean) ** 2) * seen).sum() / seen.sum()
    assert capture.texture_std == pytest.approx(np.sqrt(variance))


def test_textures_lie_flipped_and_photos_do_not(recorded):
    capture, layout = open_capture(recorded.root), Layout(recorded.root)
    in_file = read_png(layout.texture(FRAME, "400012"))
    np.testing.assert_array_equal(capture.texture(FRAME, "400012"), in_file[::-1])
    np.testing.assert_array_equal(capture.texture_mean, read_png(layout.texture_mean)[::-1])
    in_file = read_png(layout.photo(FRAME, "400012"))
    np.testing.assert_array_equal(capture.photo(FRAME, "400012"), in_file)


def test_samples_and_their_order(recorded):
    capture = open_capture(recorded.root)
    assert capture.samples() == tuple(SampleId(*f, c) for f in FRAMES for c in IDS)
    some = capture.samples(cameras=["400017", "400029"], segments=["EXP_ROM"])
    assert some == tuple(SampleId(*f, c) for f in FRAMES[3:] for c in ("400029", "400017"))
    rest = capture.samples(exclude=capture.held_out_prefixes)
    assert {sample.frame_id for sample in rest} == set(FRAMES[:3])
    assert capture.samples(segments=["none"]) == ()
    with pytest.raises(EscaError, match="holds no camera '400002'"):
        capture.samples(cameras=["400002"])


def test_dropped_frames_are_no_samples(damaged):
    layout = Layout(damaged)
    layout.texture(FRAMES[0], AVERAGE).unlink()
    layout.texture(FRAMES[1], "400012").unlink()
    with layout.frame_list.open("a") as stream:
        stream.write("E001_Neutral_Eyes_Open 000099\nSEN_never_recorded 000500\n")
    capture = open_capture(damaged)
    assert len(capture.frames) == len(FRAMES) + 2
    samples = capture.samples()
    assert len(samples) == len(FRAMES) * len(IDS) - len(IDS) - 1
    assert SampleId(*FRAMES[1], "400012") not in samples
    assert FRAMES[0] not in {sample.frame_id for sample in samples}


def test_an_unsorted_frame_list(damaged):
    layout = Layout(damaged)
    lines = layout.frame_list.read_text().splitlines()
    layout.frame_list.write_text("\n".join(reversed(lines)))
    assert open_capture(damaged).frames == FRAMES


def test_opening_and_listing_read_no_frame(damaged):
    layout = Layout(damaged)
    for folder in (layout.textures, layout.photos):
        for path in folder.rglob("*.png"):
            path.write_bytes(b"broken")
    for path in layout.meshes.rglob("*.bin"):
        path.write_bytes(b"broken")
    capture = open_capture(damaged)
    assert len(capture.samples()) == len(FRAMES) * len(IDS)
    with pytest.raises(EscaError, match=r"000102.bin: holds 6 bytes, expected 108"):
        capture.vertices(FRAME)
    with pytest.raises(EscaError, match=r"000102.png: not a readable PNG"):
        capture.texture(FRAME)


def test_the_topology_comes_from_any_obj_at_hand(damaged):
    layout = Layout(damaged)
    for frame in FRAMES[:4]:
        layout.obj(frame).unlink()
    assert len(open_capture(damaged).topology.faces) == 8
    layout.obj(FRAMES[4]).unlink()
    with pytest.raises(EscaError, match=r"tracked_mesh: no SEGMENT/FRAME.obj"):
        open_capture(damaged)


def test_a_missing_photo_is_an_error_only_when_asked_for(damaged):
    layout = Layout(damaged)
    for path in layout.photos.rglob("*.png"):
        path.unlink()
    capture = open_capture(damaged)
    assert len(capture.samples()) == len(FRAMES) * len(IDS)
    assert not capture.has_photo(FRAME, "400029")
    assert capture.camera("400029").size == PHOTO_SIZE
    with pytest.raises(EscaError, match=r"000102.png: missing"):
        capture.photo(FRAME, "400029")


def test_images_of_another_size(damaged):
    layout = Layout(damaged)
    write_png(layout.texture(FRAME, "400029"), np.zeros((8, 8, 3), dtype=np.uint8))
    write_png(layout.photo(FRAMES[1], "400029"), np.zeros((8, 8, 3), dtype=np.uint8))
    write_png(layout.region("eyes"), np.zeros((32, 32), dtype=np.uint8))
    write_png(layout.loss_weight, np.zeros((SIZE, SIZE), dtype=np.uint8))
    capture = open_capture(damaged)
    with pytest.raises(EscaError, match=r"000102.png: 8 x 8 texels, expected 16 x 16"):
        capture.texture(FRAME, "400029")
    with pytest.raises(EscaError, match=rf"expected {PHOTO[0]} x {PHOTO[1]}"):
        capture.photo(FRAMES[1], "400029")
    with pytest.raises(EscaError, match=r"eyes.png: 32 x 32 texels, expected 16 x 16"):
        capture.regions()
    with pytest.raises(EscaError, match=r"loss_weight_mask.png: is black everywhere"):
        capture.loss_weight()


def test_masks_from_elsewhere(damaged, tmp_path):
    layout = Layout(damaged)
    moved = layout.regions.rename(tmp_path / "masks")
    weight = layout.loss_weight.rename(tmp_path / "weight.png")
    capture = open_capture(damaged)
    with pytest.raises(EscaError, match="regions: no facial regions"):
        capture.regions()
    with pytest.raises(EscaError, match=r"loss_weight_mask.png: missing"):
        capture.loss_weight()
    assert capture.regions(moved).keys() == {"eyes", "mouth"}
    assert capture.loss_weight(weight).shape == (SIZE, SIZE)


@pytest.mark.parametrize(
    "name",
    ["KRT", "frame_list.txt", "tex_mean.png", "tex_var.txt", "vert_mean.bin", "vert_var.txt"],
)
@pytest.mark.parametrize("damage", ["remove", "empty", "garbage"])
def test_a_broken_head_file_is_named(damaged, name, damage):
    path = damaged / name
    path.unlink()
    if damage != "remove":
        path.write_bytes(b"" if damage == "empty" else os.urandom(1) + b"\xff\x00{[,")
    with pytest.raises(EscaError, match=name):
        open_capture(damaged)


def test_no_folder_and_meshes_of_another_head(damaged):
    with pytest.raises(EscaError, match="no such folder"):
        open_capture(damaged / "none")
    layout = Layout(damaged)
    write_float32(layout.vertex_mean, np.zeros(30))
    with pytest.raises(EscaError, match=r"has 9 vertices, expected 10 as in vert_mean.bin"):
        open_capture(damaged)
    write_float32(layout.vertex_mean, np.zeros(28))
    with pytest.raises(EscaError, match="holds 28 values, expected 3 a vertex"):
        open_capture(damaged)


def test_nan_and_a_missing_pose(damaged):
    layout = Layout(damaged)
    write_float32(layout.vertices(FRAME), np.full(27, np.nan))
    layout.transform(FRAME).unlink()
    layout.transform(FRAMES[1]).write_text("1 0 0\n")
    capture = open_capture(damaged)
    with pytest.raises(EscaError, match="NaN"):
        capture.vertices(FRAME)
    with pytest.raises(EscaError, match=r"000102_transform.txt: missing"):
        capture.transform(FRAME)
    with pytest.raises(EscaError, match="holds 3 numbers, expected 12"):
        capture.transform(FRAMES[1])
    with pytest.raises(EscaError, match="missing"):
        capture.vertices(FrameId("E001_Neutral_Eyes_Open", "999999"))


def test_a_second_generation_rig(tmp_path, new_capture):
    root = tmp_path / "m--20190828--1318--002645310--GHS"
    capture = open_capture(new_capture(root, ids=("400262", "400503")).root)
    assert capture.rig == "v2"
    assert capture.held_out_prefixes == ("EXP_free_face",)
    write_krt(Layout(root).krt, capture.cameras[:1])
    assert len(open_capture(root).samples()) == len(FRAMES)
