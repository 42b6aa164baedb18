"""Layers one by one on the compiled machine, and the table that says what came of it."""

from dataclasses import replace

import pytest
import torch
from tests.accelerator.rtl.small_program import small_config
from tests.accelerator.test_program import RECIPES, quantized_of

from esca.accelerator.compiler import compile_program
from esca.accelerator.rtl.engine_records import PARTS
from esca.accelerator.rtl.layer_checks import (
    LayerCheck,
    LayerChecks,
    layer_data,
    layers_table,
    random_feeds,
)
from esca.accelerator.rtl.verify import Machine, verify
from esca.graph import Graph, Node
from esca.graph.ops import (
    Add,
    Concat,
    Conv2d,
    GridSample,
    Input,
    LeakyRelu,
    Linear,
    PixelShuffle,
    TexelBias,
    Upsample,
)

SIDE = (9, 7)
RISE = torch.linspace(-1, 1, 9)[:, None] + 0.2 * torch.linspace(-1, 1, 7)


@pytest.fixture(scope="module")
def machine():
    return Machine(small_config(), 1 << 20, PARTS)


def rand(*shape: int) -> torch.Tensor:
    return 0.3 * torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


def layers_graph() -> Graph:
    """z (24,), x (16, 9, 7) -> mesh (32,), texture (3, 9, 7), sampled where a shifted plane says;
    one layer of each kind.
    """
    large = (16, 18, 14)
    nodes = (
        Node("z", Input(), (), (24,)),
        Node("x", Input(), (), (16, *SIDE)),
        Node("fc", Linear(rand(200, 24), rand(200)), ("z",), (200,)),
        Node("slope", LeakyRelu(0.2), ("fc",), (200,)),
        Node("both", Concat(), ("z", "slope"), (224,)),
        Node("mesh", Linear(rand(32, 224), rand(32)), ("both",), (32,)),
        Node("conv", Conv2d(rand(16, 16, 3, 3), rand(16), 1, 1), ("x",), (16, *SIDE)),
        Node("sum", Add(), ("conv", "x"), (16, *SIDE)),
        Node("large", Upsample(2, "bilinear"), ("sum",), large),
        Node("fine", Conv2d(rand(3, 16, 1, 1), rand(3), 1, 0), ("large",), (3, *large[1:])),
        Node("parts", PixelShuffle(2), ("sum",), (4, *large[1:])),
        Node("coarse", Conv2d(rand(3, 4, 1, 1), rand(3), 1, 0), ("parts",), (3, *large[1:])),
        Node("colours", Conv2d(rand(3, 16, 1, 1), rand(3), 1, 0), ("sum",), (3, *SIDE)),
        Node("shift", Conv2d(0.1 * rand(2, 16, 3, 3), rand(2), 1, 1), ("sum",), (2, *SIDE)),
        Node("places", TexelBias(torch.stack([RISE, -RISE])), ("shift",), (2, *SIDE)),
        Node("texture", GridSample(), ("colours", "places"), (3, *SIDE)),
    )
    return Graph(nodes, {name: name for name in ("mesh", "texture", "fine", "coarse")})


@pytest.fixture(scope="module")
def quantized():
    feeds = {"z": rand(2, 24), "x": rand(2, 16, *SIDE)}
    return quantized_of(layers_graph(), feeds, replace(RECIPES["w8a8"], texture=10))


def test_layers_one_by_one(machine, quantized) -> None:
    layers = LayerChecks(machine)
    checks = {check.layer: check for check in layers.run(quantized, "w8a8", "[!c]*")}
    assert "the move engine takes reshapes" in checks.pop("parts").refused
    wanted = {"fc": 200, "both": 224, "mesh": 32, "large": 16 * 18 * 14, "fine": 3 * 18 * 14,
              "shift": 126, "texture": 189}  # fmt: skip
    assert {name: check.values for name, check in checks.items()} == wanted
    wrong = [check for check in checks.values() if not check.passed]
    assert not wrong, [(check.layer, check.refused, check.verification) for check in wrong]
    (conv,) = layers.run(quantized, "w8a8", "conv")  # with a residual
    assert conv.verification.jobs["biases"] == 4 * 9  # four tiles of columns, a line at a time
    # Records of so short loads do not come in time, but their half is loaded long before its turn.
    assert not conv.verification.different and {*conv.verification.late} <= {"biases"}
    jobs = checks["mesh"].verification.jobs
    assert jobs == {"linear_loads": 2, "linear": 1, "linear_stores": 1}
    assert checks["texture"].verification.jobs == {"grid_loads": 2, "grid_sample": 1, "stores": 1}
    found = layer_data(checks["fc"])
    assert (found["equal"], found["late"], found["alarms"]) == (True, 0, 0)
    (again,) = layers.run(quantized, "again", "me*")
    assert (again.bits, again.layer) == ("again", "mesh")
    assert again.verification is checks["mesh"].verification  # the same program runs once
    assert "7 of 7 equal in all integers" in layers_table([*checks.values()])


def test_linear_layers_in_one_program(machine) -> None:
    nodes = (
        Node("z", Input(), (), (20,)),
        Node("a", Linear(rand(40, 20), rand(40)), ("z",), (40,)),
        Node("slope", LeakyRelu(0.2), ("a",), (40,)),
        Node("mesh", Linear(rand(36, 40), rand(36)), ("slope",), (36,)),
        Node("b", Linear(rand(12, 20), rand(12)), ("z",), (12,)),
    )
    graph = Graph(nodes, {"mesh": "mesh", "b": "b"})
    program = compile_program(
        quantized_of(graph, {"z": rand(2, 20)}, RECIPES["w8a8"]), machine.config
    )
    found = verify(machine, program, random_feeds(program, 1))
    assert found.passed, found
    assert sorted(found.equal) == ["b", "mesh"] and found.jobs["linear"] == 3
    assert verify(machine, program, random_feeds(program, 2), 3).passed  # memory stalls


def test_what_differs_is_said() -> None:
    refused = LayerCheck("w4a4", "a", 1, None, "rtl: a: not built")
    assert not refused.passed
    assert layers_table([refused]).splitlines()[-1] == refused.refused
    assert layer_data(refused) == {
        "bits": "w4a4",
        "layer": "a",
        "values": 1,
        "passed": False,
        "refused": "rtl: a: not built",
    }
