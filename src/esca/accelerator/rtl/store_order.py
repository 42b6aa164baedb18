"""Stores of one queue that two senders send: their words in the order in which stores start."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, fifo, stream, wiring
from amaranth.lib.wiring import In, Out

from esca.accelerator.reads import power_above
from esca.accelerator.rtl.drain_records import STORE

UNDER_WAY = 4
"""Stores that may have started and not been sent."""


class StoreOrder(wiring.Component):
    """``start``: ``store`` is the next, of the array's results or an engine's. ``sent``: words of
    ``array`` and ``engine`` in that order.
    """

    def __init__(self, bus_bytes: int) -> None:
        self.bus_bytes = bus_bytes
        words = stream.Signature(8 * bus_bytes)
        super().__init__(
            {
                "start": In(1),
                "store": In(STORE),
                "array": In(words),
                "engine": In(words),
                "sent": Out(words),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """A line of stores; words of the one in front are counted."""
        m = Module()
        shape = data.StructLayout({"engine": 1, "words": 16, "rows": 12})
        line = m.submodules.line = fifo.SyncFIFO(width=shape.size, depth=UNDER_WAY)
        new, front = Signal(shape), data.View(shape, line.r_data)
        store, word, row = self.store, Signal(16), Signal(12)
        m.d.comb += [
            new.engine.eq(store.engine),
            new.words.eq((store.row_bytes + self.bus_bytes - 1) >> power_above(self.bus_bytes)),
            new.rows.eq(store.rows),
            line.w_data.eq(new.as_value()),
            line.w_en.eq(self.start),
        ]
        for sender, mine in ((self.array, ~front.engine), (self.engine, front.engine)):
            with m.If(line.r_rdy & mine):
                m.d.comb += [
                    self.sent.valid.eq(sender.valid),
                    self.sent.payload.eq(sender.payload),
                    sender.ready.eq(self.sent.ready),
                ]
        row_ends = word == front.words - 1
        with m.If(self.sent.valid & self.sent.ready):
            m.d.sync += word.eq(Mux(row_ends, 0, word + 1))
            with m.If(row_ends):
                m.d.comb += line.r_en.eq(row == front.rows - 1)
                m.d.sync += row.eq(Mux(line.r_en, 0, row + 1))
        return m
