"""Counts a unit's raster places on the drain side, one a cycle, and the next unit right behind."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from esca.accelerator.rtl.counters import Count
from esca.accelerator.rtl.drain_records import epilogue_record
from esca.accelerator.rtl.params import Parameters
from esca.accelerator.rtl.streams import COORDINATE_BITS


def step_shape(p: Parameters) -> data.StructLayout:
    """A cycle of a unit: ``first``; ``drains``, the lanes take some columns of a place, whose
    ``address`` in the accumulators this is, as the place's ``turn``; ``valid``, these are the last
    of them; ``line_ends``, and the place is the last of its line.
    """
    return data.StructLayout(
        {
            "first": 1,
            "drains": 1,
            "valid": 1,
            "line_ends": 1,
            "turn": range(p.drain_turns),
            "address": range(max(2, p.half_rows)),
        }
    )


class DrainSequencer(wiring.Component):
    """``start`` comes with ``record`` in the cycle before the unit's first. A unit takes
    ``drain_turns`` cycles a place, and not less than there are columns; ``ending`` in the last, in
    which the next may start. ``step`` and ``held`` are those of the cycle. ``alarm``: started too
    early.
    """

    def __init__(self, p: Parameters) -> None:
        self.p = p
        super().__init__(
            {
                "start": In(1),
                "record": In(epilogue_record(p.overlaps)),
                "held": Out(epilogue_record(p.overlaps)),
                "step": Out(step_shape(p)),
                "ending": Out(1),
                "alarm": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Places, lines, and the cycles of the shortest unit."""
        m, held, step = Module(), self.held, self.step
        busy, streaming = Signal(), Signal()
        line, place = (Count(m, COORDINATE_BITS, name) for name in ("line", "place"))
        least = self.p.columns - 1
        cycle = Signal(range(least + 1))
        rows_end = Signal()
        m.d.comb += [
            step.drains.eq(streaming),
            step.first.eq(step.drains & (step.address == 0) & (step.turn == 0)),
            step.valid.eq(step.drains & (step.turn == self.p.drain_turns - 1)),
            step.line_ends.eq(step.valid & place.is_last),
            rows_end.eq(step.line_ends & line.is_last),
            self.ending.eq(busy & (cycle == least) & (rows_end | ~streaming)),
            self.alarm.eq(self.start & busy & ~self.ending),
        ]
        m.d.sync += cycle.eq(Mux(cycle == least, least, cycle + 1))
        if self.p.drain_turns > 1:
            m.d.sync += step.turn.eq(step.turn + 1)
        with m.If(step.valid):
            place.step()
            m.d.sync += step.address.eq(step.address + 1)
        with m.If(step.line_ends):
            line.step()
        with m.If(rows_end):
            m.d.sync += streaming.eq(0)
        with m.If(self.ending):
            m.d.sync += busy.eq(0)
        with m.If(self.start):
            for count, size in ((line, self.record.lines), (place, self.record.length)):
                count.begin(size - 2, size == 1)
            m.d.sync += [counter.eq(0) for counter in (cycle, step.address, step.turn)]
            m.d.sync += [busy.eq(1), streaming.eq(1), held.eq(self.record)]
        return m
