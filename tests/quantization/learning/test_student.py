from dataclasses import replace

import pytest
import torch

from esca.quantization.fake import fake_run
from esca.quantization.learning.student import Student
from esca.quantization.quantize import quantize
from esca.quantization.recipe import load_recipe
from esca.quantization.stages import smoothed_like
from esca.quantization.statistics import TexelMaps, collect
from esca.runtime import IntegerDecoder

MAPS = TexelMaps(face=torch.rand(16, 16), weight=torch.rand(16, 16) + 0.01)


def made(graph, feeds, granularity="channel", recipe="icas-uv"):
    statistics = collect(graph, lambda: [feeds], MAPS)
    wanted = replace(load_recipe(recipe, "w4a4"), granularity=granularity)
    quantized = quantize(graph, statistics, wanted)
    return quantized, smoothed_like(graph, quantized)


@pytest.mark.parametrize("granularity", ["channel", "channel_phase"])
@pytest.mark.parametrize("variant", ["plain", "residual", "upsample"])
def test_a_new_student_says_what_the_fake_quantized_path_says(
    decoder, frames, variant: str, granularity: str
) -> None:
    feeds = frames(6)
    quantized, wanted = made(decoder(variant), feeds, granularity)
    student = Student(quantized, wanted)
    assert torch.allclose(
        student(feeds)["texture"], fake_run(quantized, feeds)["texture"], atol=1e-5
    )
    again = student.frozen()
    for name, weight in quantized.weights.items():
        assert torch.equal(again.weights[name].values, weight.values)
    for name, bias in quantized.texel_biases.items():
        assert torch.equal(again.texel_biases[name].values, bias.values)


@pytest.mark.parametrize("variant", ["base", "warp"])
def test_every_parameter_of_an_avatar_gets_a_gradient(traced_avatar, variant: str) -> None:
    graph = traced_avatar(variant).graph
    generator = torch.Generator().manual_seed(2)
    feeds = {
        "z": torch.randn(2, 16, generator=generator),
        "view": torch.randn(2, 3, generator=generator),
    }
    quantized, wanted = made(graph, feeds)
    student = Student(quantized, wanted)
    # Without any error there is no gradient, so ask for something else than what it says.
    student(feeds)["texture"].square().mean().backward()
    blind = [
        name
        for name, parameter in student.named_parameters()
        if parameter.grad is None or not bool(parameter.grad.any())
    ]
    # A zero point learns from clipped values alone.
    assert all(name.endswith("zero") for name in blind)
    rated = [parameter for group in student.rates(0.1) for parameter in group["params"]]
    assert sorted(map(id, rated)) == sorted(map(id, student.parameters()))


def test_what_was_learned_is_what_the_integers_do(decoder, frames) -> None:
    feeds = frames(6)
    quantized, wanted = made(decoder(), feeds)
    student = Student(quantized, wanted)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in student.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.05)
    frozen = student.frozen()
    simulated = student(feeds)["texture"]
    assert torch.allclose(simulated, fake_run(frozen, feeds)["texture"], atol=1e-5)
    integer = IntegerDecoder(frozen)
    outputs = integer.run(integer.quantize(feeds))
    error = integer.dequantize("texture", outputs["texture"]) - simulated
    step = frozen.grids[frozen.graph.outputs["texture"]].scale
    # Values next to a rounding border may fall to either side, and layers behind carry that on.
    assert float(error.median()) == pytest.approx(0, abs=1e-4 * step)
    assert float(error.square().mean()) < 0.05 * float(simulated.var())
    assert torch.equal(frozen.weights["mesh"].values, quantized.weights["mesh"].values)


@pytest.mark.parametrize("variant", ["base", "warp"])
def test_what_the_mesh_depends_on_stays(traced_avatar, variant: str) -> None:
    graph = traced_avatar(variant).graph
    generator = torch.Generator().manual_seed(3)
    feeds = {"z": torch.randn(2, 16, generator=generator), "view": torch.randn(2, 3)}
    quantized, wanted = made(graph, feeds)
    student = Student(quantized, wanted)
    with torch.no_grad():
        for parameter in student.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.2)
    before, after = fake_run(quantized, feeds), fake_run(student.frozen(), feeds)
    assert torch.equal(before["mesh"], after["mesh"])
    assert not torch.equal(before["texture"], after["texture"])
    again = student.frozen().texel_biases
    ramps = [name for name, bias in quantized.texel_biases.items() if bias.ramp is not None]
    assert len(ramps) == (variant == "warp")
    assert all(again[name] is quantized.texel_biases[name] for name in ramps)
