"""A command queue: the record at its head and whether all that it waits for has happened."""

from amaranth.hdl import Module, Mux, Signal, ValueLike, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from esca.accelerator.rtl.records import COUNT_BITS


class Queue(wiring.Component):
    """Holds one record of layout ``record`` and takes the next while it starts.

    ``counts`` and ``pulses``: of each source, what has happened before this cycle and whether one
    more happens in it. ``ready``: the head may start in the next cycle, were its server free;
    ``start``: it does. A record that comes in the cycle of ``start`` may be ``ready`` one later, so
    that jobs of one cycle follow each other without a gap. ``starved``: there is no head.
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
                "head": Out(record),
                "starved": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """The head, and for each source two flags: it has happened, or one more pulse is missing.

        Differences are taken of registers alone; what comes late in a cycle, ``start`` and
        ``pulses``, only chooses among them.
        """
        m = Module()
        held = Signal()
        take = Signal()
        m.d.comb += [
            take.eq(~held | self.start),
            self.record.ready.eq(take),
            self.starved.eq(~held),
        ]
        with m.If(take):
            m.d.sync += [held.eq(self.record.valid), self.head.eq(self.record.payload)]
        met = Signal(self.sources)
        for index in range(self.sources):
            pulse, count = self.pulses[index], self.counts[index]
            old, new = (
                _missing(m, record.header.waits[index], count, pulse, f"{name}_{index}")
                for name, record in (("head", self.head), ("next", self.record.payload))
            )
            done, short = Signal(name=f"done_{index}"), Signal(name=f"short_{index}")
            m.d.sync += [done.eq(Mux(take, new[0], old[0])), short.eq(Mux(take, new[1], old[1]))]
            m.d.comb += met[index].eq(done | (short & pulse))
        m.d.comb += self.ready.eq(held & met.all())
        return m


def _missing(
    m: Module, wait: data.View, count: ValueLike, pulse: ValueLike, name: str
) -> tuple[ValueLike, ValueLike]:
    """Whether a wait is over, and whether it is one short, as of the next cycle."""
    ahead = Signal(signed(COUNT_BITS + 1), name=f"ahead_{name}")
    m.d.comb += ahead.eq(count - wait.count)
    one, two = ahead == -1, ahead == -2
    done = ~wait.valid | (ahead >= 0) | (one & pulse)
    return done, Mux(pulse, two, one)
