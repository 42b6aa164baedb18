"""Layers one by one on the compiled machine, and the table that says what came of it."""

from dataclasses import replace

import pytest
import torch
from tests.accelerator.rtl.small_program import small_config
from tests.accelerator.test_program import RECIPES, quantized_of

from esca.accelerator.rtl.layer_checks import LayerCheck, LayerChecks, layer_data, layers_table
from esca.accelerator.rtl.verify import Machine
from esca.graph import Graph, Node
from esca.graph.ops import Concat, Conv2d, Input, LeakyRelu, Linear, TexelBias

RISE = torch.linspace(-1, 1, 9)[:, None] + 0.5 * torch.linspace(-1, 1, 7)


@pytest.fixture(scope="module")
def machine():
    return Machine(small_config(), 1 << 20)


def layers_graph() -> Graph:
    """z (20,), x (16, 9, 7) -> mesh (36,), places (2, 9, 7); a map that is shifted by a plane."""
    generator = torch.Generator().manual_seed(3)

    def rand(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator) * 0.3

    nodes = (
        Node("z", Input(), (), (20,)),
        Node("x", Input(), (), (16, 9, 7)),
        Node("fc", Linear(rand(200, 20), rand(200)), ("z",), (200,)),
        Node("slope", LeakyRelu(0.2), ("fc",), (200,)),
        Node("both", Concat(), ("z", "slope"), (220,)),
        Node("mesh", Linear(rand(36, 220), rand(36)), ("both",), (36,)),
        Node("shift", Conv2d(0.1 * rand(2, 16, 3, 3), rand(2), 1, 1), ("x",), (2, 9, 7)),
        Node("places", TexelBias(torch.stack([RISE, -RISE])), ("shift",), (2, 9, 7)),
    )
    return Graph(nodes, {"mesh": "mesh", "places": "places"})


@pytest.fixture(scope="module")
def quantized():
    generator = torch.Generator().manual_seed(1)
    feeds = {
        "z": torch.randn(2, 20, generator=generator),
        "x": torch.randn(2, 16, 9, 7, generator=generator),
    }
    return quantized_of(layers_graph(), feeds, replace(RECIPES["w8a8"], texture=16))


def test_layers_one_by_one(machine, quantized) -> None:
    layers = LayerChecks(machine)
    checks = {check.layer: check for check in layers.run(quantized, "w8a8")}
    assert [*checks] == ["fc", "both", "mesh", "shift"]
    assert "is a move: not built" in checks["both"].refused
    (again,) = layers.run(quantized, "again", "me*")
    assert (again.bits, again.layer) == ("again", "mesh")
    assert again.verification is checks["mesh"].verification  # the same program runs once
    for name, values in (("fc", 200), ("mesh", 36), ("shift", 126)):
        check = checks[name]
        assert check.passed and check.values == values, (check.refused, check.verification)
    jobs = checks["mesh"].verification.jobs
    assert jobs == {"linear_loads": 2, "linear": 1, "linear_stores": 1}
    found = layer_data(checks["fc"])
    assert (found["equal"], found["late"], found["alarms"]) == (True, 0, 0)
    table = layers_table([*checks.values()])
    assert "3 of 4 equal in all integers and start cycles" in table
    assert table.splitlines()[-1] == checks["both"].refused


def test_what_differs_is_said() -> None:
    refused = LayerCheck("w4a4", "a", 1, None, "rtl: a: not built")
    assert not refused.passed
    assert layer_data(refused) == {
        "bits": "w4a4",
        "layer": "a",
        "values": 1,
        "passed": False,
        "refused": "rtl: a: not built",
    }
