import io
from pathlib import Path

import numpy as np
import pygltflib
import pytest
from PIL import Image

from esca.errors import EscaError
from esca.rendering.atlas import rasterize_uv
from esca.subjects.atlas_bake import bake, to_linear
from esca.subjects.atlas_layout import Rectangle, layers, pack
from esca.subjects.head import head_subject
from esca.subjects.head_regions import from_landmarks
from esca.subjects.head_skin import compression
from esca.subjects.surface import bump, cross, slopes, tangents, vertex_normals, welded

LPS = Path(__file__).parents[3] / "shared" / "heads" / "lps.glb"


def sphere(radius, centre, across=24, down=16):
    """A globe with a seam: its first and last columns coincide. Metres; +z is in its middle."""
    u, v = np.meshgrid(np.linspace(0, 1, across + 1), np.linspace(0, 1, down + 1))
    turn, fall = (u - 0.5) * 2 * np.pi, v * np.pi
    points = np.stack([np.sin(fall) * np.sin(turn), np.cos(fall), np.sin(fall) * np.cos(turn)], -1)
    index = np.arange(u.size).reshape(u.shape)
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, :-1], index[1:, 1:]
    faces = np.concatenate([np.stack([a, c, b], -1), np.stack([b, c, d], -1)]).reshape(-1, 3)
    uvs = np.stack([u, v], -1).reshape(-1, 2)
    return radius * points.reshape(-1, 3) + np.array(centre), uvs, faces


def write_head(path, parts, copyright="Nobody, CC0"):
    """A glb of ``parts``: (name, points, uvs, faces, targets, colour)."""
    gltf = pygltflib.GLTF2(asset=pygltflib.Asset(version="2.0", copyright=copyright))
    data = b""

    def add(array, component, kind):
        nonlocal data
        gltf.bufferViews.append(
            pygltflib.BufferView(buffer=0, byteOffset=len(data), byteLength=array.nbytes)
        )
        gltf.accessors.append(
            pygltflib.Accessor(
                bufferView=len(gltf.bufferViews) - 1,
                componentType=component,
                count=len(array),
                type=kind,
            )
        )
        data += array.tobytes()
        return len(gltf.accessors) - 1

    for name, points, uvs, faces, targets, colour in parts:
        stream = io.BytesIO()
        Image.new("RGB", (32, 32), colour).save(stream, "PNG")
        payload = stream.getvalue() + b"\0" * (-len(stream.getvalue()) % 4)
        gltf.bufferViews.append(
            pygltflib.BufferView(buffer=0, byteOffset=len(data), byteLength=len(payload))
        )
        data += payload
        gltf.images.append(pygltflib.Image(bufferView=len(gltf.bufferViews) - 1))
        gltf.textures.append(pygltflib.Texture(source=len(gltf.images) - 1))
        surface = pygltflib.PbrMetallicRoughness(
            baseColorTexture=pygltflib.TextureInfo(index=len(gltf.textures) - 1)
        )
        gltf.materials.append(pygltflib.Material(name=name, pbrMetallicRoughness=surface))
        primitive = pygltflib.Primitive(
            attributes=pygltflib.Attributes(
                POSITION=add(points.astype("<f4"), 5126, "VEC3"),
                TEXCOORD_0=add(uvs.astype("<f4"), 5126, "VEC2"),
            ),
            indices=add(faces.astype("<u4").reshape(-1, 1), 5125, "SCALAR"),
            material=len(gltf.materials) - 1,
            targets=[{"POSITION": add(t.astype("<f4"), 5126, "VEC3")} for t in targets.values()],
        )
        mesh = pygltflib.Mesh(
            name=name, primitives=[primitive], extras={"targetNames": list(targets)}
        )
        gltf.meshes.append(mesh)
        gltf.nodes.append(pygltflib.Node(mesh=len(gltf.meshes) - 1))
    gltf.scenes = [pygltflib.Scene(nodes=list(range(len(parts))))]
    gltf.scene = 0
    gltf.buffers = [pygltflib.Buffer(byteLength=len(data))]
    gltf.set_binary_blob(data)
    gltf.save_binary(str(path))
    return path


@pytest.fixture(scope="module")
def head(tmp_path_factory):
    points, uvs, faces = sphere(0.1, (0.01, 0.02, 0.03))
    low = points[:, 1] < 0.0
    targets = {
        "jawOpen": np.where(low[:, None], [0, -0.02, 0], 0.0),
        "eyeBlinkLeft": np.where(points[:, :1] > 0.08, [0, 0, 0.002], 0.0),
    }
    parts = [("Face", points, uvs, faces, targets, (200, 120, 90))]
    for side, x in (("EyeLeft", 0.04), ("EyeRight", -0.02)):
        eye, _, eye_faces = sphere(0.012, (x, 0.04, 0.122), 12, 8)
        flat = (eye[:, :2] - [x, 0.04]) / 0.026 + 0.5  # front and back fall on each other
        parts.append((side, eye, flat, eye_faces, {}, (250, 250, 250)))
    return head_subject(write_head(tmp_path_factory.mktemp("glb") / "My head.glb", parts))


def test_parts_become_one_mesh_about_the_middle_of_the_head(head):
    assert head.name == "My_head"
    assert head.expressions == ("jawOpen", "eyeBlink_L")
    neutral = head.vertices({})
    assert neutral.shape == (25 * 17 + 2 * 13 * 9, 3)
    eyes = neutral[25 * 17 :].mean(axis=0)
    assert np.abs(eyes[:2]).max() < 0.5 and 30 < eyes[2] < 80
    np.testing.assert_allclose(np.ptp(neutral[: 25 * 17], axis=0), 200, atol=3)
    moved = head.vertices({"jawOpen": 0.5, "unheardOf": 1.0}) - neutral
    np.testing.assert_allclose(moved.min(axis=0), [0, -10, 0], atol=1e-4)
    assert "CC0" in head.description


def test_atlas_gives_most_to_the_face_and_never_overlaps(head):
    chart = head.topology.uvs[head.topology.uv_faces]
    assert chart.min() >= 0 and chart.max() <= 1
    a, b = chart[:, 1] - chart[:, 0], chart[:, 2] - chart[:, 0]
    area = np.abs(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]) / 2
    raster = rasterize_uv(head.topology, 256)
    assert area.sum() == pytest.approx(raster.foreground.mean(), abs=0.01)
    faces = 2 * 24 * 16
    assert area[:faces].sum() > 0.6
    owned = np.bincount(raster.triangle[raster.foreground], minlength=len(chart)) / 256**2
    assert np.abs(owned - area)[:faces].max() < 2e-4


def test_colours_are_linear_and_in_their_places(head):
    skin = head.skin({}, 128)
    raster = rasterize_uv(head.topology, 128)
    is_face = raster.triangle < 2 * 24 * 16
    face = skin.albedo[raster.foreground & is_face]
    np.testing.assert_allclose(
        face, np.tile(to_linear(np.array([200, 120, 90]) / 255), (len(face), 1)), atol=2e-3
    )
    eye = skin.albedo[raster.foreground & ~is_face]
    np.testing.assert_allclose(eye, to_linear(np.float32(250 / 255)), atol=2e-3)
    for image in (skin.height, skin.specular, skin.roughness, skin.occlusion):
        assert image.shape == (128, 128) and np.isfinite(image).all()
    assert skin.occlusion.min() >= 0 and skin.occlusion.max() <= 1


def test_regions_follow_names_and_motion(head):
    regions = head.regions(128)
    assert set(regions) == {"eyes", "mouth", "nose", "brows", "face"}
    raster = rasterize_uv(head.topology, 128)
    eyes = raster.foreground & (raster.triangle >= 2 * 24 * 16)
    assert regions["eyes"][eyes].all()
    assert regions["face"].sum() > regions["eyes"].sum()
    assert not (regions["face"] & ~raster.foreground).any()


def test_seams_are_welded(head):
    normals = vertex_normals(head.vertices({}), head.topology.faces, head.weld)
    grid = normals[: 25 * 17].reshape(17, 25, 3)
    np.testing.assert_allclose(grid[:, 0], grid[:, -1], atol=1e-6)


def test_bad_heads(tmp_path, head):
    points, uvs, faces = sphere(0.1, (0, 0, 0), 6, 4)
    move = {"jawOpen": np.full_like(points, 0.001)}
    with pytest.raises(EscaError, match="expected a head with expressions"):
        head_subject(write_head(tmp_path / "a.glb", [("Face", points, uvs, faces, {}, "red")]))
    with pytest.raises(EscaError, match="in metres"):
        big = [("Face", 1000 * points, uvs, faces, move, "red")]
        head_subject(write_head(tmp_path / "b.glb", big))
    with pytest.raises(EscaError, match="multiple of 64"):
        head.skin({}, 100)
    with pytest.raises(EscaError, match="jawOpen"):
        head.vertices({"jawOpen": 1.5})


@pytest.mark.skipif(not LPS.is_file(), reason=f"the scanned head is not at {LPS}")
def test_scanned_head():
    subject = head_subject(LPS)
    assert subject.vertices({}).shape == (24883, 3)
    assert len(subject.topology.faces) == 45644
    assert len(subject.expressions) == 53
    assert "Lee Perry-Smith" in subject.description
    regions = subject.regions(128)
    for name, least in (("eyes", 150), ("mouth", 300), ("nose", 100), ("brows", 60)):
        assert regions[name].sum() > least
        assert (regions["face"] & regions[name]).sum() > 0.9 * regions[name].sum()
    skin = subject.skin({"jawOpen": 1.0}, 128)
    red, _, blue = skin.albedo[regions["nose"]].mean(axis=0)
    assert 1.3 * blue < red < 1.0
    closed = subject.skin({}, 128)
    mouth = regions["mouth"]
    assert skin.occlusion[mouth].mean() > closed.occlusion[mouth].mean() + 0.02


def test_packing_tiles_the_square():
    shares = [0.7, 0.1, 0.05, 0.05, 0.06, 0.04]
    for wide in (True, False):
        painted = np.zeros((256, 256), int)
        for rectangle, share in zip(pack(shares, wide), shares, strict=True):
            painted[rectangle.texels(256)] += 1
            assert rectangle.width * rectangle.height == pytest.approx(share, abs=0.02)
        assert (painted == 1).all()
    assert pack([3.0], wide=True) == [Rectangle(0.0, 0.0, 1.0, 1.0)]


def test_layers_part_what_overlaps():
    uvs = np.array([[0, 0], [1, 0], [0, 1], [1, 1.0]])
    front, back = [[0, 1, 2], [1, 3, 2]], [[0, 2, 1], [1, 2, 3]]
    assert [list(group) for group in layers(uvs, np.array(front))] == [[0, 1]]
    groups = layers(uvs, np.array(front + back))
    assert sorted(sorted(group.tolist()) for group in groups) == [[0, 1], [2, 3]]


def test_baking_averages_and_keeps_ramps():
    ramp = np.repeat(np.linspace(0, 1, 256, dtype=np.float32)[None, :, None], 256, axis=0)
    whole = (np.zeros(2), np.ones(2))
    baked = bake(ramp, whole, Rectangle(0.5, 0.0, 0.5, 1.0), 64)
    assert baked.shape == (64, 32, 1)
    u = (np.arange(32) + 0.5) / 32
    inner = (u - 1 / 64) / (1 - 2 / 64)  # the gutter is 1/128 of the atlas, on both sides
    np.testing.assert_allclose(baked[20, 1:-1, 0], np.clip(inner, 0, 1)[1:-1], atol=0.01)


def test_compression_measures_lost_area():
    points, _, faces = sphere(100.0, (0, 0, 0))
    weld = welded(points)
    np.testing.assert_allclose(compression(points, points, faces, weld), 0, atol=1e-6)
    shrunk = compression(points, points * np.array([0.8, 1, 1]), faces, weld)
    assert shrunk.max() < 0.25 and shrunk.mean() == pytest.approx(0.13, abs=0.05)


def test_bump_tilts_against_the_slope():
    from esca.captures.geometry import Topology

    corners = np.array([[0, 0, 0], [100, 0, 0], [0, 50, 0]], np.float32)
    flat = Topology(
        np.array([[0, 1, 2]], np.int32),
        np.array([[0, 0], [1, 0], [0, 1]], np.float32),
        np.array([[0, 1, 2]], np.int32),
    )
    along_u, along_v = (t.astype(np.float32) for t in tangents(corners, flat))
    np.testing.assert_allclose(along_u, [[100, 0, 0]])
    np.testing.assert_allclose(along_v, [[0, 50, 0]])
    size = 32
    rise = np.repeat(np.arange(size, dtype=np.float32)[None] / size, size, 0) * 10.0  # 10 mm over u
    slope = slopes(rise, np.ones((size, size), bool))[5, 5][None]
    normal = bump(np.float32([[0, 0, 1]]), along_u, along_v, slope)
    expected = np.array([-0.1, 0, 1]) / np.hypot(0.1, 1)
    np.testing.assert_allclose(normal[0], expected, atol=1e-5)


def test_cross_is_the_cross_product():
    a, b = np.random.default_rng(0).normal(size=(2, 50, 3))
    np.testing.assert_allclose(cross(a, b), np.cross(a, b))


def test_landmark_regions_on_a_plane():
    rng = np.random.default_rng(0)
    marks = np.zeros((68, 3))
    angle = np.linspace(np.pi, 2 * np.pi, 17)
    marks[:17, :2] = 70 * np.stack([np.cos(angle), np.sin(angle)], 1)
    marks[17:27, 0], marks[17:27, 1] = np.linspace(-50, 50, 10), 45
    marks[27:36, 1] = np.linspace(25, -15, 9)
    marks[31:36, 0] = np.linspace(-12, 12, 5)
    for first, x in ((36, -30), (42, 30)):
        turn = np.linspace(0, 2 * np.pi, 7)[:6]
        marks[first : first + 6, :2] = np.stack([x + 12 * np.cos(turn), 25 + 4 * np.sin(turn)], 1)
    turn = np.linspace(0, 2 * np.pi, 13)[:12]
    marks[48:60, :2] = np.stack([22 * np.cos(turn), -40 + 8 * np.sin(turn)], 1)
    points = np.concatenate([marks, np.c_[rng.uniform(-100, 100, (3000, 2)), np.zeros(3000)]])
    regions = from_landmarks(points, range(68))
    assert regions["eyes"][36:48].all() and regions["mouth"][48:60].all()
    far = np.abs(points[:, 0]) > 80
    assert not any(mask[far].any() for mask in regions.values())
    assert not (regions["eyes"] & regions["mouth"]).any()
    behind = points - np.array([0, 0, 200.0]) * (np.arange(len(points)) >= 68)[:, None]
    assert from_landmarks(behind, range(68))["eyes"][68:].sum() == 0
