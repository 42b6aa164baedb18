"""The graph as an integer machine sees it: layers with their epilogue, and moves between them."""

from dataclasses import dataclass

from esca.graph.graph import Graph, Node
from esca.graph.ops import (
    Add,
    Affine,
    Concat,
    GridSample,
    LeakyRelu,
    PixelShuffle,
    Reshape,
    TexelBias,
    Upsample,
    Weighted,
)

Arithmetic = Weighted | Affine | TexelBias | Add | LeakyRelu


@dataclass(frozen=True, eq=False)
class Layer:
    """One pass: ``lrelu(root(x) + texel biases + residual)``, then requantization.

    ``root`` is a weighted node, or an elementwise node that follows no weighted one. ``epilogue``
    are the fused nodes after it, in order: texel biases, at most one residual add, at most one
    leaky ReLU.
    """

    root: Node
    epilogue: tuple[Node, ...]

    @property
    def name(self) -> str:
        """The root's name, which users know."""
        return self.root.name

    @property
    def output(self) -> Node:
        """The node whose value the pass writes."""
        return self.epilogue[-1] if self.epilogue else self.root

    @property
    def members(self) -> tuple[Node, ...]:
        """Root and epilogue."""
        return (self.root, *self.epilogue)

    @property
    def texel_biases(self) -> tuple[Node, ...]:
        """Texel-bias nodes of the pass."""
        return tuple(node for node in self.members if isinstance(node.op, TexelBias))

    @property
    def residual(self) -> str | None:
        """Name of the tensor that is added, if any."""
        inside = {node.name for node in self.members}
        for node in self.members:
            if isinstance(node.op, Add):
                first = 1 if node is self.root else 0
                others = [name for name in node.inputs[first:] if name not in inside]
                return others[0]
        return None

    @property
    def slope(self) -> float | None:
        """Slope of the leaky ReLU, None without one."""
        for node in self.members:
            if isinstance(node.op, LeakyRelu):
                return node.op.slope
        return None


@dataclass(frozen=True, eq=False)
class Move:
    """A node that rearranges or interpolates values on the grid they are on."""

    node: Node


Step = Layer | Move


def tied_inputs(node: Node) -> tuple[str, ...]:
    """Inputs whose integer grid the node's output shares (for moves)."""
    if isinstance(node.op, GridSample):
        return node.inputs[:1]
    if isinstance(node.op, Reshape | Concat | Upsample | PixelShuffle):
        return node.inputs
    return ()


def schedule(graph: Graph) -> tuple[Step, ...]:
    """Layers and moves in execution order; every node but the inputs is in exactly one."""
    steps: list[Step] = []
    done: set[str] = {node.name for node in graph.inputs}
    pending = [node for node in graph.nodes if node.name not in done]
    while pending:
        node = next(
            candidate for candidate in pending if _ready(graph, candidate, done) is not None
        )
        if isinstance(node.op, Arithmetic):
            epilogue = _ready(graph, node, done) or ()
            step: Step = Layer(node, epilogue)
            fused = {node.name, *(member.name for member in epilogue)}
        else:
            step, fused = Move(node), {node.name}
        steps.append(step)
        done |= fused
        pending = [candidate for candidate in pending if candidate.name not in done]
    return tuple(steps)


def _ready(graph: Graph, node: Node, done: set[str]) -> tuple[Node, ...] | None:
    """The epilogue that can be fused behind ``node`` once ``done`` is computed, None if not ready.

    A node whose own inputs are missing is not ready; neither is one whose residual would be.
    """
    if any(name not in done for name in node.inputs):
        return None
    if not isinstance(node.op, Arithmetic):
        return ()
    epilogue: list[Node] = []
    tail = node
    while not isinstance(tail.op, LeakyRelu):
        readers = graph.consumers[tail.name]
        if len(readers) != 1 or tail.name in graph.outputs.values():
            break
        reader = readers[0]
        if isinstance(reader.op, Add):
            others = [name for name in reader.inputs if name != tail.name]
            has_residual = any(isinstance(m.op, Add) for m in (node, *epilogue))
            if has_residual or len(others) != 1 or others[0] not in done:
                break
        elif not isinstance(reader.op, TexelBias | LeakyRelu):
            break
        epilogue.append(reader)
        tail = reader
    return tuple(epilogue)
