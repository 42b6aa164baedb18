"""Constants of the epilogue's columns: in one memory, and in registers for the unit that drains."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from esca.accelerator.rtl.array import delayed
from esca.accelerator.rtl.collisions import uncollided
from esca.accelerator.rtl.params import Parameters
from esca.accelerator.rtl.ramps import RAMP
from esca.accelerator.rtl.requantize import COLUMN, FACTOR

CONSTANTS = data.StructLayout({**{name: f.shape for name, f in COLUMN}, "ramp": RAMP})
"""A column's constants: those of its lane, and its ramp."""

FACTORS = data.StructLayout({"factor": FACTOR})
"""What of them differs by phase, where a column holds outputs of several."""


def constants_write(words: int) -> data.StructLayout:
    """A write of one column's constants, before a frame."""
    return data.StructLayout({"en": 1, "address": range(words), "data": CONSTANTS})


class ConstantsRam(wiring.Component):
    """Registers of ``columns`` constants for the unit that drains, ``active``, and as many for the
    next, which fill one a cycle.

    ``first``: where those of the queue's head begin, from the cycle on in which it is ``there``;
    ``start``: it starts. ``swap``, three cycles behind: its constants are active from the next
    cycle on; ``ramps``: of those that wait, 0 in a memory without. A unit may start as many cycles
    as there are columns behind the one before, if its record is there; in any case when ``ready``.
    ``alarm`` where it starts earlier. ``shape``: what is kept of constants, the first of them.
    """

    def __init__(self, p: Parameters, words: int, shape: data.StructLayout = CONSTANTS) -> None:
        self.p, self.words, self._shape = p, words, shape
        self._ramps = "ramp" in shape.members
        self._active = COLUMN if self._ramps else shape
        super().__init__(
            {
                "write": In(constants_write(words)),
                "there": In(1),
                "first": In(range(words)),
                "start": In(1),
                "swap": In(1),
                "active": Out(data.ArrayLayout(self._active, p.columns)),
                "ramps": Out(data.ArrayLayout(RAMP, p.columns)),
                "ready": Out(1),
                "alarm": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """A memory that is read while there is a head whose constants are not all asked for."""
        m, columns, shape = Module(), self.p.columns, self._shape
        m.submodules.memory = memory = Memory(shape=shape, depth=self.words, init=[])
        source, target = memory.read_port(), memory.write_port()
        m.d.comb += [
            target.addr.eq(self.write.address),
            target.data.eq(self.write.data.as_value()[: shape.size]),
            target.en.eq(self.write.en),
        ]
        asked = Signal(range(columns + 1))
        asking = Signal()
        m.d.comb += [
            asking.eq(self.there & (asked != columns)),
            source.addr.eq(self.first + asked),
            self.ready.eq(asked >= columns - 1),
            self.alarm.eq(self.start & ~self.ready),
        ]
        coming = delayed(m, asking, 1, 2)
        here = delayed(m, asked, range(columns), 2)
        found = delayed(m, uncollided(m, platform, source, target), shape, 1)
        with m.If(self.start):
            m.d.sync += asked.eq(0)
        with m.Elif(asking):
            m.d.sync += asked.eq(asked + 1)
        waiting = Signal(data.ArrayLayout(shape, columns))
        for column in range(columns):
            with m.If(coming & (here == column)):
                m.d.sync += waiting[column].eq(found)
            if self._ramps:
                m.d.comb += self.ramps[column].eq(waiting[column].ramp)
            with m.If(self.swap):
                active = self.active[column]
                m.d.sync += [
                    active[name].eq(waiting[column][name]) for name in self._active.members
                ]
        return m
