import json

import onnx
import pytest
import torch

from esca.avatars import AvatarConfig, build_avatar
from esca.errors import EscaError
from esca.quantization.recipe import load_recipe
from esca.runtime import load_artifact, save_artifact
from esca.runtime.artifact import Artifact
from esca.runtime.backends.onnx_runtime import OnnxRuntimeDecoder
from esca.runtime.export.colours import add_colours
from esca.runtime.export.export import export
from esca.runtime.export.metadata import metadata
from esca.runtime.export.model import checked, float_model, quantized_model


def test_an_exported_file_names_its_source(decoder, made, tmp_path) -> None:
    provenance = {"checkpoint_sha256": "c0", "seed": 4, "frames": ["E/1/a"], "capture": "m--x"}
    artifact = Artifact(made(decoder(), load_recipe("rtn", "w4a4")), provenance)
    path, out = tmp_path / "a.esca", tmp_path / "a.onnx"
    save_artifact(artifact, path)
    count = export(path, out, "qdq")
    model = onnx.load(out)
    assert len(model.graph.node) == count
    facts = {prop.key: prop.value for prop in model.metadata_props}
    assert facts["esca.checkpoint_sha256"] == "c0"
    assert len(facts["esca.artifact_sha256"]) == 64
    assert json.loads(facts["esca.calibration"]) == {"frames": ["E/1/a"], "seed": 4}
    assert set(json.loads(facts["esca.inputs"])) == {"z", "view"}
    grids = json.loads(facts["esca.grids"])
    assert grids["z"]["bits"] == load_artifact(path).quantized.grids["z"].bits
    assert [entry.name for entry in tmp_path.iterdir() if "partial" in entry.name] == []


def test_normalization_comes_from_the_capture(decoder, made, tmp_path) -> None:
    class Layout:
        texture_mean = tmp_path / "tex_mean.png"
        vertex_mean = tmp_path / "vert_mean.bin"

    class Capture:
        layout, texture_std, vertex_std = Layout, 17.0, 3.5

    Layout.texture_mean.write_bytes(b"a")
    Layout.vertex_mean.write_bytes(b"b")
    artifact = Artifact(made(decoder(), load_recipe("rtn", "w4a4")), {})
    facts = json.loads(metadata(artifact, "", Capture)["normalization"])  # type: ignore[arg-type]
    assert (facts["texture_std"], facts["vertex_std"]) == (17.0, 3.5)
    assert facts["texture_mean_sha256"] != facts["vertex_mean_sha256"]


def test_colours_are_those_of_the_camera(traced_avatar, quantized, feeds) -> None:
    avatar = build_avatar(AvatarConfig("base", 256, 16, 50, 3), seed=3).requires_grad_(False)
    avatar.cc.weight.add_(torch.rand(avatar.cc.weight.shape))
    avatar.cc.bias.add_(torch.rand(avatar.cc.bias.shape))
    model = quantized_model(quantized("base", "w8a8"), "qdq")
    codes = feeds(16, 3, 1)
    plain = OnnxRuntimeDecoder(model.SerializeToString(), 1).run(codes)["texture"]
    add_colours(model, avatar)
    cameras = torch.tensor([2, 0, 1])
    found = OnnxRuntimeDecoder(checked(model).SerializeToString(), 1).run(
        {**codes, "camera": cameras}
    )
    torch.testing.assert_close(found["texture"], avatar.colour(plain, cameras))


def test_colours_need_a_texture(traced_avatar) -> None:
    traced = traced_avatar("base")
    model = float_model(traced.graph.leading_to(["mesh"]), split=False)
    with pytest.raises(EscaError, match="no output 'texture', expected a decoder"):
        add_colours(model, traced.avatar)
