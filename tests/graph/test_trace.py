import warnings
from collections.abc import Callable
from functools import cache

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from esca.avatars import VARIANTS
from esca.errors import EscaError
from esca.graph import evaluate, trace
from esca.graph.graph import Graph
from esca.graph.ops import (
    Add,
    Affine,
    Conv2d,
    GridSample,
    Input,
    LeakyRelu,
    Op,
    TexelBias,
    Upsample,
)

warnings.filterwarnings("ignore", category=FutureWarning)


class Toy(nn.Module):
    """A decoder whose forward is a function of its parts and inputs."""

    def __init__(self, body: Callable[..., object], **parts: nn.Module) -> None:
        super().__init__()
        self.body = body
        for name, part in parts.items():
            self.add_module(name, part)

    def forward(self, *inputs: Tensor) -> object:
        return self.body(self, *inputs)


def conv(cin: int, cout: int, kernel: int = 1, **how: object) -> nn.Conv2d:
    return nn.Conv2d(cin, cout, kernel, **how)


def made(module: nn.Module, *shapes: tuple[int, ...]) -> Graph:
    """Trace and hold the graph against the module on a batch of another size."""
    torch.manual_seed(5)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5)
    graph = trace(module.eval(), {f"x{i}": shape for i, shape in enumerate(shapes)}, ["y"])
    feeds = {f"x{i}": torch.randn(3, *shape) for i, shape in enumerate(shapes)}
    with torch.no_grad():
        expected = module(*feeds.values())
    torch.testing.assert_close(evaluate(graph, feeds)["y"], expected, atol=1e-5, rtol=1e-5)
    assert all(node.shape for node in graph.nodes)
    return graph


def kinds(graph: Graph) -> list[type[Op]]:
    return [type(node.op) for node in graph.nodes]


def with_alias(s: Toy, x: Tensor) -> Tensor:
    first = s.a(x)
    second = s.b(first)
    first.mul_(2)  # after `second` read it
    return second + first


def in_place(s: Toy, x: Tensor) -> Tensor:
    h = s.a(x)
    F.leaky_relu_(h, 0.1)
    return s.b(h) + h


def without_gradient(s: Toy, x: Tensor) -> Tensor:
    with torch.no_grad():
        weight = s.a.weight / s.a.weight.norm()
    return F.conv2d(x, weight, s.a.bias)


def warped(s: Toy, x: Tensor) -> Tensor:
    grid = s.b(x) / 4 + torch.linspace(-1.2, 1.2, 4).reshape(1, 1, 1, 4)
    return F.grid_sample(s.a(x), grid.permute(0, 2, 3, 1), align_corners=False)


def warped_channels_last(s: Toy, x: Tensor) -> Tensor:
    grid = s.b(x).permute(0, 2, 3, 1) * torch.tensor([0.5, -0.25])
    grid = grid + torch.linspace(-1, 1, 32).reshape(1, 4, 4, 2)
    return F.grid_sample(s.a(x), grid, align_corners=False)


MAP = (2, 4, 4)
TOYS = {
    "one after another": (
        nn.Sequential(
            conv(2, 3, 3, padding=1, stride=2),
            nn.Conv2d(3, 3, (3, 1), padding=1),
            nn.ReLU(inplace=True),
            nn.ConvTranspose2d(3, 2, 4, 2, 1),
            nn.ConvTranspose2d(2, 12, 3, 2, 1, output_padding=1, bias=False),
            nn.PixelShuffle(2),
            nn.Dropout(0.5),
            nn.Upsample(scale_factor=2, mode="bilinear"),
        ),
        [MAP],
    ),
    "leaky relu in place": (Toy(in_place, a=conv(2, 3), b=conv(3, 3)), [MAP]),
    "write after read": (Toy(with_alias, a=conv(2, 3), b=conv(3, 3)), [MAP]),
    "nearest": (Toy(lambda s, x: F.interpolate(s.a(x), scale_factor=3), a=conv(2, 3)), [MAP]),
    "bilinear by size": (nn.Sequential(conv(2, 3), nn.Upsample(size=12, mode="bilinear")), [MAP]),
    "residual": (Toy(lambda s, x: F.leaky_relu(s.a(x) + x, 0.2), a=conv(2, 2)), [MAP]),
    "sum with itself": (Toy(lambda s, x: (lambda y: y + y)(s.a(x)), a=conv(2, 2)), [MAP]),
    "concat": (Toy(lambda s, x, y: s.a(torch.cat([x, y], 1)), a=conv(5, 2)), [MAP, (3, 4, 4)]),
    "concat of vectors": (
        Toy(lambda s, x, y: s.a(torch.cat((x, y), -1)), a=nn.Linear(5, 2)),
        [(2,), (3,)],
    ),
    "permuted grid": (Toy(warped, a=conv(2, 3), b=conv(2, 2)), [MAP]),
    "channel-last grid": (Toy(warped_channels_last, a=conv(2, 3), b=conv(2, 2)), [MAP]),
    "no_grad constant": (Toy(without_gradient, a=conv(2, 3)), [MAP]),
    "weight norm": (nn.Sequential(nn.utils.parametrizations.weight_norm(conv(2, 3, 3))), [MAP]),
    "reshapes": (
        nn.Sequential(
            conv(2, 4, 3),
            nn.Flatten(),
            nn.Linear(16, 5),
            nn.Linear(5, 3, bias=False),
            nn.Unflatten(1, (3, 1, 1)),
            conv(3, 2),
        ),
        [MAP],
    ),
}


@cache
def made_toy(name: str) -> Graph:
    module, shapes = TOYS[name]
    return made(module, *shapes)


@pytest.mark.parametrize("name", TOYS)
def test_toy_decoders_equal_their_modules(name: str) -> None:
    made_toy(name)


def test_what_the_operators_become() -> None:
    assert kinds(made_toy("weight norm")) == [Input, Conv2d]
    assert kinds(made_toy("residual")) == [Input, Conv2d, Add, LeakyRelu]
    assert kinds(made_toy("permuted grid")).count(GridSample) == 1
    factor = made_toy("bilinear by size").nodes[-1].op
    assert isinstance(factor, Upsample)
    assert (factor.factor, factor.mode) == (3, "bilinear")


def test_a_bias_per_channel_is_folded_and_one_per_texel_is_not() -> None:
    per_channel = Toy(lambda s, x: s.a(x) + s.bias[None], a=conv(2, 3))
    per_channel.bias = nn.Parameter(torch.randn(3, 1, 1))
    assert kinds(made(per_channel, MAP)) == [Input, Conv2d]
    per_texel = Toy(lambda s, x: s.a(x) + s.bias, a=conv(2, 3))
    per_texel.bias = nn.Parameter(torch.randn(1, 3, 4, 4))
    assert kinds(made(per_texel, MAP)) == [Input, Conv2d, TexelBias]
    one_row = Toy(lambda s, x: s.a(x) + s.bias, a=conv(2, 3))
    one_row.bias = nn.Parameter(torch.randn(4))
    assert kinds(made(one_row, MAP)) == [Input, Conv2d, TexelBias]


def test_affines_fold_through_texel_biases_and_not_past_readers() -> None:
    folded = Toy(lambda s, x: (s.a(x) + s.bias) * s.gain / 3 - 0.5, a=conv(2, 3))
    folded.bias = nn.Parameter(torch.randn(1, 3, 4, 4))
    folded.gain = nn.Parameter(torch.randn(3, 1, 1))
    assert kinds(made(folded, MAP)) == [Input, Conv2d, TexelBias]

    def read_twice(s: Toy, x: Tensor) -> Tensor:
        y = s.a(x)
        return y * 2 + F.leaky_relu(y)

    assert Affine in kinds(made(Toy(read_twice, a=conv(2, 3)), MAP))
    assert Affine in kinds(made(Toy(lambda s, x: s.a(x * 2 - 1), a=conv(2, 3)), MAP))


def test_slices_of_a_linear_layer_become_linear_layers() -> None:
    def body(s: Toy, x: Tensor) -> Tensor:
        h = s.a(x) * torch.linspace(1, 2, 5) / 3 + 1
        return torch.cat([h[:, -3:] * 2, h[:, :2]], 1)

    graph = made(Toy(body, a=nn.Linear(4, 5)), (4,))
    assert [node.op.weight.shape for node in graph.weighted] == [(3, 4), (2, 4)]
    assert not any(isinstance(node.op, Affine) for node in graph.nodes)


def test_layers_are_named_by_their_path() -> None:
    graph = trace(nn.Sequential(nn.Sequential(conv(2, 3)), nn.ReLU(), conv(3, 1)), {"x": MAP}, "y")
    assert [node.name for node in graph.nodes] == ["x", "0.0", "0.0.lrelu", "2"]
    assert trace(conv(2, 3), {"x": MAP}, "y").nodes[-1].name == "conv2d"


def test_a_layer_called_twice_becomes_two_nodes() -> None:
    graph = made(Toy(lambda s, x: s.a(F.relu(s.a(x))), a=conv(2, 2)), MAP)
    assert [node.name for node in graph.weighted] == ["a", "a.2"]


@pytest.mark.parametrize("variant", VARIANTS)
def test_avatar_decoders_equal_their_modules(variant: str, traced_avatar: Callable) -> None:
    avatar, graph = traced_avatar(variant)
    torch.manual_seed(2)
    z, view = torch.randn(3, 16), torch.randn(3, 3)
    with torch.no_grad():
        texture, mesh = avatar.decoder(z, view)
    outputs = evaluate(graph, {"z": z, "view": view})
    assert float(texture.std()) > 0.05
    for label, value in (("texture", texture), ("mesh", mesh)):
        assert float((outputs[label] - value).abs().max()) <= 1e-5 * float(value.abs().max())
    texel_biases = sum(isinstance(node.op, TexelBias) for node in graph.nodes)
    # `warp` has eight more in its field and one for the normal grid.
    assert texel_biases == {"non": 0, "warp": 17}.get(variant, 8)
    assert not any(isinstance(node.op, Affine) for node in graph.nodes)


# `base`, `non`, `bilinear` and `warp` share one encoder.
@pytest.mark.parametrize("variant", ["base", "res"])
def test_avatar_encoders_equal_their_modules(variant: str, traced_avatar: Callable) -> None:
    avatar, _ = traced_avatar(variant)
    shapes = {"average_texture": (3, 256, 256), "mesh": (150,)}
    graph = trace(avatar.encoder, shapes, ("mean", "logstd"))
    feeds = {name: torch.randn(2, *shape) for name, shape in shapes.items()}
    with torch.no_grad():
        mean, logstd = avatar.encoder(*feeds.values())
    outputs = evaluate(graph, feeds)
    torch.testing.assert_close(outputs["mean"], mean, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(outputs["logstd"], logstd, atol=1e-5, rtol=1e-5)


UNSUPPORTED = {
    "sigmoid": ("tail", nn.Sequential(conv(2, 3), nn.Sigmoid())),
    "batch_norm": ("tail", nn.Sequential(conv(2, 3), nn.BatchNorm2d(3))),
    "groups=2": ("deep.1", nn.Sequential(nn.ReLU(), conv(2, 4, groups=2))),
    "dilation=": ("deep.1", nn.Sequential(nn.ReLU(), conv(2, 4, 3, dilation=2, padding=2))),
    "padding=": ("deep.1", nn.Sequential(nn.ReLU(), conv(2, 4, 3, padding=(1, 0)))),
    "stride=": ("deep.1", nn.Sequential(nn.ReLU(), conv(2, 4, 3, stride=(1, 2)))),
    "align_corners=True": (
        "deep.1",
        nn.Sequential(conv(2, 3), nn.Upsample(None, 2, "bilinear", align_corners=True)),
    ),
}


@pytest.mark.parametrize("what", UNSUPPORTED)
def test_unsupported_operators_are_named_with_their_layer(what: str) -> None:
    _, module = UNSUPPORTED[what]
    with pytest.raises(EscaError, match=rf"layer 'deep.1' uses .*{what}"):
        trace(Toy(lambda s, x: s.deep(x), deep=module), {"x": MAP}, ["y"])


REFUSED: dict[str, Callable[..., object]] = {
    "mean": lambda s, x: s.a(x) - s.a(x).mean(0, keepdim=True),
    "product of two traced": lambda s, x: s.a(x) * x,
    "subtraction of a traced": lambda s, x: torch.ones(2, 1, 1) - s.a(x),
    "one factor a texel": lambda s, x: s.a(x) * torch.ones(4, 4),
    "spreads": lambda s, x: s.a(x).reshape(-1, 1, 8, 4) + torch.ones(2, 1, 1),
    "division that rounds": lambda s, x: torch.div(s.a(x), 2, rounding_mode="floor"),
    "upsample from": lambda s, x: F.interpolate(s.a(x), scale_factor=2.1, mode="bilinear"),
    "upsample from ": lambda s, x: F.interpolate(s.a(x), size=(8, 4)),
    "slope 2": lambda s, x: F.leaky_relu(s.a(x), 2.0),
    "constant where": lambda s, x: torch.cat([s.a(x), torch.ones(2, 1, 4, 4)], 1),
    "permute to": lambda s, x: s.a(x).permute(0, 1, 3, 2),
    "permuted tensor outside": lambda s, x: F.relu(s.a(x).permute(0, 2, 3, 1)),
    "constant grid": lambda s, x: F.grid_sample(
        s.a(x), torch.zeros(2, 3, 3, 2), align_corners=False
    ),
    "grid_sample other": lambda s, x: F.grid_sample(
        s.a(x), s.a(x).permute(0, 2, 3, 1), align_corners=True
    ),
    "slice of anything": lambda s, x: s.a(x)[:, :1],
    "first axis is not the batch": lambda s, x: s.a(x).sum(),
    "an add with alpha": lambda s, x: torch.add(s.a(x), x, alpha=3),
    "no tensor": lambda s, x: s.a(x) + torch.rand(4, generator=torch.Generator()),
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_the_graph_cannot_hold_is_refused(message: str) -> None:
    expected = "sum" if message.startswith("first axis") else message.strip()
    with pytest.raises(EscaError, match=rf"^trace: layer .*{expected}"):
        trace(Toy(REFUSED[message], a=conv(2, 2)), {"x": MAP}, ["y"])


def test_a_forward_that_changes_a_buffer_is_refused() -> None:
    def count(s: Toy, x: Tensor) -> Tensor:
        s.calls.add_(1)
        return s.a(x)

    module = Toy(count, a=conv(2, 2))
    module.register_buffer("calls", torch.zeros(()))
    with pytest.raises(EscaError, match="changes its buffer 'calls'"):
        trace(module, {"x": MAP}, ["y"])


def test_wrong_inputs_and_outputs_are_named() -> None:
    with pytest.raises(EscaError, match=r"Conv2d cannot be exported with inputs \{'x': \(3, 4, 4"):
        trace(conv(2, 3), {"x": (3, 4, 4)}, ["y"])
    with pytest.raises(EscaError, match="too many positional arguments"):
        trace(conv(2, 3), {"x": MAP, "more": (2,)}, ["y"])
    two = Toy(lambda s, x: (s.a(x), x), a=conv(2, 3))
    with pytest.raises(EscaError, match=r"returns 2 tensors, expected 1 \(y\)"):
        trace(two, {"x": MAP}, ["y"])
    with pytest.raises(EscaError, match="returns 1 tensors, expected 2 "):
        trace(conv(2, 3), {"x": MAP}, ["texture", "mesh"])
    constant = Toy(lambda s, x: (s.a(x), torch.ones(2, 3)), a=conv(2, 3))
    with pytest.raises(EscaError, match="output 'b' does not depend on the inputs"):
        trace(constant, {"x": MAP}, ["a", "b"])


def test_tracing_leaves_the_module_alone_and_shares_nothing_with_it() -> None:
    module = nn.Sequential(
        conv(2, 2), nn.Dropout(), nn.utils.parametrizations.weight_norm(conv(2, 2))
    )
    module.train()
    module[1].eval()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    graph = trace(module, {"x": MAP}, ["y"])
    assert [part.training for part in module.children()] == [True, False, True]
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())
    assert all(parameter.requires_grad for parameter in module.parameters())

    feeds = {"x": torch.randn(1, *MAP)}
    output = evaluate(graph, feeds)["y"]
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.fill_(7.0)
    assert torch.equal(evaluate(graph, feeds)["y"], output)
    assert not any(op.weight.requires_grad for op in (node.op for node in graph.weighted))
