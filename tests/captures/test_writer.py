import pickle
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest
from PIL import Image

from esca.captures import AVERAGE, FrameId, check_capture, open_capture, write_capture
from esca.captures.layout import Layout
from esca.errors import EscaError

FRAME = FrameId("EXP_a", "000001")
TEXTURE = np.full((8, 8, 3), 100, dtype=np.uint8)


def write_one(writer, index):
    frame = FrameId(f"EXP_{index % 2}", f"{index:06d}")
    rng = np.random.default_rng(index)
    writer.write_frame(frame, rng.normal(size=(9, 3)) * 90, np.eye(3, 4))
    for camera in (AVERAGE, "400029"):
        writer.write_texture(frame, camera, rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))


@pytest.fixture
def cameras(new_camera):
    return (new_camera("400029", 0), new_camera("400012", 1))


def files(root):
    return {p.relative_to(root): p.read_bytes() for p in root.rglob("*") if p.is_file()}


@pytest.mark.parametrize("pool", ["threads", "processes"])
def test_frames_written_in_parallel_give_the_same_bytes(tmp_path, topology, cameras, pool):
    with write_capture(tmp_path / "one", topology, cameras, 8) as writer:
        for index in range(12):
            write_one(writer, index)
    with write_capture(tmp_path / "two", topology, cameras, 8) as writer:
        executor = (
            ThreadPoolExecutor(2)
            if pool == "threads"
            else ProcessPoolExecutor(2, mp_context=get_context("spawn"))
        )
        with executor:
            list(executor.map(write_one, [writer] * 12, range(12)))
    assert files(tmp_path / "one") == files(tmp_path / "two")


def test_the_writer_can_be_sent_to_workers(tmp_path, topology, cameras):
    with write_capture(tmp_path / "one", topology, cameras, 8) as writer:
        write_one(pickle.loads(pickle.dumps(writer)), 0)
    assert len(open_capture(tmp_path / "one").samples()) == 1


def test_nothing_is_left_after_a_failure(tmp_path, topology, cameras):
    with (
        pytest.raises(RuntimeError),
        write_capture(tmp_path / "one", topology, cameras, 8) as writer,
    ):
        write_one(writer, 0)
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(EscaError, match="not being written any more"):
        write_one(writer, 1)
    assert list(tmp_path.iterdir()) == []


def test_a_capture_without_frames_is_not_kept(tmp_path, topology, cameras):
    with (
        pytest.raises(EscaError, match="holds no frames"),
        write_capture(tmp_path / "one", topology, cameras, 8),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


def test_existing_folders_are_kept(tmp_path, topology, cameras):
    target = tmp_path / "one"
    target.mkdir()
    with write_capture(target, topology, cameras, 8) as writer:
        write_one(writer, 0)
    before = files(target)
    with (
        pytest.raises(EscaError, match="holds a capture already"),
        write_capture(target, topology, cameras, 8),
    ):
        pass
    with (
        pytest.raises(RuntimeError),
        write_capture(target, topology, cameras, 8, replace=True),
    ):
        raise RuntimeError
    assert files(target) == before
    with write_capture(target, topology, cameras, 8, replace=True) as writer:
        write_one(writer, 1)
    assert [frame.frame for frame in open_capture(target).frames] == ["000001"]
    (tmp_path / "papers").mkdir()
    (tmp_path / "papers" / "thesis.tex").touch()
    with (
        pytest.raises(EscaError, match="is no capture"),
        write_capture(tmp_path / "papers", topology, cameras, 8, replace=True),
    ):
        pass
    assert (tmp_path / "papers" / "thesis.tex").exists()


def test_an_obj_beside_every_frame_or_one_a_segment(tmp_path, topology, cameras):
    for objs, expected in (("all", 6), ("first", 2)):
        with write_capture(tmp_path / objs, topology, cameras, 8, objs=objs) as writer:
            for index in range(6):
                write_one(writer, index)
        assert len(list((tmp_path / objs).rglob("*.obj"))) == expected
    np.testing.assert_array_equal(open_capture(tmp_path / "first").topology.faces, topology.faces)


def test_a_single_frame_has_usable_deviations(tmp_path, topology, cameras):
    calls = []
    progress = lambda done, total: calls.append((done, total))  # noqa: E731
    with write_capture(tmp_path / "one", topology, cameras, 8, progress=progress) as writer:
        write_one(writer, 0)
    capture = open_capture(tmp_path / "one")
    assert (capture.texture_std, capture.vertex_std) == (1.0, 1.0)
    assert calls == [(1, 1)]


def test_vertices_that_no_triangle_uses(tmp_path, topology, cameras):
    with write_capture(tmp_path / "one", topology, cameras, 8, vertex_count=11) as writer:
        writer.write_frame(FRAME, np.ones((11, 3)), np.eye(3, 4))
        writer.write_texture(FRAME, AVERAGE, TEXTURE)
        writer.write_texture(FRAME, "400012", TEXTURE)
    assert open_capture(tmp_path / "one").vertices(FRAME).shape == (11, 3)
    assert not check_capture(tmp_path / "one").errors


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda w: w.write_frame(FRAME, np.ones((8, 3)), np.eye(3, 4)), r"expected \(9, 3\)"),
        (lambda w: w.write_frame(FRAME, np.full((9, 3), np.nan), np.eye(3, 4)), "NaN"),
        (lambda w: w.write_frame(FRAME, np.ones((9, 3)), np.eye(4)), r"expected \(3, 4\)"),
        (lambda w: w.write_frame(FrameId("EXP a", "1"), np.ones((9, 3)), np.eye(3, 4)), "EXP a"),
        (lambda w: w.write_frame(FrameId("../a", "1"), np.ones((9, 3)), np.eye(3, 4)), "slashes"),
        (lambda w: w.write_frame(FrameId("EXP", "x"), np.ones((9, 3)), np.eye(3, 4)), "digits"),
        (lambda w: w.write_texture(FRAME, "400017", TEXTURE), "camera '400017' is not in the rig"),
        (lambda w: w.write_texture(FRAME, AVERAGE, TEXTURE / 255), "float64, expected"),
        (lambda w: w.write_texture(FRAME, AVERAGE, TEXTURE[:4]), r"expected \(8, 8, 3\) of uint8"),
        (lambda w: w.write_photo(FRAME, "400012", TEXTURE), r"expected \(24, 20, 3\)"),
        (lambda w: w.write_photo(FRAME, AVERAGE, TEXTURE), "camera 'average' is not in the rig"),
        (lambda w: w.write_regions({"eyes": TEXTURE[..., 0]}), "of bool"),
        (lambda w: w.write_regions({"a/b": TEXTURE[..., 0] > 0}), "region 'a/b'"),
        (lambda w: w.write_loss_weight(np.zeros((8, 8))), "one above it"),
        (lambda w: w.write_loss_weight(-np.ones((8, 8))), "at least 0"),
    ],
)
def test_wrong_arrays_and_names_are_told(tmp_path, topology, cameras, call, message):
    with write_capture(tmp_path / "one", topology, cameras, 8) as writer:
        write_one(writer, 0)
        with pytest.raises(EscaError, match=message):
            call(writer)


def test_rigs_that_cannot_be_written(tmp_path, topology, new_camera):
    for cameras, message in (
        ((), "at least one"),
        ((new_camera("a", 0), new_camera("a", 1)), "each id once"),
        ((new_camera("average", 0),), "average"),
        ((new_camera("a", 0), new_camera("b", 0, (10, 10))), "one image size"),
        ((new_camera("a b", 0),), "camera 'a b'"),
    ):
        with (
            pytest.raises(EscaError, match=message),
            write_capture(tmp_path / "one", topology, cameras, 8),
        ):
            pass
    assert list(tmp_path.iterdir()) == []


def parse_as_other_tools_do(root):
    """Reads a capture by the published facts alone, with no help from the code under test."""
    lines = iter((root / "KRT").read_text().split("\n"))
    cameras = {}
    for name in lines:
        if name == "":
            break
        rows = [[float(word) for word in next(lines).split()] for _ in range(7)]
        assert next(lines) == ""
        cameras[name] = (np.array(rows[:3]), np.array(rows[3]), np.array(rows[4:]))
    listed = [tuple(row) for row in np.genfromtxt(root / "frame_list.txt", dtype=str)]
    samples = []
    for segment, frame in listed:
        assert (root / "unwrapped_uv_1024" / segment / "average" / f"{frame}.png").is_file()
        for camera in cameras:
            path = root / "unwrapped_uv_1024" / segment / camera / f"{frame}.png"
            if path.is_file():
                samples.append((segment, frame, camera))
    return cameras, samples


def test_what_is_written_follows_the_published_facts(recorded):
    root, layout = recorded.root, Layout(recorded.root)
    cameras, samples = parse_as_other_tools_do(root)
    assert list(cameras) == list(recorded.ids)
    assert samples == [(*frame, camera) for frame in recorded.frames for camera in recorded.ids]
    mean = np.flipud(np.asarray(Image.open(root / "tex_mean.png"), dtype=np.float32))
    variances = [float(np.genfromtxt(root / name)) for name in ("tex_var.txt", "vert_var.txt")]
    vertex_mean = np.fromfile(root / "vert_mean.bin", dtype=np.float32)
    capture = open_capture(root)
    np.testing.assert_array_equal(capture.texture_mean, mean)
    np.testing.assert_array_equal(capture.vertex_mean, vertex_mean)
    assert [capture.texture_std**2, capture.vertex_std**2] == pytest.approx(variances)
    for segment, frame, id in samples:
        frame_id = FrameId(segment, frame)
        transform = np.genfromtxt(root / "tracked_mesh" / segment / f"{frame}_transform.txt")
        intrinsics, distortion, extrinsics = cameras[id]
        assert (distortion.shape, transform.shape) == ((5,), (3, 4))
        head = np.vstack([transform, [0, 0, 0, 1]])
        np.testing.assert_allclose(
            intrinsics @ extrinsics @ head,
            capture.camera(id).projection(capture.transform(frame_id)),
        )
        vertices = np.fromfile(root / "tracked_mesh" / segment / f"{frame}.bin", dtype=np.float32)
        np.testing.assert_array_equal(vertices, recorded.vertices[frame_id].ravel())
        assert layout.obj(frame_id).is_file()
        with Image.open(root / "images" / segment / id / f"{frame}.png") as photo:
            assert photo.mode == "RGB"
            np.testing.assert_array_equal(photo, recorded.photos[frame_id, id])
        with Image.open(root / "unwrapped_uv_1024" / segment / id / f"{frame}.png") as texture:
            assert texture.mode == "RGB"
            np.testing.assert_array_equal(np.flipud(texture), recorded.textures[frame_id, id])
