import json
from dataclasses import replace

import onnx
import pytest
import torch
from onnx import TensorProto, numpy_helper

from esca.avatars.config import VARIANTS
from esca.errors import EscaError
from esca.graph.execute import evaluate
from esca.quantization.recipe import load_recipe
from esca.runtime.backends.onnx_runtime import OnnxRuntimeDecoder
from esca.runtime.export.difference import Difference, differences
from esca.runtime.export.model import FORMS, float_model, form_named, quantized_model

FRAMES = 1


def share(steps: float, one: Difference) -> float:
    return steps / (2**one.bits - 1)


def compared(quantized, form, feeds):
    model = quantized_model(quantized, form).SerializeToString()
    return differences(quantized, OnnxRuntimeDecoder(model, 1).run, [feeds])


CASES = [(variant, bits) for variant in VARIANTS for bits in ("w4a4", "w8a8")]
CASES.append(("base", "mixed"))


@pytest.mark.parametrize(("variant", "bits"), CASES)
def test_the_cpu_form_is_the_integer_runtime(quantized, feeds, variant, bits) -> None:
    stored = quantized(variant, bits)
    engine = OnnxRuntimeDecoder(quantized_model(stored, "cpu").SerializeToString(), 1)
    found = [differences(stored, engine.run, [feeds(16, 1, seed)]) for seed in (1, 2, 3)]
    # One float32 rounding may fall across a boundary early, and random weights spread it over a
    # whole frame, but not in most frames.
    assert sorted(one["texture"].same for one in found)[1] > 0.98
    assert max(share(one["texture"].mean, one["texture"]) for one in found) < 0.05
    assert max(one["mesh"].mean for one in found) < 5


@pytest.mark.parametrize(("variant", "bits"), CASES)
def test_the_qdq_form_is_near(quantized, feeds, variant, bits) -> None:
    found = compared(quantized(variant, bits), "qdq", feeds(16, FRAMES, 1))
    assert share(found["texture"].mean, found["texture"]) < (0.005 if bits == "w8a8" else 0.05)
    assert share(found["mesh"].mean, found["mesh"]) < 1e-3


@pytest.mark.parametrize("form", FORMS)
def test_ramps_are_stored_as_two_lines(quantized, form) -> None:
    model = quantized_model(quantized("warp", "w4a4"), form)
    sizes = [
        len(stored.raw_data)
        for stored in model.graph.initializer
        if stored.name.startswith("warp.upsample.5") and stored.data_type == TensorProto.INT16
    ]
    assert sizes == [2 * 2 * 256] * 2


@pytest.mark.parametrize("split", [False, True])
@pytest.mark.parametrize("variant", VARIANTS)
def test_float_files_equal_the_float_graph(traced_avatar, feeds, variant, split) -> None:
    graph = traced_avatar(variant).graph
    model = float_model(graph, split)
    kinds = {node.op_type for node in model.graph.node}
    assert ("ConvTranspose" in kinds) == (not split and variant != "bilinear")
    codes = feeds(16, FRAMES, 2)
    found = OnnxRuntimeDecoder(model.SerializeToString(), 1).run(codes)
    for label, value in evaluate(graph, codes).items():
        torch.testing.assert_close(found[label], value, rtol=1e-3, atol=3e-4)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("variant", "bits"), [("plain", "w3a5"), ("residual", "w2a3"), ("upsample", "w8a6")]
)
def test_other_bits_are_clamped_to_their_grids(decoder, feeds, made, form, variant, bits) -> None:
    quantized = made(decoder(variant), load_recipe("rtn", bits))
    found = compared(quantized, form, feeds(6, 32, 3))
    assert found["texture"].same > (0.9995 if form == "cpu" else 0.9)


@pytest.mark.parametrize("form", FORMS)
def test_a_scale_for_each_phase_is_carried(decoder, feeds, made, form) -> None:
    recipe = replace(load_recipe("rtn", "w4a8"), granularity="channel_phase")
    quantized = made(decoder(), recipe)
    assert quantized.weights["conv1"].scale.shape[1] == 4
    found = compared(quantized, form, feeds(6, 32, 3))
    assert found["texture"].max < 20
    assert found["texture"].same > (0.9995 if form == "cpu" else 0.9)


def test_qdq_stores_four_bits_for_four_bits(quantized) -> None:
    stored = quantized("base", "mixed")
    model = quantized_model(stored, "qdq")
    kinds = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    narrow = "dec.texture_decoder.upsample.0.conv1.deconv.weight.integers"
    wide = "dec.texture_decoder.upsample.3.conv1.deconv.weight.integers"
    assert kinds[narrow] == TensorProto.INT4
    assert kinds[wide] == TensorProto.INT8
    assert TensorProto.UINT4 in kinds.values()
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    own = stored.weights[narrow.removesuffix(".weight.integers")].values.numpy()
    assert (values[narrow].astype("int8") == own).all()
    cpu = quantized_model(stored, "cpu")
    assert not {TensorProto.INT4, TensorProto.UINT4} & {t.data_type for t in cpu.graph.initializer}


def test_files_say_what_they_are_and_are_complete(quantized) -> None:
    stored = quantized("base", "w4a4")
    model = quantized_model(stored, "qdq", {"artifact_sha256": "ab"})
    assert [(one.domain, one.version) for one in model.opset_import] == [("", 21)]
    onnx.checker.check_model(model, full_check=True)
    facts = {prop.key: prop.value for prop in model.metadata_props}
    assert facts["esca.form"] == "qdq"
    assert facts["esca.artifact_sha256"] == "ab"
    assert json.loads(facts["esca.recipe"])["name"] == stored.recipe.name
    shaped = {value.name for value in model.graph.value_info}
    assert {name for node in model.graph.node for name in node.output} <= shaped | {
        output.name for output in model.graph.output
    }
    texture = next(o for o in model.graph.output if o.name == "texture")
    sides = [d.dim_param or d.dim_value for d in texture.type.tensor_type.shape.dim]
    assert sides == ["batch", 3, 256, 256]


def test_texel_biases_are_stored_as_integers(quantized) -> None:
    stored = quantized("base", "w8a8")
    texels = sum(bias.values.numel() for bias in stored.texel_biases.values())
    weights = sum(weight.values.numel() for weight in stored.weights.values())
    assert quantized_model(stored, "qdq").ByteSize() < 1.1 * (texels + weights) + 50_000


def test_another_form_is_refused() -> None:
    with pytest.raises(EscaError, match="form: 'tflite', expected one of qdq, cpu"):
        form_named("tflite")
