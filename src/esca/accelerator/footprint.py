"""Bytes that rows of a map take in the activation buffer: packed, or in the hardware's banks."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from esca.accelerator.config import AcceleratorConfig
from esca.accelerator.layout import SUB_BANKS, WORD_BYTES, Layout, find_layout
from esca.accelerator.mappings import Tiling
from esca.accelerator.plan import LayerPlan
from esca.accelerator.workload import TensorShape


def bank_line_bytes(config: AcceleratorConfig) -> int:
    """Bytes of one word of all sub-banks: what places in banks are multiples of."""
    return config.array.rows * SUB_BANKS * WORD_BYTES


@dataclass(frozen=True, eq=False)
class Footprints:
    """Footprints in the activation buffer of ``config``; layouts that were found are kept."""

    config: AcceleratorConfig
    _layouts: dict[tuple[str, tuple[int, ...]], Layout] = field(default_factory=dict)

    def bytes(self, tensor: TensorShape, rows: int, readers: Iterable[LayerPlan]) -> int:
        """What ``rows`` rows take for these readers. With ``buffers.banked`` this follows from the
        layout that keeps the readers apart; EscaError where there is none.
        """
        packed = rows * tensor.row_bytes
        if not self.config.buffers.banked:
            return packed
        line = bank_line_bytes(self.config)
        tilings = [
            plan.tiling
            for plan in readers
            if plan.tiling is not None and plan.layer.input.name == tensor.name
        ]
        if not tilings:
            return -(-packed // line) * line
        return self._layout(tensor, tilings).holding(rows).words * line

    def _layout(self, tensor: TensorShape, tilings: list[Tiling]) -> Layout:
        key = tensor.name, tuple(id(tiling) for tiling in tilings)
        if key not in self._layouts:
            self._layouts[key] = find_layout(tensor, tilings, tensor.height)
        return self._layouts[key]
