"""Results that come word by word and are stored as they lie: halves, and the words of stores."""

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import data, fifo, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from esca.accelerator.reads import power_above
from esca.accelerator.rtl.array import delayed
from esca.accelerator.rtl.collisions import uncollided
from esca.accelerator.rtl.counters import Count
from esca.accelerator.rtl.drain_records import STORE
from esca.accelerator.rtl.near_fifo import NearFifo
from esca.accelerator.rtl.results import AHEAD, READ_CYCLES, count_rows


def write_shape(bus_bytes: int, words: int) -> data.StructLayout:
    """A write of word ``address`` of a ``half``."""
    return data.StructLayout({"en": 1, "half": 1, "address": range(words), "data": 8 * bus_bytes})


class WordStore(wiring.Component):
    """``writes``: of ``writers``, of words of ``bus_bytes`` to halves of ``words`` each; no two
    write to one half. ``start``: ``store`` is the next, of rows one behind the other; its first
    word is ``sent`` ``SENT_LATENCY`` cycles later, where no earlier store's is in the way.
    """

    def __init__(self, bus_bytes: int, words: int, writers: int = 1) -> None:
        self.bus_bytes, self.words = bus_bytes, 1 << power_above(words)
        self.write = write_shape(bus_bytes, self.words)
        super().__init__(
            {
                "writes": In(data.ArrayLayout(self.write, writers)),
                "start": In(1),
                "store": In(STORE),
                "sent": Out(stream.Signature(8 * bus_bytes)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """A memory a half, read ahead of what is sent."""
        m = Module()
        width = 8 * self.bus_bytes
        line = m.submodules.stores = fifo.SyncFIFO(width=STORE.size, depth=4)
        out = m.submodules.sending = NearFifo(width, AHEAD)
        busy, held = Signal(), Signal(STORE)
        address, word, row = Signal(range(self.words)), Count(m, 16, "word"), Count(m, 12, "row")
        asking, ends, next_store = Signal(), Signal(), data.View(STORE, line.r_data)
        asked = delayed(m, address, address.shape(), 1)
        found = [self._half(m, platform, half, asked) for half in range(2)]
        taken = Mux(delayed(m, held.half, 1, 2), found[1], found[0])
        m.d.comb += [
            line.w_data.eq(self.store.as_value()),
            line.w_en.eq(self.start),
            # A cycle old, which is why there is one word more on its way.
            asking.eq(busy & delayed(m, out.level < AHEAD - READ_CYCLES - 1, 1, 1)),
            ends.eq(asking & word.is_last & row.is_last),
            line.r_en.eq(~busy | ends),
            out.word.eq(delayed(m, taken, width, 2)),
            out.put.eq(delayed(m, asking, 1, READ_CYCLES - 1)),
            self.sent.valid.eq(out.there),
            self.sent.payload.eq(out.first),
            out.take.eq(self.sent.ready),
        ]
        with m.If(asking):
            m.d.sync += address.eq(address + 1)
            word.step()
            with m.If(word.is_last):
                row.step()
        with m.If(line.r_en):
            count_rows(word, row, next_store, self.bus_bytes)
            m.d.sync += [busy.eq(line.r_rdy), held.eq(next_store), address.eq(0)]
        return m

    def _half(self, m: Module, platform: object, half: int, address: Signal) -> Value:
        """A memory; what is at an address comes a cycle later."""
        memory = Memory(shape=8 * self.bus_bytes, depth=self.words, init=[])
        m.submodules[f"half_{half}"] = memory
        source, target = memory.read_port(), memory.write_port()
        m.d.comb += source.addr.eq(address)
        for write in self.writes:
            with m.If(write.en & (write.half == half)):
                m.d.comb += [
                    target.en.eq(1),
                    target.addr.eq(write.address),
                    target.data.eq(write.data),
                ]
        return uncollided(m, platform, source, target)
