"""Runs of the machine: begun by the host, over when all results are there."""

from functools import reduce
from operator import add

from amaranth.hdl import Const, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

COUNT_BITS = 24


class Runs(wiring.Component):
    """``start`` begins a run of ``results`` results, 1 or more, which come with ``resulting``, a
    bit a queue. Of the latest run: ``busy``; ``cycles`` from its ``begin`` to its last result;
    whether it was ``alarmed``. ``number`` of runs.
    """

    def __init__(self, queues: int) -> None:
        self.queues = queues
        super().__init__(
            {
                "start": In(1),
                "results": In(COUNT_BITS),
                "resulting": In(queues),
                "alarm": In(1),
                "begin": Out(1),
                "busy": Out(1),
                "alarmed": Out(1),
                "cycles": Out(32),
                "number": Out(16),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Results of a cycle are counted, then added up."""
        m = Module()
        found, left = Signal(range(self.queues + 1)), Signal(COUNT_BITS)
        m.d.comb += self.begin.eq(self.start)
        m.d.sync += found.eq(reduce(add, self.resulting, Const(0)))
        with m.If(self.busy):
            m.d.sync += left.eq(left - found)
            with m.If(left == found):
                m.d.sync += self.busy.eq(0)
            with m.Else():
                m.d.sync += self.cycles.eq(self.cycles + 1)
            with m.If(self.alarm):
                m.d.sync += self.alarmed.eq(1)
        with m.If(self.start):
            m.d.sync += [
                self.busy.eq(1),
                left.eq(self.results),
                found.eq(0),
                self.cycles.eq(0),
                self.alarmed.eq(0),
                self.number.eq(self.number + 1),
            ]
        return m
