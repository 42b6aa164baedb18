"""The weight ring: rows of two bytes a column, filled by DMA, read by the feed a row a cycle."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from esca.accelerator.config import AcceleratorConfig
from esca.accelerator.rtl.bursts import ROW_BITS
from esca.accelerator.rtl.collisions import uncollided
from esca.accelerator.rtl.params import Parameters
from esca.accelerator.rtl.records import LOAD_WEIGHTS
from esca.errors import EscaError

RING_LATENCY = 2
"""Cycles from a row's number to its bytes."""

RING_WRITE = 2
"""Cycles from a word at ``write`` to the first in which its row may be asked for."""


def row_bytes(p: Parameters) -> int:
    """Bytes of a row."""
    return 2 * p.columns


def ring_rows(config: AcceleratorConfig) -> int:
    """Rows of the ring; EscaError where it does not wrap by itself."""
    rows, rest = divmod(config.buffers.weight_bytes, 2 * config.array.columns)
    if rest or rows & (rows - 1):
        raise EscaError(
            f"rtl: {config.name}: buffers.weight_bytes is {config.buffers.weight_bytes}, expected "
            f"a power of two times {2 * config.array.columns}"
        )
    return rows


def write_shape(bus_bytes: int) -> data.StructLayout:
    """A word of a load: ``word`` of those that begin in row ``ring``."""
    first = LOAD_WEIGHTS.members["ring"]
    content = data.ArrayLayout(8, bus_bytes)
    return data.StructLayout({"valid": 1, "ring": first, "word": ROW_BITS, "data": content})


class Ring(wiring.Component):
    """``rows``, a power of two; behind the last comes the first. ``row``: the bytes at ``read``,
    ``RING_LATENCY`` cycles later. ``write``: a word of the memory port, which is no wider than a
    row; its row may be read ``RING_WRITE`` cycles later.
    """

    def __init__(self, p: Parameters, rows: int, bus_bytes: int) -> None:
        parts, rest = divmod(row_bytes(p), bus_bytes)
        if rest or parts & (parts - 1):
            raise EscaError(
                f"rtl: DMA moves {bus_bytes} bytes a cycle, rows of weights have "
                f"{row_bytes(p)}, expected a power of two times as many"
            )
        self.p, self.rows, self.bus_bytes = p, rows, bus_bytes
        super().__init__(
            {
                "read": In(range(rows)),
                "row": Out(8 * row_bytes(p)),
                "write": In(write_shape(bus_bytes)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """A memory with a register before what is written and one behind what is read."""
        m = Module()
        memory = Memory(shape=8 * row_bytes(self.p), depth=self.rows, init=[])
        m.submodules.memory = memory
        source = memory.read_port()
        target = memory.write_port(granularity=8 * self.bus_bytes)
        parts = row_bytes(self.p) // self.bus_bytes
        shift = (parts - 1).bit_length()
        word = self.write.word
        content = Signal(8 * self.bus_bytes)
        m.d.sync += [
            self.row.eq(uncollided(m, platform, source, target)),
            content.eq(self.write.data.as_value()),
            target.addr.eq(self.write.ring + (word >> shift)),
            target.en.eq(Mux(self.write.valid, 1 << word[:shift], 0)),
        ]
        m.d.comb += [source.addr.eq(self.read), target.data.eq(content.replicate(parts))]
        return m
