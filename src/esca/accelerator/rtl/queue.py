"""A command queue: the record at its head and whether all that it waits for has happened."""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from esca.accelerator.rtl.records import COUNT_BITS


class Queue(wiring.Component):
    """Holds one record of layout ``record`` and takes the next behind its start.

    ``counts`` and ``pulses``: of each source, what has happened before this cycle and whether one
    more happens in it. ``ready``: all that the head waits for had happened before this cycle;
    ``start``: it starts, and the next record may be ``ready`` two cycles later. ``settled``: the
    head has been there for a cycle. ``there``: one is; ``starved``: the stream has none.
    """

    def __init__(self, record: data.StructLayout) -> None:
        self.layout = record
        header = record.members["header"]
        self.sources = header.members["waits"].length
        super().__init__(
            {
                "record": In(stream.Signature(record)),
                "counts": In(data.ArrayLayout(COUNT_BITS, self.sources)),
                "pulses": In(self.sources),
                "start": In(1),
                "ready": Out(1),
                "settled": Out(1),
                "head": Out(record),
                "there": Out(1),
                "starved": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """The head, and for each source by how much what has happened is ahead of what it waits
        for: the sign says whether the wait is over.
        """
        m = Module()
        held = Signal()
        take, missed = Signal(), Signal()
        m.d.sync += missed.eq(~held)
        m.d.comb += [
            take.eq(~held),
            self.record.ready.eq(take),
            self.there.eq(held),
            self.starved.eq(~held & missed),
        ]
        with m.If(take):
            m.d.sync += [held.eq(self.record.valid), self.head.eq(self.record.payload)]
        with m.Elif(self.start):
            m.d.sync += held.eq(0)
        m.d.sync += self.settled.eq(held & ~self.start)
        met = Signal(self.sources)
        for index in range(self.sources):
            ahead = Signal(signed(COUNT_BITS + 2), name=f"ahead_{index}")
            now = self.counts[index] + self.pulses[index]
            wait = self.record.payload.header.waits[index]
            new = Mux(wait.valid, now - wait.count, 0)
            m.d.sync += ahead.eq(Mux(take, new, ahead + self.pulses[index]))
            m.d.comb += met[index].eq(~ahead[-1])
        m.d.comb += self.ready.eq(held & met.all())
        return m
