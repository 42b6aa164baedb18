"""ONNX nodes and stored tensors in the order in which they are made, under unique names."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper
from torch import Tensor

from esca.quantization.grid import Grid
from esca.runtime.packing import pack

OPSET = 21
"""The first operator set whose QuantizeLinear and DequantizeLinear take 4 and 16 bits."""


class Writer:
    """Collects a graph. Every method that makes a value returns its name.

    ``narrow``: whether tensors of at most 4 bits are stored as INT4 and UINT4, or all as 8 bits.
    """

    def __init__(self, narrow: bool) -> None:
        self.narrow = narrow
        self.nodes: list[NodeProto] = []
        self.initializers: dict[str, TensorProto] = {}
        self._names: set[str] = set()
        self._grids: dict[tuple[str, Grid], tuple[str, str]] = {}

    def node(self, op: str, name: str, *inputs: str, **attributes: Any) -> str:
        """Append one operator with one output, which is called ``name`` (or name.2, name.3 ...)."""
        made = self._unique(name)
        self.nodes.append(helper.make_node(op, list(inputs), [made], name=made, **attributes))
        return made

    def reserve(self, name: str) -> None:
        """Keep a name for an input or output of the graph."""
        self._names.add(name)

    def real(self, name: str, values: Tensor) -> str:
        """Store float32 values."""
        return self.array(name, values.detach().to(torch.float32).contiguous().numpy())

    def array(self, name: str, values: NDArray[Any]) -> str:
        """Store an array as it is."""
        made = self._unique(name)
        self.initializers[made] = numpy_helper.from_array(np.ascontiguousarray(values), made)
        return made

    def integers(self, name: str, values: Tensor, bits: int) -> str:
        """Store signed integers of at most ``bits`` bits as INT4, INT8 or INT16."""
        made = self._unique(name)
        width = 4 if bits <= 4 and self.narrow else 8 if bits <= 8 else 16
        kind = {4: TensorProto.INT4, 8: TensorProto.INT8, 16: TensorProto.INT16}[width]
        stored = TensorProto(name=made, data_type=kind, dims=list(values.shape))
        # Two to a byte, the first in the low nibble: ONNX packs as artifacts do.
        stored.raw_data = pack(values.to(torch.int32), width).numpy().tobytes()
        self.initializers[made] = stored
        return made

    def dequantized(
        self, name: str, values: Tensor, bits: int, scale: Tensor, axis: int | None
    ) -> str:
        """Stored signed integers times ``scale``: one value, or one for each index of ``axis``."""
        stored = self.integers(f"{name}.integers", values, bits)
        if axis is None:
            return self.node(
                "DequantizeLinear", name, stored, self.real(f"{name}.scale", scale.reshape(()))
            )
        step = self.real(f"{name}.scale", scale.reshape(-1))
        return self.node("DequantizeLinear", name, stored, step, axis=axis)

    def snapped(self, name: str, value: str, grid: Grid) -> str:
        """Quantize to an activation's grid and dequantize again."""
        return self.reals(name, self.quantized(name, value, grid), grid)

    def quantized(self, name: str, value: str, grid: Grid) -> str:
        """Stored unsigned integers of reals."""
        if grid.bits != self._width(grid):
            # The stored type reaches farther than the grid, so it does not saturate there.
            value = self.clipped(name, value, grid)
        return self.node("QuantizeLinear", f"{name}.integers", value, *self._grid(name, grid))

    def reals(self, name: str, integers: str, grid: Grid) -> str:
        """Reals of stored unsigned integers."""
        return self.node("DequantizeLinear", f"{name}.real", integers, *self._grid(name, grid))

    def _grid(self, name: str, grid: Grid) -> tuple[str, str]:
        """Scale and zero point, stored once for a name and grid."""
        if (name, grid) not in self._grids:
            width = self._width(grid)
            kind = {4: TensorProto.UINT4, 8: TensorProto.UINT8, 16: TensorProto.UINT16}[width]
            raw = grid.zero_point.to_bytes(2 if width == 16 else 1, "little")
            scale = self.real(f"{name}.scale", torch.tensor(grid.scale))
            zero = self._unique(f"{name}.zero_point")
            self.initializers[zero] = TensorProto(name=zero, data_type=kind, raw_data=raw)
            self._grids[name, grid] = scale, zero
        return self._grids[name, grid]

    def clipped(self, name: str, value: str, grid: Grid) -> str:
        """Clamp to the reals that a grid reaches."""
        low, high = (
            self.real(f"{name}.{what}", torch.tensor(grid.scale * (end - grid.zero_point)))
            for what, end in (("low", 0), ("high", grid.top))
        )
        return self.node("Clip", f"{name}.clipped", value, low, high)

    def _width(self, grid: Grid) -> int:
        if grid.bits <= 4 and self.narrow:
            return 4
        return 8 if grid.bits <= 8 else 16

    def _unique(self, name: str) -> str:
        made, count = name, 2
        while made in self._names:
            made, count = f"{name}.{count}", count + 1
        self._names.add(made)
        return made
