"""Counts a unit's rows: tile after tile, one row a cycle, and the next unit right behind."""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from esca.accelerator.rtl.counters import count_nested
from esca.accelerator.rtl.params import Parameters
from esca.accelerator.rtl.streams import COORDINATE_BITS, STREAM


def row_shape(p: Parameters) -> data.StructLayout:
    """A streamed row: ``valid``; ``head``, the first of a tile, ``first``, of a unit's first tile;
    its ``address`` in the accumulators. Where its window stands: bases ``y`` (``ring_y`` in the
    ring) and ``x``, groups of slots, ``depth``.
    """
    return data.StructLayout(
        {
            "valid": 1,
            "head": 1,
            "first": 1,
            "address": range(max(2, p.half_rows)),
            "y": COORDINATE_BITS + 1,
            "ring_y": COORDINATE_BITS,
            "x": COORDINATE_BITS + 1,
            "group_y": 2,
            "group_x": 2,
            "depth": STREAM.members["deep"],
        }
    )


class Sequencer(wiring.Component):
    """``start`` comes with ``record`` in the cycle before the unit's first; the unit's cycles then
    follow without a gap, ``ending`` in the last, in which the next ``start`` may come. ``row`` and
    the record that it belongs to, ``held``, are those of the cycle. ``alarm``: started too early.
    """

    def __init__(self, p: Parameters) -> None:
        self.p = p
        super().__init__(
            {
                "start": In(1),
                "record": In(STREAM),
                "row": Out(row_shape(p)),
                "held": Out(STREAM),
                "ending": Out(1),
                "alarm": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Loops over groups of slots y and x, depth, lines and places."""
        m, held, row = Module(), self.held, self.row
        busy, streaming = Signal(), Signal()
        cycle, line, place = Signal(12), Signal(COORDINATE_BITS), Signal(COORDINATE_BITS)
        tile_ends, line_ends, rows_end = Signal(), Signal(), Signal()
        # Whether a count is at its last is known a step ahead.
        line_is_last = Signal()
        before_place, before_line, before_cycle = (Signal(COORDINATE_BITS) for _ in range(3))
        groups = (row.depth, row.group_x, row.group_y)
        lasts = [Signal.like(group, name=f"last_{i}") for i, group in enumerate(groups)]
        last_tile = count_nested(m, groups, lasts, tile_ends)
        m.d.comb += [
            rows_end.eq(line_ends & line_is_last),
            self.ending.eq(busy & tile_ends & last_tile),
            self.alarm.eq(self.start & busy & ~self.ending),
            row.valid.eq(busy & streaming),
            row.head.eq(row.valid & (cycle == 0)),
        ]
        wraps, back = Signal(signed(COORDINATE_BITS + 2)), Signal(signed(COORDINATE_BITS + 1))
        m.d.sync += [cycle.eq(cycle + 1), tile_ends.eq(cycle == before_cycle)]
        with m.If(line_ends):
            # Behind the end of the ring its beginning follows: both sums, the later one chosen.
            m.d.comb += wraps.eq(row.ring_y + back)
            m.d.sync += [
                place.eq(0),
                line_ends.eq(held.x.count == 1),
                row.x.eq(held.x.first),
                line.eq(line + 1),
                line_is_last.eq(line == before_line),
                row.y.eq(row.y + held.y.step),
                row.ring_y.eq(Mux(wraps[-1], row.ring_y + held.y.step, wraps)),
            ]
        with m.Else():
            m.d.sync += [
                place.eq(place + 1),
                line_ends.eq(place == before_place),
                row.x.eq(row.x + held.x.step),
            ]
        m.d.sync += row.address.eq(row.address + 1)
        with m.If(rows_end):
            m.d.sync += streaming.eq(0)
        with m.If(tile_ends):
            self._restart(m, held, (cycle, line, place), streaming)
            self._ends(m, held, (tile_ends, line_ends, line_is_last))
            m.d.sync += row.first.eq(0)
        with m.If(self.ending):
            m.d.sync += busy.eq(0)
        with m.If(self.start):
            self._restart(m, self.record, (cycle, line, place), streaming)
            self._ends(m, self.record, (tile_ends, line_ends, line_is_last))
            m.d.sync += [
                busy.eq(1),
                held.eq(self.record),
                before_place.eq(self.record.x.count - 2),
                before_line.eq(self.record.y.count - 2),
                before_cycle.eq(self.record.tile_cycles - 2),
                back.eq(self.record.y.step - self.record.layout.ring_rows),
                *(
                    last.eq(size - 1)
                    for last, size in zip(
                        lasts,
                        (self.record.deep, self.record.x.groups, self.record.y.groups),
                        strict=True,
                    )
                ),
                row.first.eq(1),
                row.depth.eq(0),
                row.group_x.eq(0),
                row.group_y.eq(0),
            ]
        return m

    def _restart(
        self, m: Module, record: data.View, counters: tuple[Signal, ...], streaming: Signal
    ) -> None:
        row = self.row
        m.d.sync += [counter.eq(0) for counter in counters]
        m.d.sync += [
            streaming.eq(1),
            row.address.eq(0),
            row.y.eq(record.y.first),
            row.ring_y.eq(record.ring_first),
            row.x.eq(record.x.first),
        ]

    def _ends(self, m: Module, record: data.View, ends: tuple[Signal, Signal, Signal]) -> None:
        """Counts of one are at their last from the beginning."""
        sizes = (record.tile_cycles, record.x.count, record.y.count)
        m.d.sync += [end.eq(size == 1) for end, size in zip(ends, sizes, strict=True)]
