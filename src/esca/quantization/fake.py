"""The fake-quantized float path: what the integers mean, in floats, with gradients if wanted."""

from collections.abc import Mapping

from torch import Tensor

from esca.graph.execute import Observer, run
from esca.graph.graph import Node
from esca.quantization.quantize import QuantizedGraph


def fake_run(
    quantized: QuantizedGraph, feeds: Mapping[str, Tensor], observe: Observer | None = None
) -> dict[str, Tensor]:
    """Run the dequantized graph and snap every tensor that has a grid to it.

    ``observe`` sees each node's value after snapping.
    """

    def snap(node: Node, value: Tensor) -> Tensor:
        grid = quantized.grids.get(node.name)
        snapped = value if grid is None else grid.fake(value)
        if observe is not None:
            observe(node, snapped)
        return snapped

    return run(quantized.graph, feeds, snap)
