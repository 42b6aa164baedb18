import pytest
import torch
import torch.nn.functional as F

from esca.errors import EscaError
from esca.graph import Graph, Node, evaluate, run
from esca.graph.graph import macs, parameters
from esca.graph.ops import Conv2d, ConvTranspose2d, Input, LeakyRelu, Linear, TexelBias
from esca.graph.rewrite import simplify

X = Node("x", Input(), (), (2, 3, 3))


def two_convs() -> Graph:
    torch.manual_seed(0)
    first = ConvTranspose2d(torch.randn(2, 3, 4, 4), torch.randn(3), 2, 1)
    second = Conv2d(torch.randn(1, 3, 3, 3), None, 1, 1)
    return Graph(
        (X, Node("a", first, ("x",), (3, 6, 6)), Node("b", second, ("a",), (1, 6, 6))), {"y": "b"}
    )


def test_readers_inputs_and_weights() -> None:
    graph = two_convs()
    assert [node.name for node in graph.consumers["x"]] == ["a"]
    assert graph.consumers["b"] == ()
    assert graph.inputs == (X,)
    assert [node.name for node in graph.weighted] == ["a", "b"]
    assert graph.weight_op("a") is graph.by_name["a"].op
    assert set(parameters(graph.by_name["a"])) == {"weight", "bias"}
    assert set(parameters(graph.by_name["b"])) == {"weight"}
    with pytest.raises(EscaError, match="'x' has no weight"):
        graph.weight_op("x")


def test_a_graph_that_does_not_hang_together_is_refused() -> None:
    late = Node("late", LeakyRelu(0.1), ("b",), (1, 6, 6))
    with pytest.raises(EscaError, match="'late' reads 'b' before it exists"):
        Graph((X, late), {})
    with pytest.raises(EscaError, match="two nodes are named 'x'"):
        Graph((X, X), {})
    with pytest.raises(EscaError, match="output 'y' is node 'gone'"):
        Graph((X,), {"y": "gone"})


def test_feeds_are_checked() -> None:
    with pytest.raises(EscaError, match="input 'x' was not fed"):
        evaluate(two_convs(), {})
    with pytest.raises(EscaError, match=r"'x' has shape \(2, 4, 3\), expected \(2, 3, 3\)"):
        evaluate(two_convs(), {"x": torch.zeros(1, 2, 4, 3)})


def test_an_observer_sees_every_node_and_may_replace_its_value() -> None:
    graph, x = two_convs(), torch.randn(2, 2, 3, 3)
    seen: list[str] = []

    def double_a(node: Node, value: torch.Tensor) -> torch.Tensor | None:
        seen.append(node.name)
        return value * 2 if node.name == "a" else None

    result = run(graph, {"x": x}, double_a)["y"]
    assert seen == ["x", "a", "b"]
    torch.testing.assert_close(result, evaluate(graph, {"x": x})["y"] * 2)


def test_gradients_flow_through_run_only() -> None:
    graph = two_convs()
    op = graph.weight_op("a")
    op.weight.requires_grad_(True)
    x = torch.randn(1, 2, 3, 3)
    assert evaluate(graph, {"x": x})["y"].grad_fn is None
    run(graph, {"x": x})["y"].sum().backward()
    inner = torch.nn.functional.conv_transpose2d(x, op.weight, op.bias, 2, 1)
    second = graph.weight_op("b")
    (expected,) = torch.autograd.grad(F.conv2d(inner, second.weight, padding=1).sum(), op.weight)
    torch.testing.assert_close(op.weight.grad, expected)


def test_macs_count_useful_products() -> None:
    # One pixel in gives 4 x 4 x 3 products a channel; one pixel out takes 3 x 3 x 3.
    assert macs(two_convs(), "a") == 9 * 2 * (4 * 4 * 3)
    assert macs(two_convs(), "b") == 36 * (3 * 3 * 3)
    line = Graph(
        (
            Node("v", Input(), (), (5,)),
            Node("l", Linear(torch.zeros(7, 5), None), ("v",), (7,)),
        ),
        {"y": "l"},
    )
    assert macs(line, "l") == 35


def test_nodes_that_no_output_needs_are_dropped_but_inputs_stay() -> None:
    graph = two_convs()
    bias = Node("unused", TexelBias(torch.zeros(3, 6, 6)), ("a",), (3, 6, 6))
    other = Node("other", Input(), (), (1,))
    simple = simplify(Graph((*graph.nodes, bias, other), graph.outputs))
    assert [node.name for node in simple.nodes] == ["x", "a", "b", "other"]
