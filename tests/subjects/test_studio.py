import numpy as np
import pytest

from esca.captures.geometry import Topology
from esca.captures.layout import AVERAGE
from esca.captures.reader import open_capture
from esca.errors import EscaError
from esca.rendering.atlas import rasterize_uv, texel_visibility
from esca.rendering.display import to_display
from esca.rendering.raster import Scene
from esca.rendering.shade import render
from esca.subjects.exposure import exposed_frame, frame_plan
from esca.subjects.lighting import Lighting
from esca.subjects.rig import FRONT, LEFT, RIGHT, rest_transform, studio_rig
from esca.subjects.segments import default_segments
from esca.subjects.studio import RecordConfig, loss_weight, record
from esca.subjects.subject import Skin


class Egg:
    """A small subject: an egg whose lower half drops, with a chart that leaves the border free."""

    name = "egg"
    description = "An egg, laid by a test."
    expressions = ("jawOpen",)

    def __init__(self, across=20, down=14):
        u, v = np.meshgrid(np.linspace(0, 1, across + 1), np.linspace(0, 1, down + 1))
        turn, rise = (u - 0.5) * 2 * np.pi, (v - 0.5) * np.pi
        self.points = np.stack(
            [70 * np.cos(rise) * np.sin(turn), 90 * np.sin(rise), 75 * np.cos(rise) * np.cos(turn)],
            -1,
        ).reshape(-1, 3)
        index = np.arange(u.size).reshape(u.shape)
        a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, :-1], index[1:, 1:]
        faces = np.concatenate([np.stack([a, b, c], -1), np.stack([b, d, c], -1)])
        faces = faces.reshape(-1, 3).astype(np.int32)
        uvs = np.stack([0.1 + 0.8 * u, 0.1 + 0.8 * v], -1).reshape(-1, 2).astype(np.float32)
        self.topology = Topology(faces, uvs, faces)

    def vertices(self, weights):
        drop = np.array([0, -10.0 * weights.get("jawOpen", 0.0), 0])
        return (self.points + np.where(self.points[:, 1:2] < -20, drop, 0)).astype(np.float32)

    def skin(self, weights, size):
        grey = np.full((size, size), 0.5, np.float32)
        albedo = np.stack([0.6 * np.ones_like(grey), 0.4 * np.ones_like(grey), grey * 0.6], -1)
        return Skin(albedo, np.zeros_like(grey), 2 * grey, grey, 2 * grey)

    def regions(self, size):
        mask = np.zeros((size, size), bool)
        mask[size // 2 :, size // 3 : -size // 3] = True
        return dict.fromkeys(("eyes", "mouth", "nose", "brows", "face"), mask)


def views(*names):
    """Cameras of the rig, with pictures of a quarter of the size."""
    rig = (camera for camera in studio_rig(12) if camera.id in names)
    return tuple(camera.window(0, 0, (512, 333), 0.25) for camera in rig)


@pytest.fixture(scope="module")
def capture(tmp_path_factory):
    root = tmp_path_factory.mktemp("rec") / "m--20240101--0000--egg--GHS"
    seen = []
    config = RecordConfig(
        texture_size=64,
        cameras=views(FRONT, LEFT, RIGHT),
        segments=default_segments(8)[-3:],
        photos=True,
        workers=1,
    )
    record(Egg(), root, config, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(done, len(seen)) for done in range(1, len(seen) + 1)]
    return open_capture(root), config


def test_capture_is_complete(capture):
    found, config = capture
    wanted = {s.name: [f"{n:06d}" for n in s.frames] for s in config.segments}
    assert {name: [f.frame for f in frames] for name, frames in found.segments.items()} == wanted
    assert found.subject == "egg" and found.texture_size == 64
    assert set(found.regions()) == {"eyes", "mouth", "nose", "brows", "face"}
    text = (found.root / "README.md").read_text()
    assert "laid by a test" in text and "EXP_ROM07" in text


def test_meshes_and_poses_are_those_of_the_segment(capture):
    found, config = capture
    for segment in config.segments:
        for frame, number in zip(found.segments[segment.name], segment.frames, strict=True):
            weights = {"jawOpen": segment.weights(number).get("jawOpen", 0.0)}
            expected = Egg().vertices(weights)
            np.testing.assert_array_equal(found.vertices(frame).reshape(-1, 3), expected)
            np.testing.assert_allclose(found.transform(frame), segment.transform(number))


def test_textures_are_zero_exactly_where_unseen(capture):
    found, config = capture
    segment = config.segments[-1]
    frame = found.segments[segment.name][0]
    vertices, transform = found.vertices(frame).reshape(-1, 3), found.transform(frame)
    topology = Egg().topology
    raster = rasterize_uv(topology, 64)
    union = np.zeros((64, 64), bool)
    for camera in config.cameras:
        texture = found.texture(frame, camera.id)
        seen = texel_visibility(vertices, topology, raster, camera, transform)
        # Grazing texels may go either way by rounding.
        assert ((texture > 0).all(-1) != seen).mean() < 2e-3
        assert ((texture > 0).all(-1) == (texture > 0).any(-1)).all()
        union |= (texture > 0).all(-1)
    average = found.texture(frame, AVERAGE)
    assert ((average > 0).all(-1) == union).all()
    stack = np.stack([found.texture(frame, camera.id) for camera in config.cameras]).astype(float)
    count = (stack > 0).sum(0)
    mean = stack.sum(0) / np.maximum(count, 1)
    assert np.abs(mean - average).max() <= 1.0


def test_photo_is_what_its_own_texture_renders_to(capture):
    found, config = capture
    frame = found.segments[config.segments[-1].name][0]
    camera = config.cameras[0]
    photo = found.photo(frame, camera.id)
    assert photo.shape == (512, 333, 3)
    texture = found.texture(frame, camera.id).astype(np.float32)
    vertices, transform = found.vertices(frame).reshape(-1, 3), found.transform(frame)
    picture = render(texture, vertices, Egg().topology, camera, transform)
    covered = render(
        (texture > 0).astype(np.float32), vertices, Egg().topology, camera, transform
    ).min(-1)
    whole = covered > 0.999
    assert whole.mean() > 0.2
    assert np.abs(picture[whole] - photo[whole]).max() <= 1.5
    assert not photo[0, 0].any()


def test_workers_make_no_difference(tmp_path):
    config = {
        "texture_size": 64,
        "cameras": views(FRONT, LEFT, RIGHT),
        "segments": default_segments(8)[-3:],
    }
    for workers in (1, 2):
        root = tmp_path / f"w{workers}"
        record(Egg(), root, RecordConfig(**config, workers=workers))
    first, second = tmp_path / "w1", tmp_path / "w2"
    names = sorted(path.relative_to(first) for path in first.rglob("*") if path.is_file())
    assert names == sorted(path.relative_to(second) for path in second.rglob("*") if path.is_file())
    for name in names:
        assert (first / name).read_bytes() == (second / name).read_bytes(), name


def test_shading_depends_on_the_view_and_looks_like_skin():
    egg = Egg()
    plan = frame_plan(egg, 64, Lighting())
    vertices = egg.vertices({})
    scene = Scene(vertices, egg.topology.faces)
    exposed = exposed_frame(plan, vertices, egg.skin({}, 64), rest_transform(), scene)
    pictures = np.zeros((2, 64 * 64, 3), np.float32)
    for slot, camera in enumerate(views(FRONT, LEFT)):
        index, raw = exposed.seen_by(camera)
        pictures[slot, index] = raw
    both = (pictures > 0).all(axis=(0, 2))
    difference = np.abs(to_display(pictures[0, both]) - to_display(pictures[1, both]))
    assert 0.01 < difference.max() < 0.4
    display = to_display(pictures[0, both])
    assert 0.4 < display.mean() < 0.8
    assert (display[:, 0] > display[:, 1]).all()


def test_loss_weight_favours_features():
    covered = np.ones((64, 64), bool)
    covered[:4] = False
    eyes, face = np.zeros((2, 64, 64), bool)
    face[10:60, 10:60] = True
    eyes[20:30, 20:30] = True
    weight = loss_weight({"eyes": eyes, "face": face}, covered)
    assert not weight[:4].any()
    assert weight[25, 25] > weight[50, 50] > weight[62, 62] > 0


def test_bad_configurations(tmp_path):
    with pytest.raises(EscaError, match="no frame"):
        record(Egg(), tmp_path / "a", RecordConfig(segments=()))
    with pytest.raises(EscaError, match="workers"):
        record(Egg(), tmp_path / "b", RecordConfig(workers=0))
    assert not list(tmp_path.iterdir())


def test_nothing_is_left_of_a_failed_recording(tmp_path):
    class Broken(Egg):
        def skin(self, weights, size):
            raise EscaError("no skin")

    config = RecordConfig(texture_size=64, segments=default_segments(8)[-2:], workers=2)
    with pytest.raises(EscaError, match="no skin"):
        record(Broken(), tmp_path / "c", config)
    assert not list(tmp_path.iterdir())
