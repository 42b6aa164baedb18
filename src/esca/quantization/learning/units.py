"""Blocks of layers that are reconstructed together, each as a graph of its own."""

from dataclasses import dataclass, replace

from esca.graph.graph import Graph, Node
from esca.graph.layers import Layer, Move, schedule
from esca.graph.ops import Conv2d, ConvTranspose2d, Input


@dataclass(frozen=True, eq=False)
class Unit:
    """One block.

    ``graph``: from the tensors it reads, as inputs, to ``target``, the tensor that its last layer
    writes. ``weighted``: its convolutions. ``read``: the feature maps that these read.
    """

    graph: Graph
    target: str
    weighted: tuple[str, ...]
    read: tuple[str, ...]

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the tensors it reads."""
        return tuple(node.name for node in self.graph.inputs)


def units(graph: Graph, layers: int, transposed_only: bool = False) -> tuple[Unit, ...]:
    """Blocks of up to ``layers`` convolutions that follow each other, in order of execution.

    A convolution joins the one before if nothing else reads what that one writes.
    """
    kinds = (ConvTranspose2d,) if transposed_only else (Conv2d, ConvTranspose2d)
    steps = schedule(graph)
    moves = {step.node.name: step.node for step in steps if isinstance(step, Move)}
    blocks: list[list[Layer]] = []
    between: list[list[Node]] = []
    for step in steps:
        if not isinstance(step, Layer) or not isinstance(step.root.op, kinds):
            continue
        path = _path(graph, moves, step.root.inputs[0])
        before = path[-1].inputs[0] if path else step.root.inputs[0]
        alone = all(
            len(graph.consumers[name]) == 1 and name not in graph.outputs.values()
            for name in (before, *(node.name for node in path))
        )
        joins = [
            index
            for index, block in enumerate(blocks)
            if block[-1].output.name == before and len(block) < layers
        ]
        if joins and alone:
            blocks[joins[0]].append(step)
            between[joins[0]].extend(path)
        else:
            blocks.append([step])
            between.append([])
    return tuple(_unit(graph, block, path) for block, path in zip(blocks, between, strict=True))


def _path(graph: Graph, moves: dict[str, Node], name: str) -> list[Node]:
    """Moves of one input that lead to a tensor, the last one first."""
    found: list[Node] = []
    while name in moves and len(moves[name].inputs) == 1:
        found.append(graph.by_name[name])
        name = moves[name].inputs[0]
    return found


def _unit(graph: Graph, block: list[Layer], path: list[Node]) -> Unit:
    inside = {node.name for layer in block for node in layer.members}
    inside |= {node.name for node in path}
    kept: list[Node] = []
    for node in graph.nodes:
        if node.name not in inside:
            continue
        known = {earlier.name for earlier in kept}
        for name in dict.fromkeys(node.inputs):
            if name not in inside and name not in known:
                kept.append(replace(graph.by_name[name], op=Input(), inputs=()))
        kept.append(node)
    target = block[-1].output.name
    return Unit(
        Graph(tuple(kept), {target: target}),
        target,
        tuple(layer.root.name for layer in block),
        tuple(dict.fromkeys(layer.root.inputs[0] for layer in block)),
    )
