"""Bursts of a transfer: rows of bytes in memory, cut where AXI wants them cut."""

from dataclasses import dataclass

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from esca.accelerator.hardware.latencies import SETUP
from esca.accelerator.rtl.array import delayed
from esca.accelerator.rtl.axi import ADDRESS_BITS, MOST_BEATS, PAGE_BYTES, REQUEST

ROW_BITS = 20

TRANSFER = data.StructLayout({"dram": ADDRESS_BITS, "row_bytes": ROW_BITS, "rows": 12, "pitch": 16})
"""``rows`` of ``row_bytes``, ``pitch`` bytes apart; ``dram`` and ``pitch`` are whole bus words."""

BURST = data.StructLayout({"request": REQUEST, "last": 1})
"""``last``: of its transfer."""


class Bursts(wiring.Component):
    """Takes a transfer at ``start``. In each cycle from ``SETUP`` + 1 behind on one bus word has
    its turn; a burst leaves with its first. ``ending``: in the turn of the last word. Where a burst
    is not taken, and under ``hold``, turns wait; ``turn``: one is not.
    """

    def __init__(self, bus_bytes: int) -> None:
        self.bus_bytes = bus_bytes
        super().__init__(
            {
                "start": In(1),
                "transfer": In(TRANSFER),
                "hold": In(1),
                "bursts": Out(stream.Signature(BURST)),
                "turn": Out(1),
                "ending": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Rows are prepared three ahead: address, sums, first burst."""
        m = Module()
        shift = (self.bus_bytes - 1).bit_length()
        most = min(PAGE_BYTES // self.bus_bytes, MOST_BEATS)
        words = ROW_BITS - shift + 1
        busy, turns = Signal(), Signal(range(most))
        resting, last_turn = Signal(), Signal()  # there are turns left; one is
        taken = Signal()
        # Of the burst that leaves next, and of the row that it belongs to: words behind it.
        address, length = Signal(ADDRESS_BITS - shift), Signal(range(most + 1))
        left, whole_row, single = Signal(words), Signal(), Signal()
        next_row = self._rows(m, taken & whole_row, most)
        request = self.bursts.payload.request
        m.d.comb += [
            self.bursts.valid.eq(busy & ~resting & ~self.hold),
            request.address.eq(address << shift),
            request.beats_less_1.eq(length - 1),
            self.bursts.payload.last.eq(whole_row & next_row.last),
            taken.eq(self.bursts.valid & self.bursts.ready),
        ]
        done, after = Signal(), Signal()  # the last burst has left; its turns are not over
        rest = resting & ~self.hold
        m.d.comb += [
            done.eq(taken & whole_row & next_row.last),
            self.turn.eq(taken | rest),
            self.ending.eq((done & single) | (after & rest & last_turn)),
        ]
        with m.If(taken):
            m.d.sync += [
                turns.eq(length - 1),
                resting.eq(length != 1),
                last_turn.eq(length == 2),
                busy.eq(~done),
                after.eq(done & ~single),
                # What is left of a row begins with a page.
                address.eq(
                    Cat(Const(0, most.bit_length() - 1), address[most.bit_length() - 1 :] + 1)
                ),
                length.eq(Mux(left > most, most, left)),
                left.eq(left - most),
                whole_row.eq(left <= most),
                single.eq(left == 1),
            ]
        with m.Elif(rest):
            m.d.sync += [turns.eq(turns - 1), resting.eq(~last_turn), last_turn.eq(turns == 2)]
            with m.If(last_turn):
                m.d.sync += after.eq(0)
        with m.If((taken & whole_row) | next_row.begins):
            m.d.sync += [
                address.eq(next_row.address),
                length.eq(next_row.length),
                left.eq(next_row.left),
                whole_row.eq(next_row.whole),
                single.eq(next_row.single),
            ]
        with m.If(next_row.begins):
            m.d.sync += [busy.eq(1), turns.eq(0), resting.eq(0), last_turn.eq(0), after.eq(0)]
        return m

    def _rows(self, m: Module, take: Value, most: int) -> "_Row":
        """The row behind the one under way; goes on with ``take``."""
        shift = (self.bus_bytes - 1).bit_length()
        words = ROW_BITS - shift + 1
        given, steps = delayed(m, self.transfer, TRANSFER, 1), Signal(SETUP)
        m.d.sync += steps.eq(Cat(self.start, steps))
        row, row_words = Signal(ADDRESS_BITS - shift), Signal(words)
        pitch, rows, last = Signal(16 - shift), Signal(12), Signal()
        made = _Row(
            steps[-1],
            Signal(ADDRESS_BITS - shift, name="next_address"),
            Signal(range(most + 1), name="next_length"),
            Signal(words, name="next_left"),
            Signal(name="next_whole"),
            Signal(name="next_single"),
            last,
        )
        # Words up to where a burst has to be cut.
        inside = row[: most.bit_length() - 1]
        beyond, here, at = Signal(words + 1), Signal(range(most + 1)), Signal.like(row)
        one = Signal()
        cut = beyond[most.bit_length() :].any() | (
            beyond[most.bit_length() - 1] & beyond[: most.bit_length() - 1].any()
        )
        with m.If(steps[1] | steps[2] | steps[3] | take):
            m.d.sync += [
                row.eq(row + pitch),
                at.eq(row),
                beyond.eq(row_words + inside),
                here.eq(most - inside),
                made.address.eq(at),
                made.length.eq(Mux(cut, here, row_words)),
                made.left.eq(beyond - most),
                made.whole.eq(~cut),
                made.single.eq(Mux(cut, here == 1, one)),
            ]
        m.d.sync += one.eq(row_words == 1)
        with m.If(take):
            m.d.sync += [rows.eq(rows - 1), last.eq(rows == 2)]
        with m.If(steps[0]):
            m.d.sync += [
                row.eq(given.dram >> shift),
                row_words.eq((given.row_bytes + (self.bus_bytes - 1)) >> shift),
                pitch.eq(given.pitch >> shift),
                rows.eq(given.rows),
                last.eq(given.rows == 1),
            ]
        return made


@dataclass(frozen=True, eq=False)
class _Row:
    """A row's first burst: ``address`` and ``length``, and words ``left`` behind it; it is the
    ``whole`` of it, a ``single`` word. ``begins``: it is the first of its transfer; ``last``: the
    row before is the last.
    """

    begins: Value
    address: Signal
    length: Signal
    left: Signal
    whole: Signal
    single: Signal
    last: Signal
