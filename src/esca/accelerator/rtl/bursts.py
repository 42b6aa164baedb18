"""Bursts of a transfer: rows of bytes in memory, cut where AXI wants them cut."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from esca.accelerator.rtl.axi import ADDRESS_BITS, MOST_BEATS, PAGE_BYTES, REQUEST

ROW_BITS = 20

TRANSFER = data.StructLayout({"dram": ADDRESS_BITS, "row_bytes": ROW_BITS, "rows": 12, "pitch": 16})
"""``rows`` of ``row_bytes``, ``pitch`` bytes apart; ``dram`` and ``pitch`` are whole bus words."""

BURST = data.StructLayout({"request": REQUEST, "last": 1})
"""``last``: of its transfer."""


class Bursts(wiring.Component):
    """Takes a transfer at ``start``. In each cycle from the next on one bus word has its turn; a
    burst leaves with its first. ``ending``: in the turn of the last word. Where a burst is not
    taken, and under ``hold``, turns wait; ``turn``: one is not.
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
        """Addresses and lengths in bus words."""
        m = Module()
        shift = (self.bus_bytes - 1).bit_length()
        page = PAGE_BYTES // self.bus_bytes
        most = min(page, MOST_BEATS)
        busy, turns = Signal(), Signal(range(most))
        address, row = Signal(ADDRESS_BITS - shift), Signal(ADDRESS_BITS - shift)
        row_words, left = Signal(ROW_BITS - shift + 1), Signal(ROW_BITS - shift + 1)
        pitch, rows = Signal(16 - shift), Signal(12)
        # Words up to where the burst has to be cut.
        room, length = Signal(range(most + 1)), Signal(range(most + 1))
        m.d.comb += [
            room.eq(most - address[: (most - 1).bit_length()]),
            length.eq(Mux(left < room, left, room)),
        ]
        whole_row, last_row = left == length, rows == 1
        request = self.bursts.payload.request
        m.d.comb += [
            self.bursts.valid.eq(busy & (turns == 0) & ~self.hold),
            request.address.eq(address << shift),
            request.beats_less_1.eq(length - 1),
            self.bursts.payload.last.eq(whole_row & last_row),
        ]
        done, after = Signal(), Signal()  # the last burst has left; its turns are not over
        taken = self.bursts.valid & self.bursts.ready
        rest = (turns != 0) & ~self.hold
        m.d.comb += [done.eq(taken & whole_row & last_row), self.turn.eq(taken | rest)]
        with m.If(taken):
            m.d.sync += turns.eq(length - 1)
            with m.If(whole_row):
                m.d.sync += [
                    address.eq(row + pitch),
                    row.eq(row + pitch),
                    left.eq(row_words),
                    rows.eq(rows - 1),
                ]
            with m.Else():
                m.d.sync += [address.eq(address + length), left.eq(left - length)]
            m.d.sync += [busy.eq(~done), after.eq(done & (length != 1))]
        with m.Elif(rest):
            m.d.sync += turns.eq(turns - 1)
            with m.If(turns == 1):
                m.d.sync += after.eq(0)
        m.d.comb += self.ending.eq((done & (length == 1)) | (after & rest & (turns == 1)))
        words = (self.transfer.row_bytes + self.bus_bytes - 1) >> shift
        with m.If(self.start):
            m.d.sync += [
                busy.eq(1),
                turns.eq(0),
                after.eq(0),
                address.eq(self.transfer.dram >> shift),
                row.eq(self.transfer.dram >> shift),
                row_words.eq(words),
                left.eq(words),
                pitch.eq(self.transfer.pitch >> shift),
                rows.eq(self.transfer.rows),
            ]
        return m
