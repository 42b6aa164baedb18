"""Bytes that rows of a map take in the activation buffer: packed, or in the hardware's banks."""

from collections.abc import Iterable
from functools import lru_cache
from typing import Protocol

from esca.accelerator.config import AcceleratorConfig
from esca.accelerator.layout import SUB_BANKS, WORD_BYTES, Layout, find_layout
from esca.accelerator.mappings import Tiling
from esca.accelerator.plan import LayerPlan
from esca.accelerator.workload import TensorShape, WorkLayer


class Reader(Protocol):
    """A layer and, where the array runs it, how: of a plan or of a program."""

    @property
    def layer(self) -> WorkLayer:
        """What is computed."""

    @property
    def tiling(self) -> Tiling | None:
        """None on other engines."""


def bank_line_bytes(config: AcceleratorConfig) -> int:
    """Bytes of one word of all sub-banks: what places in banks are multiples of."""
    return config.array.rows * SUB_BANKS * WORD_BYTES


def footprint(
    config: AcceleratorConfig, tensor: TensorShape, rows: int, readers: Iterable[LayerPlan]
) -> int:
    """Bytes that ``rows`` rows take for these readers. With ``buffers.banked`` this follows from
    the layout that keeps the readers apart; EscaError where there is none.
    """
    packed = rows * tensor.row_bytes
    if not config.buffers.banked:
        return packed
    line = bank_line_bytes(config)
    tilings = array_readers(tensor.name, readers)
    if not tilings:
        return -(-packed // line) * line
    return _layout(tensor, tilings).holding(rows).words * line


def array_readers(tensor: str, readers: Iterable[Reader]) -> tuple[Tiling, ...]:
    """Of those of ``readers`` that stream a tensor through the array."""
    return tuple(
        reader.tiling
        for reader in readers
        if reader.tiling is not None and reader.layer.input.name == tensor
    )


# Placement asks for the same maps many times, with more or fewer rows, and allocation once more.
@lru_cache(maxsize=64)
def _layout(tensor: TensorShape, tilings: tuple[Tiling, ...]) -> Layout:
    return find_layout(tensor, tilings, tensor.height)
