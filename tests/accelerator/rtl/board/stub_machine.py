"""What stands for the machine where only what is around it is tried."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from esca.accelerator.rtl.axi import ADDRESS_BITS, Axi
from esca.accelerator.rtl.board.sdram_part import ULX3S_SDRAM
from esca.accelerator.rtl.board.shell import BoardSettings
from esca.accelerator.rtl.fetch import BEAT_BYTES

CLOCK = 50e6
DIVISOR = 4
COLUMN_BITS = 40
COLUMNS = 64
CONFIG = bytes(range(0xB0, 0xC0))
RESULTS = 3


class StubMachine(wiring.Component):
    """Fetches 4 beats at ``program``, adds up their words, and stores the sum and the last column
    of constants that was written, 16 bytes, behind them. Then it gives three results, and an alarm.
    """

    def __init__(self) -> None:
        constants = data.StructLayout({"en": 1, "address": range(COLUMNS), "data": COLUMN_BITS})
        super().__init__(
            {
                "constants": In(constants),
                "program": In(ADDRESS_BITS),
                "begin": In(1),
                "axi": Out(Axi(4)),
                "supply": Out(Axi(BEAT_BYTES, read_only=True)),
                "resulting": Out(2),
                "alarm": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        base, total, place = Signal(32), Signal(32), Signal(2)
        column, address = Signal(COLUMN_BITS), Signal(range(COLUMNS))
        with m.If(self.constants.en):
            m.d.sync += [column.eq(self.constants.data), address.eq(self.constants.address)]
        ar, r, aw, w = self.supply.ar, self.supply.r, self.axi.aw, self.axi.w
        m.d.comb += [
            ar.payload.address.eq(base),
            ar.payload.beats_less_1.eq(3),
            aw.payload.address.eq(base + 64),
            aw.payload.beats_less_1.eq(3),
        ]
        with m.FSM():
            with m.State("idle"), m.If(self.begin):
                m.d.sync += [base.eq(self.program), total.eq(0)]
                m.next = "ask"
            with m.State("ask"):
                m.d.comb += ar.valid.eq(1)
                with m.If(ar.ready):
                    m.next = "add"
            with m.State("add"):
                m.d.comb += r.ready.eq(1)
                with m.If(r.valid):
                    words = [r.payload.data.word_select(i, 32) for i in range(4)]
                    m.d.sync += total.eq(total + sum(words))
                    with m.If(r.payload.last):
                        m.next = "store"
            with m.State("store"):
                m.d.comb += aw.valid.eq(1)
                with m.If(aw.ready):
                    m.next = "words"
            with m.State("words"):
                m.d.comb += [w.valid.eq(1), w.payload.last.eq(place == 3)]
                with m.Switch(place):
                    for i, value in enumerate((total, column[:32], column[32:], address)):
                        with m.Case(i):
                            m.d.comb += w.payload.data.eq(value)
                with m.If(w.ready):
                    m.d.sync += place.eq(place + 1)
                    with m.If(w.payload.last):
                        m.next = "acknowledged"
            with m.State("acknowledged"):
                m.d.comb += self.axi.b.ready.eq(1)
                with m.If(self.axi.b.valid):
                    m.d.comb += self.resulting.eq(1)
                    m.next = "results"
            with m.State("results"):
                m.d.comb += [self.resulting.eq(3), self.alarm.eq(column[0])]
                m.next = "idle"
        return m


SETTINGS = BoardSettings(ULX3S_SDRAM, CLOCK, DIVISOR, CONFIG)
