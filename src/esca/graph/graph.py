"""Nodes in order of execution, and the graph that holds them."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from torch import Tensor

from esca.errors import EscaError
from esca.graph.ops import Conv2d, ConvTranspose2d, Input, Linear, Op, TexelBias, Weighted


@dataclass(frozen=True, eq=False)
class Node:
    """One operator applied to the outputs of earlier nodes.

    ``name`` is unique and, for parameters, the path of the module they came from. ``shape`` is the
    output's, without the batch.
    """

    name: str
    op: Op
    inputs: tuple[str, ...]
    shape: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Graph:
    """``nodes`` in execution order; ``outputs`` maps a label (``texture``, ``mesh``) to a node."""

    nodes: tuple[Node, ...]
    outputs: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for node in self.nodes:
            missing = [name for name in node.inputs if name not in seen]
            if missing:
                raise EscaError(f"graph: node {node.name!r} reads {missing[0]!r} before it exists")
            if node.name in seen:
                raise EscaError(f"graph: two nodes are named {node.name!r}")
            seen.add(node.name)
        for label, name in self.outputs.items():
            if name not in seen:
                raise EscaError(f"graph: output {label!r} is node {name!r}, which does not exist")

    @cached_property
    def by_name(self) -> dict[str, Node]:
        """Nodes by name."""
        return {node.name: node for node in self.nodes}

    @cached_property
    def consumers(self) -> dict[str, tuple[Node, ...]]:
        """For each node's name, the nodes that read it, in order."""
        readers: dict[str, list[Node]] = {node.name: [] for node in self.nodes}
        for node in self.nodes:
            for name in dict.fromkeys(node.inputs):
                readers[name].append(node)
        return {name: tuple(nodes) for name, nodes in readers.items()}

    @property
    def inputs(self) -> tuple[Node, ...]:
        """The input nodes, in order."""
        return tuple(node for node in self.nodes if isinstance(node.op, Input))

    @property
    def weighted(self) -> tuple[Node, ...]:
        """Nodes with a weight (linear, convolution, transposed convolution), in order."""
        return tuple(node for node in self.nodes if isinstance(node.op, Weighted))

    def weight_op(self, name: str) -> Weighted:
        """The operator of a weighted node."""
        op = self.by_name[name].op
        if not isinstance(op, Weighted):
            raise EscaError(f"graph: node {name!r} has no weight")
        return op

    def leading_to(self, labels: Collection[str]) -> "Graph":
        """The part of the graph that some outputs depend on; all inputs stay."""
        wanted = {self.outputs[label] for label in labels}
        for node in reversed(self.nodes):
            if node.name in wanted:
                wanted.update(node.inputs)
        nodes = tuple(n for n in self.nodes if n.name in wanted or isinstance(n.op, Input))
        return Graph(nodes, {label: self.outputs[label] for label in labels})

    def with_ops(self, ops: Mapping[str, Op]) -> "Graph":
        """The same graph with some operators exchanged."""
        return replace(
            self,
            nodes=tuple(
                replace(node, op=ops[node.name]) if node.name in ops else node
                for node in self.nodes
            ),
        )


def macs(graph: Graph, name: str) -> int:
    """Useful multiply-accumulates of one weighted node for one sample (borders not subtracted)."""
    node = graph.by_name[name]
    op = graph.weight_op(name)
    if isinstance(op, Linear):
        return op.weight.numel()
    if isinstance(op, Conv2d):
        return op.weight.numel() * node.shape[1] * node.shape[2]
    source = graph.by_name[node.inputs[0]].shape
    assert isinstance(op, ConvTranspose2d)
    return op.weight.numel() * source[1] * source[2]


def parameters(node: Node) -> dict[str, Tensor]:
    """The tensors of a node's operator that a checkpoint holds, by field name."""
    op = node.op
    if isinstance(op, Weighted):
        return {"weight": op.weight} | ({} if op.bias is None else {"bias": op.bias})
    return {"bias": op.bias} if isinstance(op, TexelBias) else {}
