"""A queue in block RAM whose words leave through registers."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory

from esca.accelerator.rtl.array import delayed
from esca.accelerator.rtl.collisions import uncollided
from esca.accelerator.rtl.near_fifo import NEAR_LATENCY, NearFifo, queue_ports

_READ = 2
"""Cycles from an address to its word behind the memory's register."""

DEEP_LATENCY = 1 + _READ + NEAR_LATENCY
"""Cycles from a word that is put in to the first in which it can be taken."""

_NEAR = 8
"""Words that wait behind it: more than are on their way there when the first is not taken."""


class DeepFifo(wiring.Component):
    """``put`` takes ``word`` while ``level`` is below ``depth``, a power of two: the words that
    wait in the memory; a few more are in registers behind it. ``there``: ``first`` is the oldest,
    ``take`` takes it.

    A block RAM gives its word so late in a cycle that a register has to follow at once.
    """

    def __init__(self, width: int, depth: int) -> None:
        self.width, self.depth = width, depth
        super().__init__(queue_ports(width, depth))

    def elaborate(self, platform: object) -> Module:
        """The memory is read ahead into a short queue."""
        m = Module()
        m.submodules.memory = memory = Memory(shape=self.width, depth=self.depth, init=[])
        m.submodules.near = near = NearFifo(self.width, _NEAR)
        source, target = memory.read_port(), memory.write_port()
        room = Signal(range(_NEAR + 1), init=_NEAR)
        asking = Signal()
        m.d.comb += [
            target.data.eq(self.word),
            target.en.eq(self.put),
            asking.eq((self.level != 0) & (room != 0)),
            near.word.eq(delayed(m, uncollided(m, platform, source, target), self.width, 1)),
            near.put.eq(delayed(m, asking, 1, _READ)),
            self.there.eq(near.there),
            self.first.eq(near.first),
            near.take.eq(self.take),
        ]
        taken = self.take & near.there
        m.d.sync += [
            target.addr.eq(target.addr + self.put),
            source.addr.eq(source.addr + asking),
            room.eq(room + taken - asking),
            self.level.eq(self.level + self.put - asking),
        ]
        return m
