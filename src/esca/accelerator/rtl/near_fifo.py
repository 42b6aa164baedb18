"""A queue in a small memory whose first word stands in a register."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Member, Out

from esca.accelerator.rtl.collisions import uncollided

NEAR_LATENCY = 2
"""Cycles from a word that is put in to the first in which it can be taken."""


def queue_ports(width: int, depth: int) -> dict[str, Member]:
    """Of a queue of words of ``width``, up to ``depth`` of which wait in a memory."""
    return {
        "put": In(1),
        "word": In(width),
        "level": Out(range(depth + 1)),
        "there": Out(1),
        "first": Out(width),
        "take": In(1),
    }


class NearFifo(wiring.Component):
    """``put`` takes ``word``: whoever puts has counted, there is no check. ``level`` words, at most
    ``depth``, a power of two, wait in the memory, one more behind it. ``there``: ``first`` is the
    oldest, ``take`` takes it.

    Whether a word waits is known from a register, so that who takes is a table away from all that
    goes on.
    """

    def __init__(self, width: int, depth: int) -> None:
        self.width, self.depth = width, depth
        super().__init__(queue_ports(width, depth))

    def elaborate(self, platform: object) -> Module:
        """A memory, its two addresses, and how many words are between them."""
        m = Module()
        m.submodules.memory = memory = Memory(shape=self.width, depth=self.depth, init=[])
        source, target = memory.read_port(), memory.write_port()
        reads, waits = Signal(), Signal()
        m.d.comb += [
            target.en.eq(self.put),
            target.data.eq(self.word),
            reads.eq(waits & (~self.there | self.take)),
            source.en.eq(reads),
            self.first.eq(uncollided(m, platform, source, target)),
        ]
        m.d.sync += [
            target.addr.eq(target.addr + self.put),
            source.addr.eq(source.addr + reads),
            self.level.eq(self.level + self.put - reads),
            waits.eq(self.put | self.level[1:].any() | (waits & ~reads)),
            self.there.eq(waits | (self.there & ~self.take)),
        ]
        return m
