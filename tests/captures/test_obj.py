import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from esca.captures.obj import read_obj, vertex_text, write_obj
from esca.errors import EscaError

TRIANGLE = "v 0 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\nvt 1 0\nvt 0 1\nf 1/1 2/2 3/3\n"


def test_roundtrip_is_exact(tmp_path, topology):
    vertices = np.random.default_rng(0).normal(size=(9, 3)).astype(np.float32) * 100
    write_obj(tmp_path / "a.obj", vertices, topology)
    read, again = read_obj(tmp_path / "a.obj")
    np.testing.assert_array_equal(read, vertices)
    np.testing.assert_array_equal(again.faces, topology.faces)
    np.testing.assert_array_equal(again.uvs, topology.uvs)
    np.testing.assert_array_equal(again.uv_faces, topology.uv_faces)
    assert again.faces.dtype == np.int32


@settings(deadline=None, max_examples=40)
@given(
    hnp.arrays(np.float32, (4, 3), elements=st.floats(-1e6, 1e6, width=32, allow_subnormal=False))
)
def test_every_float32_survives_the_text(vertices):
    words = [line.split(" ")[1:] for line in vertex_text(vertices).splitlines()]
    np.testing.assert_array_equal(np.array(words, dtype=np.float64).astype(np.float32), vertices)


def test_tokens_suit_a_reader_that_splits_at_single_spaces(tmp_path, topology):
    write_obj(tmp_path / "a.obj", np.zeros((9, 3)), topology)
    lines = (tmp_path / "a.obj").read_text().splitlines()
    assert {line.split(" ")[0] for line in lines} == {"v", "vt", "f"}
    for line in lines:
        keyword, *words = line.split(" ")
        assert len(words) == {"v": 3, "vt": 2, "f": 3}[keyword]
        if keyword == "f":
            assert all(len(list(map(int, word.split("/")))) == 2 for word in words)


def test_foreign_statements_spacing_and_normals_are_accepted(tmp_path):
    text = "# made elsewhere\nmtllib a.mtl\no head\n" + TRIANGLE.replace(" ", "  ")
    (tmp_path / "a.obj").write_text(text.replace("3/3", "3/3/1") + "s off\n")
    vertices, topology = read_obj(tmp_path / "a.obj")
    assert vertices.shape == (3, 3)
    assert topology.faces.tolist() == [[0, 1, 2]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TRIANGLE.replace("3/3", "4/3"), "uses vertex 4, expected 1 to 3"),
        (TRIANGLE.replace("3/3", "3/0"), "uses texture coordinate 0, expected 1 to 3"),
        (TRIANGLE.replace("3/3", "-1/3"), "uses vertex -1"),
        (TRIANGLE.replace("3/3", "3"), "line 7"),
        (TRIANGLE.replace("3/3", "3//3"), "line 7"),
        (TRIANGLE.replace("3/3", "3/3 1/1"), "triangle"),
        (TRIANGLE.replace("v 1 0 0", "v 1 0"), "line 2"),
        (TRIANGLE.replace("v 1 0 0", "v 1 0 x"), "line 2"),
        (TRIANGLE.replace("f", "#"), "no triangles"),
        ("", "no triangles"),
    ],
)
def test_a_wrong_mesh_is_told(tmp_path, text, message):
    (tmp_path / "a.obj").write_text(text)
    with pytest.raises(EscaError, match=message) as error:
        read_obj(tmp_path / "a.obj")
    assert str(tmp_path / "a.obj") in str(error.value)


def test_a_binary_file_and_a_missing_one(tmp_path):
    (tmp_path / "a.obj").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(EscaError, match="not a readable text file"):
        read_obj(tmp_path / "a.obj")
    with pytest.raises(EscaError, match="missing"):
        read_obj(tmp_path / "b.obj")
