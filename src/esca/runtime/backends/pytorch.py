"""The float graph in PyTorch, on the CPU or a CUDA device."""

from collections.abc import Mapping
from dataclasses import fields

import torch
from torch import Tensor

from esca.errors import EscaError
from esca.graph.execute import evaluate
from esca.graph.graph import Graph
from esca.graph.ops import Op


class TorchDecoder:
    """Runs a graph of float32 parameters, weight norms folded.

    ``device``: as PyTorch names it. ``threads``: of the whole process, which PyTorch shares; None
    leaves them. EscaError for a device that is not there.
    """

    def __init__(self, graph: Graph, device: str = "cpu", threads: int | None = None) -> None:
        try:
            self.device = torch.device(device)
        except RuntimeError as error:
            raise EscaError(f"device: {device!r}, expected cpu or cuda") from error
        if self.device.type == "cuda" and not torch.cuda.is_available():
            raise EscaError(f"device: {device!r}, and PyTorch finds no CUDA device")
        if threads is not None:
            torch.set_num_threads(threads)
        self.graph = graph.with_ops({node.name: self._moved(node.op) for node in graph.nodes})

    def run(self, feeds: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Outputs by label, on the CPU."""
        moved = {name: value.to(self.device) for name, value in feeds.items()}
        return {label: value.cpu() for label, value in evaluate(self.graph, moved).items()}

    def decode(self, z: Tensor, view: Tensor) -> tuple[Tensor, Tensor]:
        """See :class:`esca.runtime.backends.Decoder`."""
        outputs = self.run({"z": z, "view": view})
        return outputs["texture"], outputs["mesh"]

    def _moved(self, op: Op) -> Op:
        values = {field.name: getattr(op, field.name) for field in fields(op)}
        for name, value in values.items():
            if isinstance(value, Tensor):
                values[name] = value.detach().to(self.device)
        made: Op = type(op)(**values)
        return made
