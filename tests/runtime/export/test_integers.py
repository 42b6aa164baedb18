import torch

from esca.graph import Graph, Node
from esca.graph.ops import Affine, Input, LeakyRelu
from esca.quantization.recipe import load_recipe
from esca.runtime.backends.onnx_runtime import OnnxRuntimeDecoder
from esca.runtime.export.difference import differences
from esca.runtime.export.integers import channel_bias, real
from esca.runtime.export.model import quantized_model
from esca.runtime.fixed_point import fixed_point
from esca.runtime.lowering import IntegerLayer, lower


def test_float32_holds_factors_exactly() -> None:
    factors = torch.rand(1000, dtype=torch.float64) * 2.0 ** torch.randint(-40, 15, (1000,))
    exact = real(fixed_point(factors))
    assert torch.equal(exact.float().double(), exact)
    assert float(((exact - factors) / factors).abs().max()) < 2**-17


def test_channel_and_texel_biases_sum_to_the_lowered_bias(decoder, made) -> None:
    quantized = made(decoder("residual"), load_recipe("rtn", "w4a4"))
    for step in lower(quantized).steps:
        if not isinstance(step, IntegerLayer):
            continue
        unit = step.target.scale / 2**step.guard
        total = channel_bias(step, unit)
        for node in step.layer.texel_biases:
            bias = quantized.texel_biases[node.name]
            widen = real(fixed_point(bias.scale.double() / unit))[:, None, None]
            total = total + torch.floor(bias.values * widen + 0.5)
        assert torch.equal(total.expand(step.bias.shape), step.bias.double())


def test_elementwise_layers_are_exact(made) -> None:
    scale, offset = torch.tensor([0.5, -1.5]), torch.tensor([0.1, 0.2])
    nodes = (
        Node("z", Input(), (), (2,)),
        Node("view", Input(), (), (3,)),
        Node("moved", Affine(scale, offset), ("z",), (2,)),
        Node("mesh", LeakyRelu(0.2), ("moved",), (2,)),
    )
    quantized = made(Graph(nodes, {"mesh": "mesh"}), load_recipe("rtn", "w8a8"))
    generator = torch.Generator().manual_seed(3)
    feeds = {"z": torch.randn(512, 2, generator=generator), "view": torch.zeros(512, 3)}
    model = quantized_model(quantized, "cpu").SerializeToString()
    found = differences(quantized, OnnxRuntimeDecoder(model, 1).run, [feeds])
    assert found["mesh"].max < 1.01
    assert found["mesh"].same > 0.995
