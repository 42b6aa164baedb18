import gc
import json
import weakref
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from esca.errors import EscaError
from esca.graph import Graph, Node
from esca.graph.ops import Affine, Conv2d, Input, LeakyRelu
from esca.quantization.quantize import QuantizedGraph, quantize
from esca.quantization.recipe import Recipe, load_recipe
from esca.quantization.statistics import TexelMaps, collect
from esca.runtime.artifact import Artifact, artifact_bytes, load_artifact, save_artifact
from esca.runtime.integer import IntegerDecoder
from esca.runtime.lowering import lower


def made(graph: Graph, feeds, recipe: Recipe | None = None) -> Artifact:
    maps = TexelMaps(torch.linspace(0, 1, 256).reshape(16, 16), torch.ones(16, 16))
    statistics = collect(graph, lambda: [feeds], maps)
    quantized = quantize(graph, statistics, recipe or load_recipe("ffas-uv", "w4a4"))
    return Artifact(quantized, {"seed": 3, "frames": ["S/1/c"], "observed": {"z": [-1.5, 2.25]}})


@pytest.fixture(scope="module")
def artifact(decoder, frames) -> Artifact:
    return made(decoder("residual"), frames(12))


def same_integers(left: QuantizedGraph, right: QuantizedGraph) -> None:
    for one, other in zip(lower(left).steps, lower(right).steps, strict=True):
        for field in ("weight", "bias"):
            if getattr(one, field, None) is not None:
                assert torch.equal(getattr(one, field), getattr(other, field))
        if hasattr(one, "factor"):
            assert torch.equal(one.factor.mantissa, other.factor.mantissa)
            assert torch.equal(one.factor.shift, other.factor.shift)
            assert (one.source, one.target, one.guard) == (other.source, other.target, other.guard)


@pytest.mark.parametrize(
    ("variant", "bits"), [("plain", "w2a3"), ("residual", "w4a4"), ("upsample", "w8a8")]
)
def test_a_loaded_artifact_gives_the_same_integers(decoder, frames, tmp_path, variant, bits):
    artifact = made(decoder(variant), frames(12), load_recipe("ffas-uv", bits))
    path = tmp_path / "a.esca"
    save_artifact(artifact, path)
    loaded = load_artifact(path)
    assert loaded.provenance == artifact.provenance
    before, after = artifact.quantized, loaded.quantized
    assert after.recipe == before.recipe
    assert dict(after.grids) == dict(before.grids)
    assert [(n.name, n.inputs, n.shape, type(n.op)) for n in after.graph.nodes] == [
        (n.name, n.inputs, n.shape, type(n.op)) for n in before.graph.nodes
    ]
    for one, other in zip(before.smoothed, after.smoothed, strict=True):
        assert one.sinks == other.sinks
        assert torch.equal(one.scales, other.scales)
        assert torch.equal(one.exempt, other.exempt)
    for name, weight in before.weights.items():
        assert torch.equal(weight.values, after.weights[name].values)
        assert torch.equal(before.graph.weight_op(name).weight, after.graph.weight_op(name).weight)
    same_integers(before, after)
    decoder_before, decoder_after = IntegerDecoder(before), IntegerDecoder(after)
    feeds = decoder_before.quantize(frames(4, seed=9))
    for label, value in decoder_before.run(feeds).items():
        assert torch.equal(value, decoder_after.run(feeds)[label])


def test_it_runs_without_the_graph_it_came_from(decoder, frames, tmp_path) -> None:
    graph = decoder()
    save_artifact(made(graph, frames(6)), tmp_path / "a.esca")
    gone = weakref.ref(graph)
    del graph
    gc.collect()
    assert gone() is None
    texture, mesh = IntegerDecoder(load_artifact(tmp_path / "a.esca").quantized).decode(**frames(2))
    assert (texture.shape, mesh.shape) == ((2, 2, 16, 16), (2, 5))


def test_every_operator_survives(tmp_path, traced_avatar) -> None:
    graph = traced_avatar("warp").graph  # grid sampling, reshapes, two texel-bias widths
    feeds = {"z": torch.randn(2, 16), "view": torch.randn(2, 3)}
    statistics = collect(graph, lambda: [feeds], TexelMaps(), hessians=())
    artifact = Artifact(quantize(graph, statistics, Recipe("t", range="minmax")), {})
    save_artifact(artifact, tmp_path / "a.esca")
    same_integers(artifact.quantized, load_artifact(tmp_path / "a.esca").quantized)


def test_layers_that_share_tensors_are_saved(tmp_path) -> None:
    shared, shape = torch.randn(2), (2, 4, 4)
    scale = torch.full((1,), 2.0).expand(2).reshape(2, 1, 1)
    graph = Graph(
        (
            Node("x", Input(), (), shape),
            Node("n", Affine(scale, torch.zeros(2, 1, 1)), ("x",), shape),
            Node("a", Conv2d(torch.randn(2, 2, 3, 3), shared, 1, 1), ("n",), shape),
            Node("r", LeakyRelu(0.2), ("a",), shape),
            Node("b", Conv2d(torch.randn(2, 2, 3, 3), shared, 1, 1), ("r",), shape),
        ),
        {"y": "b"},
    )
    artifact = made(graph, {"x": torch.rand(3, *shape)}, Recipe("t"))
    save_artifact(artifact, tmp_path / "a.esca")
    same_integers(artifact.quantized, load_artifact(tmp_path / "a.esca").quantized)


def test_the_same_seed_gives_the_same_bytes(decoder, frames, tmp_path) -> None:
    files = []
    for index in range(6):
        path = tmp_path / f"{index}.esca"
        if index % 3 == 0:  # quantized anew, and the same one saved again
            artifact = made(decoder("residual"), frames(12))
        save_artifact(artifact, path)
        files.append(path.read_bytes())
    assert all(content == files[0] for content in files)


def test_four_bit_values_are_stored_two_a_byte(artifact, tmp_path) -> None:
    save_artifact(artifact, tmp_path / "a.esca")
    with safe_open(tmp_path / "a.esca", framework="pt") as stored:
        for name, weight in artifact.quantized.weights.items():
            found = stored.get_tensor(f"{name}.weight")
            count = weight.values.numel()
            if weight.bits == 4:
                assert (found.dtype, found.numel()) == (torch.uint8, (count + 1) // 2)
                low, high = (found & 15).int(), (found >> 4).int()
                both = torch.stack([low, high], 1).reshape(-1)[:count]
                signed = both - 16 * (both > 7).int()
                assert torch.equal(signed, weight.values.reshape(-1).int())
            else:
                assert (found.dtype, found.numel()) == (torch.int8, count)


def test_sizes_by_part(artifact) -> None:
    parts = artifact_bytes(artifact.quantized)
    convolutions = [5 * 4 * 16, 5 * 5 * 9, 5 * 3 * 16, 3 * 2 * 16]
    assert parts["convolutions"] == sum((count + 1) // 2 for count in convolutions)
    assert parts["linear"] == 9 * 16 + 9 * 5
    assert parts["texel_biases"] == 5 * 4 * 4 + 2 * 16 * 16
    assert parts["biases"] == 4 * (16 + 5 + 5 + 3 + 2 + 5)
    assert parts["scales"] == 4 * (16 + 5 + 5 + 3 + 2 + 5 + 5 + 2)


def test_the_header_is_plain_json(artifact, tmp_path) -> None:
    save_artifact(artifact, tmp_path / "a.esca")
    with safe_open(tmp_path / "a.esca", framework="pt") as stored:
        header = json.loads(stored.metadata()["esca"])
    assert header["recipe"]["name"] == "ffas-uv"
    assert header["versions"].keys() == {"esca", "torch"}
    assert header["provenance"]["seed"] == 3
    assert header["grids"]["texture"][2] == 10


def one_line(path) -> str:
    with pytest.raises(EscaError) as error:
        load_artifact(path)
    text = str(error.value)
    assert text.startswith(f"{path}: ")
    assert "\n" not in text
    return text


def test_truncated_files(artifact, tmp_path) -> None:
    path = tmp_path / "a.esca"
    save_artifact(artifact, path)
    content = path.read_bytes()
    for length in (0, 1, 7, 8, 9, 500, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:length])
        assert "damaged" in one_line(path)


def test_flipped_bits(artifact, tmp_path) -> None:
    path = tmp_path / "a.esca"
    save_artifact(artifact, path)
    content = path.read_bytes()
    generator = torch.Generator().manual_seed(0)
    header = int.from_bytes(content[:8], "little") + 8
    places = [*range(12), *torch.randint(12, header, (90,), generator=generator).tolist()]
    places += torch.randint(header, len(content), (40,), generator=generator).tolist()
    for place in places:
        damaged = bytearray(content)
        damaged[place] ^= 1 << int(torch.randint(0, 8, (), generator=generator))
        path.write_bytes(bytes(damaged))
        one_line(path)


def test_other_files(tmp_path) -> None:
    assert "no such artifact" in one_line(tmp_path / "gone.esca")
    assert "no such artifact" in one_line(tmp_path)
    path = tmp_path / "other.esca"
    path.write_text("not an artifact, only text that is long enough to hold a header")
    assert "damaged or no artifact" in one_line(path)
    torch.save({"a": torch.zeros(3)}, path)
    assert "damaged or no artifact" in one_line(path)
    save_file({"a": torch.zeros(3)}, path)
    assert "field 'esca' is missing" in one_line(path)
    for text in ("{", "[1, 2]", "7"):
        save_file({"a": torch.zeros(3)}, path, metadata={"esca": text})
        assert "field 'esca' is no JSON object" in one_line(path)
    save_file({"a": torch.zeros(3)}, path, metadata={"esca": '{"format": "esca-artifact-9"}'})
    assert "format is 'esca-artifact-9', expected 'esca-artifact-1'" in one_line(path)


def test_a_failed_write_leaves_nothing_and_keeps_the_old_file(
    artifact, tmp_path, monkeypatch
) -> None:
    path = tmp_path / "a.esca"
    path.write_bytes(b"old")

    def fail(target: Path, content: bytes) -> None:
        with target.open("wb") as stream:
            stream.write(content[:100])
        raise OSError("disk full")

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(OSError, match="disk full"):
        save_artifact(artifact, path)
    assert [(entry.name, entry.read_bytes()) for entry in tmp_path.iterdir()] == [
        ("a.esca", b"old")
    ]
