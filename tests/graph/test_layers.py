import pytest
import torch

from esca.avatars import VARIANTS
from esca.graph.graph import Graph, Node
from esca.graph.layers import Layer, Move, schedule
from esca.graph.ops import Add, Affine, Conv2d, Input, LeakyRelu, Op, TexelBias, Upsample

SHAPE = (2, 4, 4)


def chain(*nodes: tuple[str, Op, tuple[str, ...]], outputs: dict[str, str]) -> Graph:
    x = Node("x", Input(), (), SHAPE)
    return Graph((x, *(Node(name, op, inputs, SHAPE) for name, op, inputs in nodes)), outputs)


def conv() -> Conv2d:
    return Conv2d(torch.randn(2, 2, 1, 1), None, 1, 0)


def bias() -> TexelBias:
    return TexelBias(torch.randn(SHAPE))


def members(graph: Graph) -> list[tuple[str, ...]]:
    return [
        tuple(node.name for node in step.members) if isinstance(step, Layer) else (step.node.name,)
        for step in schedule(graph)
    ]


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_node_of_an_avatar_is_in_one_step_after_its_inputs(variant, traced_avatar) -> None:
    graph = traced_avatar(variant).graph
    flat = [name for group in members(graph) for name in group]
    assert sorted(flat) == sorted(
        node.name for node in graph.nodes if not isinstance(node.op, Input)
    )
    seen = {node.name for node in graph.inputs}
    for step in schedule(graph):
        if isinstance(step, Move):
            assert set(step.node.inputs) <= seen
            seen.add(step.node.name)
            continue
        assert set(step.root.inputs) <= seen
        assert step.residual is None or step.residual in seen
        inside = {node.name for node in step.members}
        assert all(set(node.inputs) <= seen | inside for node in step.members)
        seen |= inside
    # All activations of an avatar come straight after a layer, so none costs a pass of its own.
    roots = [step.root.op for step in schedule(graph) if isinstance(step, Layer)]
    assert not any(isinstance(op, LeakyRelu | TexelBias | Add) for op in roots)


def test_bias_residual_and_activation_are_fused_in_order() -> None:
    graph = chain(
        ("a", conv(), ("x",)),
        ("b", conv(), ("a",)),
        ("b.bias", bias(), ("b",)),
        ("sum", Add(), ("a", "b.bias")),
        ("act", LeakyRelu(0.1), ("sum",)),
        outputs={"y": "act"},
    )
    assert members(graph) == [("a",), ("b", "b.bias", "sum", "act")]
    layer = schedule(graph)[1]
    assert isinstance(layer, Layer)
    assert (layer.residual, layer.slope, layer.output.name) == ("a", 0.1, "act")
    assert [node.name for node in layer.texel_biases] == ["b.bias"]


def test_a_tensor_with_two_readers_or_that_is_an_output_is_written() -> None:
    two_readers = chain(
        ("a", conv(), ("x",)),
        ("act", LeakyRelu(0.1), ("a",)),
        ("sum", Add(), ("act", "a")),
        outputs={"y": "sum"},
    )
    assert members(two_readers) == [("a",), ("act",), ("sum",)]
    root_add = schedule(two_readers)[2]
    assert isinstance(root_add, Layer)
    assert (root_add.root.inputs[0], root_add.residual) == ("act", "a")
    an_output = chain(
        ("a", conv(), ("x",)), ("act", LeakyRelu(0.1), ("a",)), outputs={"y": "act", "raw": "a"}
    )
    assert members(an_output) == [("a",), ("act",)]


def test_the_later_branch_takes_the_residual() -> None:
    graph = chain(
        ("a", conv(), ("x",)),
        ("b", conv(), ("x",)),
        ("sum", Add(), ("a", "b")),
        ("act", LeakyRelu(0.2), ("sum",)),
        outputs={"y": "act"},
    )
    assert members(graph) == [("a",), ("b", "sum", "act")]
    second = schedule(graph)[1]
    assert isinstance(second, Layer)
    assert second.residual == "a"


def test_one_residual_a_pass_and_nothing_after_the_activation() -> None:
    graph = chain(
        ("a", conv(), ("x",)),
        ("first", Add(), ("a", "x")),
        ("second", Add(), ("first", "x")),
        ("act", LeakyRelu(0.2), ("second",)),
        ("late", bias(), ("act",)),
        outputs={"y": "late"},
    )
    assert members(graph) == [("a", "first"), ("second", "act"), ("late",)]
    doubled = chain(("a", conv(), ("x",)), ("twice", Add(), ("a", "a")), outputs={"y": "twice"})
    assert members(doubled) == [("a",), ("twice",)]
    step = schedule(doubled)[1]
    assert isinstance(step, Layer)
    assert step.residual == "a"


def test_moves_and_affines_stand_alone() -> None:
    graph = chain(
        ("scaled", Affine(torch.tensor(2.0), torch.tensor(1.0)), ("x",)),
        ("act", LeakyRelu(0.2), ("scaled",)),
        ("same", Upsample(1, "nearest"), ("act",)),
        ("moved", bias(), ("same",)),
        outputs={"y": "moved"},
    )
    assert members(graph) == [("scaled", "act"), ("same",), ("moved",)]
    assert isinstance(schedule(graph)[1], Move)
