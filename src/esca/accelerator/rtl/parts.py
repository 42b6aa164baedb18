"""The machine and the parts of it that can be looked at alone."""

from collections.abc import Callable, Mapping

from amaranth.lib import wiring

from esca.accelerator.config import AcceleratorConfig
from esca.accelerator.hardware.jobs import bus_bytes
from esca.accelerator.rtl.accumulators import Accumulators
from esca.accelerator.rtl.activations import bank_words
from esca.accelerator.rtl.array import Array
from esca.accelerator.rtl.drain import Drain, drain_sizes
from esca.accelerator.rtl.overlap_add import OverlapAdd
from esca.accelerator.rtl.params import parameters
from esca.accelerator.rtl.path import Path
from esca.accelerator.rtl.requantize import Lane
from esca.accelerator.rtl.ring import ring_rows
from esca.accelerator.rtl.top import Top
from esca.errors import EscaError

TOP = "top"


def _path(config: AcceleratorConfig) -> wiring.Component:
    return Path(parameters(config), bank_words(config), ring_rows(config), bus_bytes(config))


def _accumulators(config: AcceleratorConfig) -> wiring.Component:
    p = parameters(config)
    return OverlapAdd(p) if p.overlaps else Accumulators(p)


def _drain(config: AcceleratorConfig) -> wiring.Component:
    return Drain(parameters(config), drain_sizes(config))


PARTS: Mapping[str, Callable[[AcceleratorConfig], wiring.Component]] = {
    TOP: Top,
    "path": _path,
    "array": lambda config: Array(parameters(config)),
    "accumulators": _accumulators,
    "drain": _drain,
    "lane": lambda config: Lane(drain_sizes(config).lane_latency, residuals=False),
}
"""``top``: everything. ``path``: banks of activations, front end, weight ring and feed, array and
accumulators. ``drain``: epilogue, texel biases and results. ``lane``: one of the epilogue's.
"""


def mapped_flat(part: str) -> bool:
    """Whether a part is mapped across its modules: not one in which modules stand many times. They
    would take minutes, and share their registers, so that one drives what lies far apart.
    """
    return part not in (TOP, "path", "array")


def part_of_machine(config: AcceleratorConfig, part: str) -> wiring.Component:
    """One of :data:`PARTS` for a configuration; EscaError where there is none."""
    if part not in PARTS:
        raise EscaError(f"rtl: part {part!r}, expected one of {', '.join(PARTS)}")
    return PARTS[part](config)
