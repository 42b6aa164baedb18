import base64
import io
import json
import struct

import numpy as np
import pytest
from PIL import Image

from esca.errors import EscaError
from esca.subjects.gltf import read_gltf

POSITIONS = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0]], "<f4")
UVS = np.array([[0, 0], [65535, 0], [0, 65535], [65535, 65535]], "<u2")
FACES = np.array([0, 1, 2, 2, 1, 3], "<u2")


class Builder:
    """A glTF document that grows; ``glb`` packs it by the letter of the specification."""

    def __init__(self):
        self.data = b""
        self.json = {"asset": {"version": "2.0"}, "bufferViews": [], "accessors": []}

    def view(self, data, **extra):
        self.data += b"\0" * (-len(self.data) % 4)
        view = {"buffer": 0, "byteOffset": len(self.data), "byteLength": len(data), **extra}
        self.data += data
        self.json["bufferViews"].append(view)
        return len(self.json["bufferViews"]) - 1

    def accessor(self, **fields):
        self.json["accessors"].append(fields)
        return len(self.json["accessors"]) - 1

    def array(self, array, component, kind, **extra):
        view = self.view(array.tobytes())
        return self.accessor(
            bufferView=view, componentType=component, count=len(array), type=kind, **extra
        )

    def glb(self, path):
        self.json["buffers"] = [{"byteLength": len(self.data)}]
        text = json.dumps(self.json).encode()
        text += b" " * (-len(text) % 4)
        data = self.data + b"\0" * (-len(self.data) % 4)
        total = 12 + 8 + len(text) + 8 + len(data)
        with path.open("wb") as stream:
            stream.write(struct.pack("<4sII", b"glTF", 2, total))
            stream.write(struct.pack("<I4s", len(text), b"JSON") + text)
            stream.write(struct.pack("<I4s", len(data), b"BIN\0") + data)
        return path


@pytest.fixture
def builder():
    """Interleaved positions, normalized uvs, one sparse target, a PNG and a placed node."""
    made = Builder()
    interleaved = np.hstack([POSITIONS, np.full((4, 2), 7, "<f4")])
    view = made.view(interleaved.tobytes(), byteStride=20)
    position = made.accessor(bufferView=view, componentType=5126, count=4, type="VEC3")
    uv = made.array(UVS, 5123, "VEC2", normalized=True)
    index = made.array(FACES, 5123, "SCALAR")
    rows = made.view(np.array([1, 3], "u1").tobytes())
    moves = made.view(np.array([[0, 0, 1], [0, 2, 0]], "<f4").tobytes())
    sparse = {
        "count": 2,
        "indices": {"bufferView": rows, "componentType": 5121},
        "values": {"bufferView": moves},
    }
    target = made.accessor(componentType=5126, count=4, type="VEC3", sparse=sparse)
    still = made.accessor(componentType=5126, count=4, type="VEC3")
    stream = io.BytesIO()
    Image.fromarray(np.array([[[255, 0, 0], [0, 255, 0]]], np.uint8)).save(stream, "PNG")
    image = made.view(stream.getvalue())
    made.json |= {
        "asset": {"version": "2.0", "copyright": "Somebody, CC BY", "extras": {"source": "here"}},
        "images": [{"bufferView": image, "mimeType": "image/png"}],
        "textures": [{"source": 0}],
        "materials": [
            {
                "name": "Skin",
                "pbrMetallicRoughness": {
                    "baseColorTexture": {"index": 0},
                    "baseColorFactor": [1, 0.5, 1, 1],
                    "roughnessFactor": 0.4,
                },
                "extensions": {"KHR_materials_specular": {"specularFactor": 0.7}},
            }
        ],
        "meshes": [
            {
                "name": "Face",
                "extras": {"targetNames": ["jawOpen", "still"], "landmarks68": [1]},
                "primitives": [
                    {
                        "attributes": {"POSITION": position, "TEXCOORD_0": uv},
                        "indices": index,
                        "material": 0,
                        "targets": [{"POSITION": target}, {"POSITION": still}],
                    }
                ],
            }
        ],
        "nodes": [
            {"children": [1], "translation": [0, 10, 0]},
            {"mesh": 0, "scale": [2, 2, 2], "rotation": [0, 0, 0.70710678, 0.70710678]},
        ],
        "scenes": [{"nodes": [0]}],
        "scene": 0,
    }
    return made


def test_reads_geometry_targets_and_materials(builder, tmp_path):
    head = read_gltf(builder.glb(tmp_path / "a.glb"))
    (part,) = head.parts
    turned = np.stack([-POSITIONS[:, 1], POSITIONS[:, 0], POSITIONS[:, 2]], axis=1)
    np.testing.assert_allclose(part.positions, 2 * turned + [0, 10, 0], atol=1e-6)
    np.testing.assert_allclose(part.uvs, UVS / 65535)
    assert part.faces.tolist() == [[0, 1, 2], [2, 1, 3]]
    assert set(part.targets) == {"jawOpen"}
    expected = [[0, 0, 0], [0, 0, 2], [0, 0, 0], [-4, 0, 0]]
    np.testing.assert_allclose(part.targets["jawOpen"], expected, atol=1e-6)
    assert head.target_names == ("jawOpen", "still")
    assert part.extras == {"landmarks68": [1]}
    assert part.material.colour.tolist() == [[[1, 0, 0], [0, 1, 0]]]
    assert part.material.colour_factor == (1.0, 0.5, 1.0)
    assert (part.material.roughness_factor, part.material.specular_factor) == (0.4, 0.7)
    assert head.credits == {"copyright": "Somebody, CC BY", "source": "here"}


def test_reads_gltf_with_files_beside_it(builder, tmp_path):
    builder.json["buffers"] = [{"byteLength": len(builder.data), "uri": "my%20data.bin"}]
    (tmp_path / "my data.bin").write_bytes(builder.data)
    (tmp_path / "a.gltf").write_text(json.dumps(builder.json))
    assert len(read_gltf(tmp_path / "a.gltf").parts) == 1
    payload = base64.b64encode(builder.data).decode()
    builder.json["buffers"][0]["uri"] = f"data:application/octet-stream;base64,{payload}"
    (tmp_path / "b.gltf").write_text(json.dumps(builder.json))
    assert len(read_gltf(tmp_path / "b.gltf").parts) == 1


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("https://example.org/a.bin", "expected embedded data or a file beside it"),
        ("file:///etc/passwd", "expected embedded data or a file beside it"),
        ("../a.bin", "outside its own folder"),
        ("%2e%2e/a.bin", "outside its own folder"),
        ("/etc/passwd", "outside its own folder"),
        ("missing.bin", "missing"),
        ("data:application/octet-stream;base64,*", "not base64"),
    ],
)
def test_never_leaves_its_folder(builder, tmp_path, uri, message):
    folder = tmp_path / "in"
    folder.mkdir()
    (tmp_path / "a.bin").write_bytes(builder.data)
    builder.json["buffers"] = [{"byteLength": len(builder.data), "uri": uri}]
    (folder / "a.gltf").write_text(json.dumps(builder.json))
    with pytest.raises(EscaError, match=message):
        read_gltf(folder / "a.gltf")


def _break_index(document):
    document["accessors"][2]["count"] = 4000


def _break_extension(document):
    document["extensionsRequired"] = ["KHR_draco_mesh_compression"]


def _break_mode(document):
    document["meshes"][0]["primitives"][0]["mode"] = 1


def _break_uvs(document):
    del document["meshes"][0]["primitives"][0]["attributes"]["TEXCOORD_0"]


def _break_tree(document):
    document["nodes"][1]["children"] = [0]


def _break_texture(document):
    document["materials"][0]["pbrMetallicRoughness"]["baseColorTexture"]["index"] = 9


def _break_mesh(document):
    document["nodes"][1]["mesh"] = 5


def _break_scene(document):
    document["scenes"] = [{"nodes": []}]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_break_index, "accessor 2 reaches beyond its buffer view"),
        (_break_extension, "KHR_draco_mesh_compression"),
        (_break_mode, "expected 4"),
        (_break_uvs, "TEXCOORD_0"),
        (_break_tree, "reached twice"),
        (_break_texture, "texture 9"),
        (_break_mesh, "mesh 5"),
        (_break_scene, "holds no mesh"),
    ],
)
def test_damage_is_named(builder, tmp_path, damage, message):
    damage(builder.json)
    with pytest.raises(EscaError, match=message):
        read_gltf(builder.glb(tmp_path / "a.glb"))


def test_not_a_gltf_file(tmp_path, builder):
    with pytest.raises(EscaError, match="no such file"):
        read_gltf(tmp_path / "none.glb")
    for content in (b"", b"hello", b"glTF", b"glTF\2\0\0\0\xff\0\0\0\xff\xff\0\0JSON{", b"[]"):
        path = tmp_path / "bad.glb"
        path.write_bytes(content)
        with pytest.raises(EscaError, match=r"glTF 2\.0"):
            read_gltf(path)
    (tmp_path / "empty.gltf").write_text("{}")
    with pytest.raises(EscaError, match="holds no mesh"):
        read_gltf(tmp_path / "empty.gltf")
    whole = builder.glb(tmp_path / "a.glb").read_bytes()
    (tmp_path / "cut.glb").write_bytes(whole[: len(whole) * 2 // 3])
    with pytest.raises(EscaError, match=r"cut\.glb"):
        read_gltf(tmp_path / "cut.glb")
