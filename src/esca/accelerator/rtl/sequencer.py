"""Counts a unit's rows: tile after tile, one row a cycle, and the next unit right behind."""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from esca.accelerator.rtl.counters import Count, count_nested
from esca.accelerator.rtl.params import Parameters
from esca.accelerator.rtl.streams import COORDINATE_BITS, STREAM, array_record


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
                "record": In(array_record(p.overlaps)),
                "row": Out(row_shape(p)),
                "held": Out(array_record(p.overlaps)),
                "ending": Out(1),
                "alarm": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Loops over groups of slots y and x, depth, lines and places."""
        m, held, row = Module(), self.held, self.row
        busy, streaming = Signal(), Signal()
        cycle = Count(m, 12, "cycle")
        line, place = (Count(m, COORDINATE_BITS, name) for name in ("line", "place"))
        tile_ends, line_ends, rows_end = cycle.is_last, place.is_last, Signal()
        groups = (row.depth, row.group_x, row.group_y)
        lasts = [Signal.like(group, name=f"last_{i}") for i, group in enumerate(groups)]
        last_tile = count_nested(m, groups, lasts, tile_ends)
        m.d.comb += [
            rows_end.eq(line_ends & line.is_last),
            self.ending.eq(busy & tile_ends & last_tile),
            self.alarm.eq(self.start & busy & ~self.ending),
            row.valid.eq(busy & streaming),
        ]
        wraps, back = Signal(signed(COORDINATE_BITS + 2)), Signal(signed(COORDINATE_BITS + 1))
        # A register, which the weight feed far away sees.
        m.d.sync += row.head.eq(self.start | (busy & tile_ends & ~last_tile))
        cycle.step()
        place.step()
        with m.If(line_ends):
            # Behind the end of the ring its beginning follows: both sums, the later one chosen.
            m.d.comb += wraps.eq(row.ring_y + back)
            line.step()
            m.d.sync += [
                row.x.eq(held.x.first),
                row.y.eq(row.y + held.y.step),
                row.ring_y.eq(Mux(wraps[-1], row.ring_y + held.y.step, wraps)),
            ]
        with m.Else():
            m.d.sync += row.x.eq(row.x + held.x.step)
        m.d.sync += row.address.eq(row.address + 1)
        with m.If(rows_end):
            m.d.sync += streaming.eq(0)
        with m.If(tile_ends):
            line.again()
            place.again()
            self._restart(m, held, streaming)
            m.d.sync += row.first.eq(0)
        with m.If(self.ending):
            m.d.sync += busy.eq(0)
        with m.If(self.start):
            counts = ((cycle, self.record.tile_cycles), (line, self.record.y.count))
            for count, size in (*counts, (place, self.record.x.count)):
                count.begin(size - 2, size == 1)
            self._restart(m, self.record, streaming)
            m.d.sync += [
                busy.eq(1),
                held.eq(self.record),
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

    def _restart(self, m: Module, record: data.View, streaming: Signal) -> None:
        row = self.row
        m.d.sync += [
            streaming.eq(1),
            row.address.eq(0),
            row.y.eq(record.y.first),
            row.ring_y.eq(record.ring_first),
            row.x.eq(record.x.first),
        ]
