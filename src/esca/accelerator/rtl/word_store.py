"""Results that come word by word and are stored as they lie: halves, and the words of stores."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, fifo, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from esca.accelerator.reads import power_above
from esca.accelerator.rtl.array import delayed
from esca.accelerator.rtl.collisions import uncollided
from esca.accelerator.rtl.drain_records import STORE
from esca.accelerator.rtl.results import AHEAD, READ_CYCLES


class WordStore(wiring.Component):
    """``write``: word ``address`` of a half, of ``words`` of ``bus_bytes``. ``start``: ``store``,
    one row, is the next; its first word is ``sent`` ``READ_CYCLES`` + 2 cycles later, where no
    earlier store's is in the way.
    """

    def __init__(self, bus_bytes: int, words: int) -> None:
        self.bus_bytes, self.words = bus_bytes, 1 << power_above(words)
        write = {"en": 1, "half": 1, "address": range(self.words), "data": 8 * bus_bytes}
        super().__init__(
            {
                "write": In(data.StructLayout(write)),
                "start": In(1),
                "store": In(STORE),
                "sent": Out(stream.Signature(8 * bus_bytes)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """A memory that is read ahead of what is sent."""
        m, write = Module(), self.write
        width = 8 * self.bus_bytes
        m.submodules.memory = memory = Memory(shape=width, depth=2 * self.words, init=[])
        source, target = memory.read_port(), memory.write_port()
        line = m.submodules.stores = fifo.SyncFIFO(width=STORE.size, depth=4)
        out = m.submodules.sending = fifo.SyncFIFO(width=width, depth=AHEAD)
        busy, held, word = Signal(), Signal(STORE), Signal(16)
        last_word, address = Signal(16), Signal(range(2 * self.words))
        asking, ends, next_store = Signal(), Signal(), data.View(STORE, line.r_data)
        m.d.comb += [
            target.addr.eq(write.address + Mux(write.half, self.words, 0)),
            target.data.eq(write.data),
            target.en.eq(write.en),
            line.w_data.eq(self.store.as_value()),
            line.w_en.eq(self.start),
            asking.eq(busy & (out.w_level < AHEAD - READ_CYCLES)),
            ends.eq(asking & (word == last_word)),
            line.r_en.eq(~busy | ends),
            source.addr.eq(address),
            out.w_data.eq(delayed(m, uncollided(m, platform, source, target), width, 2)),
            out.w_en.eq(delayed(m, asking, 1, READ_CYCLES - 1)),
            self.sent.valid.eq(out.r_rdy),
            self.sent.payload.eq(out.r_data),
            out.r_en.eq(self.sent.ready),
        ]
        m.d.sync += address.eq(word + Mux(held.half, self.words, 0))
        with m.If(asking):
            m.d.sync += word.eq(word + 1)
        with m.If(line.r_en):
            m.d.sync += [
                busy.eq(line.r_rdy),
                held.eq(next_store),
                last_word.eq((next_store.row_bytes - 1) >> power_above(self.bus_bytes)),
                word.eq(0),
            ]
        return m
