"""Where a raster place's outputs go among the results: words of rows as they will be stored."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from esca.accelerator.hardware.formats import FORMATS
from esca.accelerator.rtl.array import delayed
from esca.accelerator.rtl.drain_records import RESULT, SEGMENT
from esca.accelerator.rtl.drain_sequencer import step_shape
from esca.accelerator.rtl.params import Parameters

RESULT_LATENCY = 3
"""Cycles from a step to its runs."""


def run_shape(words: int) -> data.StructLayout:
    """``count`` values one behind the other from ``slot`` of word ``address`` on, which has room
    for ``rest`` of them.
    """
    return data.StructLayout({"count": 7, "slot": 6, "rest": 7, "address": range(words)})


def runs_shape(words: int) -> data.StructLayout:
    """A place's outputs: run ``a`` in a row of parity ``odd``, then ``b`` from value ``skip`` on in
    one of the other.
    """
    run = run_shape(words)
    return data.StructLayout({"odd": 1, "format": 2, "skip": 7, "a": run, "b": run})


def slots(format_name: str, word_bytes: int) -> int:
    """Values of a word."""
    return 3 * word_bytes // 4 if format_name == "tens" else word_bytes


class PlaceResults(wiring.Component):
    """``start`` and ``record`` as the sequencer has them, ``held`` and ``step`` as it gives them;
    ``runs`` of a step ``RESULT_LATENCY`` cycles later. ``words``: of both halves, of even rows or
    of odd ones.
    """

    def __init__(self, p: Parameters, word_bytes: int, words: int) -> None:
        self.p, self.word_bytes, self.words = p, word_bytes, words
        super().__init__(
            {
                "start": In(1),
                "record": In(RESULT),
                "held": In(RESULT),
                "step": In(step_shape(p)),
                "runs": Out(runs_shape(words)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Counters of rows and of both segments; how much of these is not cropped."""
        m, held = Module(), self.held
        row, address = self._rows(m)
        a, b = (self._segment(m, name) for name in ("a", "b"))
        other = address + Mux(row[0], held.row_words, 0)
        runs = Signal(self.runs.shape())
        rests = [held.first_count, held.count - held.first_count]
        here = held.on & self.step.valid
        for run, segment, words, line, rest in zip(
            (runs.a, runs.b), (a, b), (address, other), (row, row + 1), rests, strict=True
        ):
            left = delayed(m, held.limit - segment.flat, 16, 2)
            inside = delayed(m, Cat(segment.flat < held.limit, line < held.rows, here), 3, 1).all()
            most = delayed(m, Mux(inside, delayed(m, rest, 7, 1), 0), 7, 1)
            half = delayed(m, Mux(held.half, self.words // 2, 0), range(self.words), 1)
            first = delayed(m, words, range(self.words), 1)
            beat = delayed(m, segment.beat, range(self.words), 2)
            slot = delayed(m, segment.slot, 6, 2)
            m.d.comb += [
                run.slot.eq(slot),
                run.rest.eq(delayed(m, self._slots(held), 7, 2) - slot),
                run.address.eq(delayed(m, half + first, range(self.words), 1) + beat),
                run.count.eq(Mux(left < most, left, most)),
            ]
        m.d.comb += [
            runs.odd.eq(delayed(m, row[0], 1, 2)),
            runs.format.eq(delayed(m, held.format, 2, 2)),
            runs.skip.eq(delayed(m, held.first_count, 7, 2)),
        ]
        m.d.sync += self.runs.eq(runs)
        return m

    def _rows(self, m: Module) -> tuple[Signal, Signal]:
        """The first segment's row, and where it begins."""
        held, record = self.held, self.record
        row, address = Signal(held.row.shape()), Signal(held.address.shape())
        carry = row[0] & held.step_row[0]
        with m.If(self.step.line_ends):
            m.d.sync += [
                row.eq(row + held.step_row),
                address.eq(address + held.line_words + Mux(carry, held.row_words, 0)),
            ]
        with m.If(self.start):
            m.d.sync += [row.eq(record.row), address.eq(record.address)]
        return row, address

    def _segment(self, m: Module, name: str) -> data.View:
        """A segment's place, which moves by the step and begins again with a line."""
        held, now = self.held, Signal(SEGMENT, name=name)
        # Behind the last slot of a word the next one's first: both sums at once, one is chosen.
        wraps, back = (
            Signal(signed(8), name=f"wraps_{name}"),
            Signal(signed(8), name=f"back_{name}"),
        )
        m.d.comb += wraps.eq(now.slot + back)
        over = ~wraps[-1]
        with m.If(self.step.line_ends):
            m.d.sync += now.eq(held[name])
        with m.Elif(self.step.valid):
            m.d.sync += [
                now.flat.eq(now.flat + held.step.flat),
                now.slot.eq(Mux(over, wraps, now.slot + held.step.slot)),
                now.beat.eq(now.beat + held.step.beat + over),
            ]
        with m.If(self.start):
            m.d.sync += [
                now.eq(self.record[name]),
                back.eq(self.record.step.slot - self._slots(self.record)),
            ]
        return now

    def _slots(self, record: data.View) -> Value:
        """Values of a word in a record's format."""
        tens = record.format == FORMATS.index("tens")
        return Mux(tens, slots("tens", self.word_bytes), slots("bytes", self.word_bytes))
