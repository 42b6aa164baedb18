"""Which activation grids of a quantized graph learn, and how values meet those that do not."""

from collections.abc import Callable, Collection, Mapping
from typing import TypeVar

import torch
from torch import Tensor, nn

from esca.graph.graph import Graph, Node
from esca.graph.ops import Reshape
from esca.quantization.grid import Grid
from esca.quantization.learning.straight_through import snap
from esca.quantization.quantize import TiedTensors, tied_tensors

Learned = TypeVar("Learned", bound=nn.Module)


def learned_grids(
    graph: Graph, names: Collection[str], make: Callable[[TiedTensors], Learned]
) -> dict[str, Learned]:
    """What ``make`` makes of each group of feature maps on one grid; by every tensor on it.

    Only of groups that hold one of ``names``. Vectors and outputs keep their grids: vectors are few
    and wide, and what is clipped in an output shows.
    """
    shown = set(graph.outputs.values())
    chosen: dict[str, Learned] = {}
    for tied in tied_tensors(graph):
        maps = all(len(graph.by_name[name].shape) == 3 for name in tied.produced)
        reached = any(name in names for name in tied.members)
        if maps and reached and not shown.intersection(tied.members):
            chosen |= dict.fromkeys(tied.members, make(tied))
    return chosen


def on_grid(
    name: str, value: Tensor, learned: Mapping[str, nn.Module], grids: Mapping[str, Grid]
) -> Tensor:
    """A tensor on its grid, learned or not; as it is where it has none.

    Gradients pass where nothing is clipped.
    """
    if name in learned:
        made: Tensor = learned[name](value)
        return made
    grid = grids.get(name)
    if grid is None:
        return value
    zero = torch.full((1,), float(grid.zero_point))
    return snap(value, torch.full((1,), grid.scale), zero, grid.top)


def channels_last(node: Node, value: Tensor) -> Tensor:
    """A node's value, a vector that becomes a map with its channels innermost; all maps follow.

    CPUs run transposed convolutions and their gradients about twice as fast on them.
    """
    return innermost(value) if isinstance(node.op, Reshape) and value.dim() == 4 else value


def innermost(maps: Tensor) -> Tensor:
    """(..., C, H, W) in the same shape, with its channels innermost in memory."""
    return maps.movedim(-3, -1).contiguous().movedim(-1, -3)
