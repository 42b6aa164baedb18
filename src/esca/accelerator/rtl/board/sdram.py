"""The controller of the board's memory: single-data-rate SDRAM, one row open at a time."""

from enum import IntEnum

from amaranth.hdl import Cat, ClockDomain, ClockSignal, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from esca.accelerator.rtl.board.sdram_part import SdramCycles, SdramPart
from esca.accelerator.rtl.board.words import CHUNK_WORDS, RUN, WORD_BITS

CHUNK_BITS = (CHUNK_WORDS - 1).bit_length()
INIT_REFRESHES = 8
ALL_BANKS = 1 << 10
"""On the address pins, with a precharge."""

CAPTURE = 2
"""Cycles from the one in which a word is on the pins to the one in which it is here."""


class Command(IntEnum):
    """Pins ``we_n cas_n ras_n cs_n``, the last the lowest."""

    NOP = 0b1110
    ACTIVATE = 0b1100
    READ = 0b1010
    WRITE = 0b0010
    PRECHARGE = 0b0100
    REFRESH = 0b1000
    MODE = 0b0000


class SdramPins(wiring.Signature):
    """As memory sees them half a cycle later, at the rising edge of its clock, which is the falling
    one of ours; ``command`` as in :class:`Command`. A word that memory sends lies at ``dq_i`` at
    the falling edge.
    """

    def __init__(self, part: SdramPart) -> None:
        super().__init__(
            {
                "cke": Out(1),
                "command": Out(4, init=Command.NOP),
                "bank": Out(part.bank_bits),
                "address": Out(part.row_bits),
                "dqm": Out(2),
                "dq_o": Out(WORD_BITS),
                "dq_oe": Out(1),
                "dq_i": In(WORD_BITS),
            }
        )


def granted(masters: int) -> data.StructLayout:
    """A run for one of the ``masters``, a bit each."""
    return data.StructLayout({"run": RUN, "write": 1, "master": masters})


class Sdram(wiring.Component):
    """Serves runs one after the other. ``take``: a bit of the master whose word ``written`` goes
    out; ``came``: of the one whose word is ``read``. ``ready`` once memory has been set up.
    """

    def __init__(self, part: SdramPart, cycles: SdramCycles, masters: int) -> None:
        self.part, self.cycles, self.masters = part, cycles, masters
        super().__init__(
            {
                "runs": In(stream.Signature(granted(masters))),
                "written": In(WORD_BITS),
                "take": Out(masters),
                "read": Out(WORD_BITS),
                "came": Out(masters),
                "ready": Out(1),
                "pins": Out(SdramPins(part)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """A command a cycle at most; all pins come from registers."""
        part, cycles, m = self.part, self.cycles, Module()
        pins, C = self.pins, Command
        command = Signal(4, init=C.NOP)
        m.d.comb += [pins.command.eq(command), pins.cke.eq(1)]
        m.d.sync += [command.eq(C.NOP), pins.dq_oe.eq(0)]
        # Cycles before: any next command; a precharge, as of the row's opening and of the last
        # word; a written word behind one that was read.
        pause = Signal(range(max(cycles.start, cycles.refresh_cycle) + 1), init=cycles.start)
        opened = Signal(range(cycles.activate_to_precharge + 1))
        recovering = Signal(range(cycles.write_recovery + 1))
        turning = Signal(range(part.cas_latency + 3))
        for timer in (pause, opened, recovering, turning):
            with m.If(timer != 0):
                m.d.sync += timer.eq(timer - 1)
        due, refreshed = self._refreshes_due(m)
        held = Signal(granted(self.masters))
        left, column = Signal(CHUNK_BITS), Signal(CHUNK_BITS)
        is_open, open_bank = Signal(), Signal(part.bank_bits)
        open_row = Signal(part.row_bits)
        # Neighbouring columns, then the bank: pages of 4 KiB have their lines in all banks.
        address = held.run.address
        columns = address[CHUNK_BITS : part.column_bits]
        bank = address[part.column_bits :][: part.bank_bits]
        row = address[part.column_bits + part.bank_bits :][: part.row_bits]
        reads = Signal(self.masters)  # whose word is asked for in this cycle
        refreshes = Signal(range(INIT_REFRESHES + 1))
        go = pause == 0

        def precharge() -> None:
            m.d.sync += [
                command.eq(C.PRECHARGE),
                pins.address.eq(ALL_BANKS),
                pause.eq(cycles.precharge - 1),
                is_open.eq(0),
            ]

        def refresh() -> None:
            m.d.sync += [command.eq(C.REFRESH), pause.eq(cycles.refresh_cycle - 1)]

        def accept(otherwise: str) -> None:
            m.d.comb += self.runs.ready.eq(due == 0)
            with m.If(due != 0):
                m.next = "refresh"
            with m.Elif(self.runs.valid):
                m.d.sync += [
                    held.eq(self.runs.payload),
                    left.eq(self.runs.payload.run.words_less_1),
                    column.eq(self.runs.payload.run.address[:CHUNK_BITS]),
                ]
                m.next = "look"
            with m.Else():
                m.next = otherwise

        with m.FSM():
            with m.State("start"), m.If(go):
                precharge()
                m.next = "prepare"
            with m.State("prepare"), m.If(go):
                refresh()
                m.d.sync += refreshes.eq(refreshes + 1)
                with m.If(refreshes == INIT_REFRESHES - 1):
                    m.next = "mode"
            with m.State("mode"), m.If(go):
                m.d.sync += [
                    command.eq(C.MODE),
                    pins.bank.eq(0),
                    pins.address.eq(part.cas_latency << 4),  # words one by one
                    pause.eq(cycles.mode_register - 1),
                    self.ready.eq(1),
                ]
                m.next = "idle"
            with m.State("idle"):
                accept("idle")
            with m.State("look"):
                same = (open_bank == bank) & (open_row == row)
                with m.If(is_open & same):
                    m.next = "words"
                with m.Elif(is_open):
                    m.next = "close"
                with m.Else():
                    m.next = "open"
            with m.State("close"), m.If(go & (opened == 0) & (recovering == 0)):
                precharge()
                m.next = "open"
            with m.State("open"), m.If(go):
                m.d.sync += [
                    command.eq(C.ACTIVATE),
                    pins.bank.eq(bank),
                    pins.address.eq(row),
                    pause.eq(cycles.activate_to_column - 1),
                    opened.eq(cycles.activate_to_precharge - 1),
                    is_open.eq(1),
                    open_bank.eq(bank),
                    open_row.eq(row),
                ]
                m.next = "words"
            with m.State("words"), m.If(go & (~held.write | (turning == 0))):
                m.d.sync += [
                    command.eq(Mux(held.write, C.WRITE, C.READ)),
                    pins.bank.eq(bank),
                    pins.address.eq(Cat(column, columns)),
                    pins.dq_oe.eq(held.write),
                    pins.dq_o.eq(self.written),
                    column.eq(column + 1),
                    left.eq(left - 1),
                ]
                with m.If(held.write):
                    m.d.comb += self.take.eq(held.master)
                    m.d.sync += recovering.eq(cycles.write_recovery - 1)
                with m.Else():
                    m.d.comb += reads.eq(held.master)
                    m.d.sync += turning.eq(part.cas_latency + 1)
                with m.If(left == 0):
                    accept("idle")
            with m.State("refresh"), m.If(go):
                with m.If(~is_open):
                    refresh()
                    m.d.comb += refreshed.eq(1)
                    m.next = "idle"
                with m.Elif((opened == 0) & (recovering == 0)):
                    precharge()
        self._capture(m, reads)
        return m

    def _refreshes_due(self, m: Module) -> tuple[Signal, Signal]:
        """How many; and what to set when one is made."""
        every = self.cycles.refresh
        timer, due, refreshed = Signal(range(every), init=every - 1), Signal(4), Signal()
        tick = timer == 0
        with m.If(self.ready):
            m.d.sync += [timer.eq(Mux(tick, every - 1, timer - 1)), due.eq(due + tick - refreshed)]
        return due, refreshed

    def _capture(self, m: Module, reads: Signal) -> None:
        """Words as they come: caught at the falling edge, here from the next rising one on."""
        m.domains += ClockDomain("capture", clk_edge="neg", reset_less=True, local=True)
        m.d.comb += ClockSignal("capture").eq(ClockSignal("sync"))
        caught = Signal(WORD_BITS)
        m.d.capture += caught.eq(self.pins.dq_i)
        m.d.sync += self.read.eq(caught)
        coming: list[Signal] = [reads]
        for number in range(self.part.cas_latency + CAPTURE):
            coming.append(Signal(self.masters, name=f"coming_{number}"))
            m.d.sync += coming[-1].eq(coming[-2])
        m.d.comb += self.came.eq(coming[-1])
