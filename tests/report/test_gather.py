from types import SimpleNamespace

import numpy as np
import pytest
import torch

from esca.graph.graph import Graph, Node
from esca.graph.ops import ConvTranspose2d, Input, Linear, TexelBias
from esca.quantization.quantize import quantize
from esca.quantization.recipe import Bits, Recipe, Smoothing
from esca.quantization.statistics import TexelMaps, collect
from esca.report.gather import Gallery, details_of, parameter_bytes
from esca.report.inputs import Label
from esca.runtime.artifact import Artifact


@pytest.fixture
def graph() -> Graph:
    generator = torch.Generator().manual_seed(1)
    weights = [torch.randn(*s, generator=generator) for s in ((4, 3), (4, 4, 4, 4), (4, 2, 4, 4))]
    first = ConvTranspose2d(weights[1], torch.zeros(4), 2, 1)
    return Graph(
        (
            Node("z", Input(), (), (4, 1, 1)),
            Node("up0", first, ("z",), (4, 2, 2)),
            Node(
                "up0.bias",
                TexelBias(torch.randn(4, 2, 2, generator=generator)),
                ("up0",),
                (4, 2, 2),
            ),
            Node("up1", ConvTranspose2d(weights[2], None, 2, 1), ("up0.bias",), (2, 4, 4)),
        ),
        {"texture": "up1"},
    )


def test_parameter_bytes_count_every_tensor(graph: Graph) -> None:
    parts = parameter_bytes(graph)
    expected = {"convolutions": 4 * (256 + 128), "texel_biases": 4 * 16, "biases": 4 * 4}
    assert {name: size for name, size in parts.items() if size} == expected
    alone = Graph(
        (Node("x", Input(), (), (3,)), Node("fc", Linear(torch.ones(2, 3), None), ("x",), (2,)))
    )
    assert parameter_bytes(alone)["linear"] == 24


def test_details_hold_sizes_layers_and_smoothing(graph: Graph) -> None:
    feeds = {"z": torch.randn(3, 4, 1, 1, generator=torch.Generator().manual_seed(2))}
    statistics = collect(graph, lambda: [feeds], TexelMaps(), hessians=())
    recipe = Recipe("mine", Bits(4, 4), smoothing=Smoothing("icas"))
    details = details_of(Artifact(quantize(graph, statistics, recipe), {}), graph, feeds, "ff")
    assert details.label == Label("mine", "w4a4")
    assert details.sha256 == "ff"
    assert "name: mine" in details.recipe
    assert details.parts["convolutions"] == (256 + 128) // 2
    assert [layer.name for layer in details.layers] == ["up0", "up1"]
    assert [made.names for made in details.smoothed] == [("up1",)]
    assert details.smoothed[0].scales.shape == (4,)


def video(value: int, frames: int = 5) -> np.ndarray:
    made = np.full((frames, 2, 3, 3), value, np.uint8)
    return made + np.arange(frames, dtype=np.uint8)[:, None, None, None]


def test_gallery_keeps_middle_frames_and_one_clip() -> None:
    chosen = [Label("icas", "w4a4"), Label("rtn", "w4a4")]
    gallery = Gallery("front", chosen, 25)
    methods = [SimpleNamespace(name="fp32", bits="fp32")]
    methods += [SimpleNamespace(name=n, bits="w4a4") for n in ("rtn", "gptq", "icas")]
    for segment in ("first", "second"):
        for number, method in enumerate(methods):
            for view in ("front", "left"):
                reference = video(100) if view == "left" else None
                gallery(
                    method,
                    SimpleNamespace(name=segment),
                    SimpleNamespace(view=view, reference=reference),
                    video(10 * number) if segment == "first" else video(200),
                )
    front, left = gallery.views
    assert (front.view, front.frame) == ("front", "first, frame 3 of 5")
    assert [label.method for label in front.methods] == ["rtn", "gptq", "icas"]
    assert (front.fp32 == 2).all()
    assert (left.methods[Label("icas", "w4a4")] == 32).all()
    assert front.reference is None
    assert left.reference is not None
    assert (left.reference == 102).all()
    assert gallery.clip is not None
    assert (gallery.clip.fps, list(gallery.clip.methods)) == (25, chosen)
    assert gallery.clip.fp32.shape == (5, 2, 3, 3)


def test_gallery_without_its_view_has_no_clip() -> None:
    assert Gallery("front", []).clip is None
