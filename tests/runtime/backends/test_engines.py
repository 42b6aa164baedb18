import importlib
from pathlib import Path

import pytest
import torch

from esca.errors import EscaError
from esca.graph.execute import evaluate
from esca.quantization.quantize import quantize
from esca.quantization.recipe import load_recipe
from esca.quantization.statistics import TexelMaps, collect
from esca.runtime.backends import ENGINES, open_decoder
from esca.runtime.backends.onnx_runtime import OnnxRuntimeDecoder
from esca.runtime.backends.openvino import OpenVinoDecoder
from esca.runtime.backends.pytorch import TorchDecoder
from esca.runtime.export.model import quantized_model
from esca.runtime.integer import IntegerDecoder


@pytest.fixture(scope="module")
def quantized(decoder, frames):
    graph = decoder("residual")
    statistics = collect(graph, lambda: [frames(8)], TexelMaps(), ())
    return quantize(graph, statistics, load_recipe("rtn", "w4a4"))


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_engines_give_the_reference(quantized, frames, engine) -> None:
    feeds = frames(5, seed=4)
    texture, mesh = open_decoder(quantized, engine, 1).decode(feeds["z"], feeds["view"])
    right, right_mesh = IntegerDecoder(quantized).decode(feeds["z"], feeds["view"])
    step = quantized.grids[quantized.graph.outputs["texture"]].scale
    assert texture.shape == right.shape
    assert ((texture - right).abs() < 0.5 * step).float().mean() > 0.999
    step = quantized.grids[quantized.graph.outputs["mesh"]].scale
    assert ((mesh - right_mesh).abs().max()) < 1.5 * step


def test_openvino_gives_a_frame_what_it_gives_it_in_a_batch(quantized, frames) -> None:
    feeds, engine = frames(3, seed=1), open_decoder(quantized, "openvino", 1)
    whole, _ = engine.decode(feeds["z"], feeds["view"])
    one, _ = engine.decode(feeds["z"][1:2], feeds["view"][1:2])
    assert torch.equal(whole[1:2], one)


def test_openvino_keeps_channels_last_and_frames_as_long_as_asked(quantized, frames) -> None:
    feeds = frames(3, seed=2)
    channels, *sides = quantized.graph.by_name[quantized.graph.outputs["texture"]].shape
    memory = torch.zeros(2, *sides, channels)
    engine = open_decoder(quantized, "openvino", 1, textures=memory)
    plain = OpenVinoDecoder(quantized_model(quantized, "cpu").SerializeToString(), 1)
    given = []
    for z, view in zip(feeds["z"].split(1), feeds["view"].split(1), strict=True):
        texture, _ = engine.decode(z, view)
        assert texture.is_contiguous(memory_format=torch.channels_last)
        assert torch.equal(texture, plain.decode(z, view)[0])
        assert texture.data_ptr() == memory[len(given) % 2].data_ptr()
        given.append((texture, texture.clone()))
    assert not torch.equal(*given[0])
    assert torch.equal(*given[1])
    assert torch.equal(*given[2])


def test_torch_runs_the_float_graph(decoder, frames) -> None:
    graph, feeds = decoder(), frames(3)
    texture, mesh = TorchDecoder(graph).decode(feeds["z"], feeds["view"])
    right = evaluate(graph, feeds)
    assert torch.equal(texture, right["texture"])
    assert torch.equal(mesh, right["mesh"])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_torch_runs_on_cuda(decoder, frames) -> None:
    graph, feeds = decoder(), frames(3)
    texture, _ = TorchDecoder(graph, "cuda").decode(feeds["z"], feeds["view"])
    torch.testing.assert_close(texture, evaluate(graph, feeds)["texture"], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("device", ["gpu0", "cuda"])
def test_a_device_that_is_not_there(decoder, device) -> None:
    if device == "cuda" and torch.cuda.is_available():
        pytest.skip("a CUDA device is there")
    with pytest.raises(EscaError, match=f"device: '{device}'"):
        TorchDecoder(decoder(), device)


@pytest.mark.parametrize(
    ("engine", "package", "extra"),
    [
        ("onnxruntime", "onnxruntime", "export"),
        ("openvino", "openvino", "openvino"),
        ("openvino", "onnx", "export"),
    ],
)
def test_a_missing_extra_is_named(quantized, monkeypatch, engine, package, extra) -> None:
    whole = importlib.import_module

    def without(name: str, *rest: str):
        if name == package:
            raise ImportError(name)
        return whole(name, *rest)

    monkeypatch.setattr(importlib, "import_module", without)
    with pytest.raises(
        EscaError, match=rf"'{package}' is not installed; pip install esca\[{extra}"
    ):
        open_decoder(quantized, engine)


def test_another_engine_is_refused(quantized) -> None:
    assert set(ENGINES) == {"integer", "torch", "onnxruntime", "openvino"}
    with pytest.raises(EscaError, match="engine: 'tvm', expected one of integer, torch"):
        open_decoder(quantized, "tvm")


@pytest.mark.parametrize("engine", [OnnxRuntimeDecoder, OpenVinoDecoder])
def test_a_damaged_file_is_one_line(engine, tmp_path: Path) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"not a model")
    with pytest.raises(EscaError, match=r"broken\.onnx: .* cannot load it") as caught:
        engine(path)
    assert "\n" not in str(caught.value)
