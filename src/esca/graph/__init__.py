"""ONE small typed graph of a decoder; everything from smoothing to hardware works on it."""

from esca.graph.execute import evaluate, run
from esca.graph.graph import Graph, Node
from esca.graph.trace import trace

__all__ = ["Graph", "Node", "evaluate", "run", "trace"]
