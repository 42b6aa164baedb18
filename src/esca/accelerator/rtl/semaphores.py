"""Semaphores: how many jobs of each queue have ended, and how many have given their result."""

from amaranth.hdl import Module
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from esca.accelerator.rtl.records import COUNT_BITS


class Semaphores(wiring.Component):
    """Counters of ``queues`` queues. ``ending``, ``resulting``: a bit a queue, set in the cycle in
    which a job ends or gives its result; it counts from the next cycle on. ``clear``: they
    are 0 in the next cycle.
    """

    def __init__(self, queues: int) -> None:
        self.queues = queues
        counts = data.ArrayLayout(COUNT_BITS, queues)
        super().__init__(
            {
                "clear": In(1),
                "ending": In(queues),
                "resulting": In(queues),
                "ended": Out(counts),
                "resulted": Out(counts),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Counters."""
        m = Module()
        for pulses, counts in ((self.ending, self.ended), (self.resulting, self.resulted)):
            for queue in range(self.queues):
                m.d.sync += counts[queue].eq(counts[queue] + pulses[queue])
        with m.If(self.clear):
            m.d.sync += [self.ended.eq(0), self.resulted.eq(0)]
        return m
