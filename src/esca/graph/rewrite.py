"""Exact simplifications of a freshly traced graph."""

from dataclasses import replace

import torch

from esca.graph.graph import Graph, Node
from esca.graph.ops import Affine, Op, Reshape, TexelBias, Weighted, along, out_channel_axis


def simplify(graph: Graph) -> Graph:
    """Fold affines into the layer before them and drop what computes nothing."""
    return drop_unused(fold_affine(drop_identity_reshapes(graph)))


def fold_affine(graph: Graph) -> Graph:
    """Fold every ``x * scale + offset`` into the weighted node that alone feeds it.

    Texel biases may stand between the two; they are scaled along. The output does not change.
    """
    for node in graph.nodes:
        chain = _foldable_chain(graph, node) if isinstance(node.op, Affine) else []
        if chain:
            return fold_affine(_folded(graph, node, chain))
    return graph


def _foldable_chain(graph: Graph, affine: Node) -> list[Node]:
    """Nodes from the affine's input up to a weighted node, if nobody else reads any of them."""
    chain: list[Node] = []
    reader = affine
    while True:
        node = graph.by_name[reader.inputs[0]]
        if graph.consumers[node.name] != (reader,) or node.name in graph.outputs.values():
            return []
        chain.append(node)
        if isinstance(node.op, Weighted):
            return chain
        if not isinstance(node.op, TexelBias):
            return []
        reader = node


def _folded(graph: Graph, affine: Node, chain: list[Node]) -> Graph:
    assert isinstance(affine.op, Affine)
    ops: dict[str, Op] = {node.name: _scaled(node.op, affine.op.scale) for node in chain}
    root = chain[-1].name
    ops[root] = _shifted(ops[root], affine.op.offset)
    return _without(graph.with_ops(ops), {affine.name: affine.inputs[0]})


def _without(graph: Graph, replaced: dict[str, str]) -> Graph:
    """The graph without some nodes, whose readers read another node instead."""
    nodes = tuple(
        replace(node, inputs=tuple(replaced.get(name, name) for name in node.inputs))
        for node in graph.nodes
        if node.name not in replaced
    )
    outputs = {label: replaced.get(name, name) for label, name in graph.outputs.items()}
    return Graph(nodes, outputs)


def _scaled(op: Op, scale: torch.Tensor) -> Op:
    if isinstance(op, TexelBias):
        return TexelBias(op.bias * scale)
    assert isinstance(op, Weighted)
    vector = scale.reshape(-1)
    axis = out_channel_axis(op)
    weight = op.weight * (vector if vector.numel() == 1 else along(vector, axis, op.weight.dim()))
    return replace(op, weight=weight, bias=None if op.bias is None else op.bias * vector)


def _shifted(op: Op, offset: torch.Tensor) -> Op:
    assert isinstance(op, Weighted)
    if not bool((offset != 0).any()):
        return op
    channels = op.weight.shape[out_channel_axis(op)]
    bias = torch.zeros(channels) if op.bias is None else op.bias
    return replace(op, bias=bias + offset.reshape(-1))


def drop_identity_reshapes(graph: Graph) -> Graph:
    """Remove reshapes that keep the shape."""
    for node in graph.nodes:
        if isinstance(node.op, Reshape) and graph.by_name[node.inputs[0]].shape == node.shape:
            return drop_identity_reshapes(_without(graph, {node.name: node.inputs[0]}))
    return graph


def drop_unused(graph: Graph) -> Graph:
    """Remove nodes that no output depends on; inputs stay."""
    needed = set(graph.outputs.values())
    for node in reversed(graph.nodes):
        if node.name in needed:
            needed.update(node.inputs)
    inputs = {node.name for node in graph.inputs}
    return Graph(tuple(node for node in graph.nodes if node.name in needed | inputs), graph.outputs)
