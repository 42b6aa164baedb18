import io
import json
import struct

import numpy as np
import pytest
import trimesh

from esca.captures.geometry import Topology
from esca.errors import EscaError
from esca.viewer.glb import corners, jpeg, textured_glb

# A seam: vertices 0 and 2 have two texture coordinates each.
TOPOLOGY = Topology(
    np.array([[0, 1, 2], [0, 2, 3]], np.int32),
    np.array([[0, 0], [1, 0], [1, 1], [0.25, 0.5], [0.5, 0.75], [0, 1]], np.float32),
    np.array([[0, 1, 2], [3, 4, 5]], np.int32),
)
VERTICES = np.array([[0, 0, 0], [1, 0, 0.5], [1, 2, 0], [0, 2, -1.0]])


def picture() -> np.ndarray:
    rows = np.linspace(0, 255, 32).astype(np.uint8)
    return np.stack([np.tile(rows, (32, 1)), np.tile(rows[:, None], (1, 32))] * 2, 2)[..., :3]


def test_corners_split_seams_and_keep_every_triangle():
    made = corners(TOPOLOGY)
    assert len(made.vertices) == 6
    np.testing.assert_array_equal(made.vertices[made.triangles], TOPOLOGY.faces)
    np.testing.assert_allclose(
        made.uvs[made.triangles] / 65535, TOPOLOGY.uvs[TOPOLOGY.uv_faces], atol=1e-5
    )


def test_another_reader_finds_mesh_and_texture():
    made = textured_glb(corners(TOPOLOGY), VERTICES, jpeg(np.ascontiguousarray(picture())))
    scene = trimesh.load(io.BytesIO(made), file_type="glb", process=False)
    (mesh,) = scene.geometry.values()
    np.testing.assert_allclose(
        np.asarray(mesh.vertices)[mesh.faces], VERTICES[TOPOLOGY.faces], atol=1e-6
    )
    texture = np.asarray(mesh.visual.material.baseColorTexture)
    assert np.abs(texture.astype(int) - picture()).mean() < 3


def test_material_is_unlit_and_parts_are_aligned():
    made = textured_glb(corners(TOPOLOGY), VERTICES, b"\xff\xd8\xff")
    magic, version, size = struct.unpack_from("<4sII", made)
    assert (magic, version, size) == (b"glTF", 2, len(made))
    length = struct.unpack_from("<I", made, 12)[0]
    document = json.loads(made[20 : 20 + length])
    assert "KHR_materials_unlit" in document["materials"][0]["extensions"]
    assert all(view["byteOffset"] % 4 == 0 for view in document["bufferViews"])
    # Row 0 of the picture is at v = 0, in glTF as in textures of captures.
    view = document["bufferViews"][1]
    uvs = np.frombuffer(made, np.uint16, view["byteLength"] // 2, 28 + length + view["byteOffset"])
    found = uvs.reshape(-1, 2)[corners(TOPOLOGY).triangles] / 65535
    np.testing.assert_allclose(found, TOPOLOGY.uvs[TOPOLOGY.uv_faces], atol=1e-5)
    assert document["accessors"][1]["normalized"]


def test_large_meshes_count_in_thirty_two_bits():
    count = 70_000
    faces = np.arange(count - count % 3, dtype=np.int32).reshape(-1, 3)
    uvs = np.random.default_rng(0).random((count, 2)).astype(np.float32)
    made = corners(Topology(faces, uvs, faces))
    assert made.triangles.dtype == np.uint32


def test_bad_input():
    with pytest.raises(EscaError, match="expected \\(4 or more, 3\\)"):
        textured_glb(corners(TOPOLOGY), VERTICES[:3], b"")
