"""What a board holds, but for pads and clock: serial port, host's port, memory and the machine."""

from typing import Any

from amaranth.hdl import Cat, Module, Shape, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from esca.accelerator.config import AcceleratorConfig, config_hash
from esca.accelerator.rtl.board.host_port import HostPort
from esca.accelerator.rtl.board.host_state import constant_bytes
from esca.accelerator.rtl.board.hub import shared
from esca.accelerator.rtl.board.masters import AxiReads, AxiWrites
from esca.accelerator.rtl.board.protocol import (
    CONFIG_BYTES,
    PAYLOAD_BYTES,
    VERSION,
    Identity,
)
from esca.accelerator.rtl.board.runs import Runs
from esca.accelerator.rtl.board.sdram import Sdram, SdramPins
from esca.accelerator.rtl.board.sdram_part import SdramPart, sdram_cycles
from esca.accelerator.rtl.board.uart import UartReceiver, UartTransmitter
from esca.accelerator.rtl.fetch import BEAT_BYTES
from esca.accelerator.rtl.modules import place
from esca.accelerator.rtl.top import Top

LEDS = 8
BLINK_BITS = 25


class BoardCore(wiring.Component):
    """``machine``: a :class:`esca.accelerator.rtl.top.Top`, of a configuration that begins with the
    bytes ``config`` in its hash. ``rx``, ``tx``: the serial line, a bit in ``divisor`` cycles.
    ``pins``: of the memory ``part``. ``leds``: memory is set up, a run is busy, there was an alarm;
    the last one blinks.
    """

    def __init__(
        self,
        machine: wiring.Component,
        config: bytes,
        part: SdramPart,
        clock_hertz: float,
        divisor: int,
    ) -> None:
        self.machine, self.part, self.divisor = machine, part, divisor
        self.cycles = sdram_cycles(part, clock_hertz)
        constants = machine.signature.members["constants"].shape
        self.bus_bytes = len(machine.axi.w.payload.data) // 8
        self.host = HostPort(
            Identity(
                VERSION,
                PAYLOAD_BYTES,
                part.size,
                round(clock_hertz),
                1 << Shape.cast(constants["address"].shape).width,
                constant_bytes(constants["data"].shape),
                config,
            ),
            constants,
        )
        super().__init__(
            {
                "rx": In(1, init=1),
                "tx": Out(1, init=1),
                "pins": Out(SdramPins(part)),
                "leds": Out(LEDS),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """The machine is a module of its own; all else is small."""
        m, host = Module(), self.host
        machine = place(m, platform, "machine", "machine", lambda: self.machine)
        m.submodules.host = host
        m.submodules.receiver = receiver = UartReceiver(self.divisor)
        m.submodules.transmitter = transmitter = UartTransmitter(self.divisor)
        m.submodules.runs = runs = Runs(len(machine.resulting))
        m.submodules.sdram = sdram = Sdram(self.part, self.cycles, 5)
        wiring.connect(m, host.line, transmitter.bytes)
        wiring.connect(m, wiring.flipped(self.pins), sdram.pins)
        m.d.comb += [
            receiver.line.eq(self.rx),
            self.tx.eq(transmitter.line),
            host.bytes_in.byte.eq(receiver.byte),
            host.bytes_in.valid.eq(receiver.valid),
            host.bytes_in.damaged.eq(receiver.damaged),
            host.state.busy.eq(runs.busy),
            host.state.alarm.eq(runs.alarmed),
            host.state.memory.eq(sdram.ready),
            host.state.cycles.eq(runs.cycles),
            host.state.number.eq(runs.number),
            runs.start.eq(host.run),
            runs.results.eq(host.results),
            runs.resulting.eq(machine.resulting),
            runs.alarm.eq(machine.alarm),
            machine.begin.eq(runs.begin),
            machine.program.eq(host.program),
            Value.cast(machine.constants).eq(Value.cast(host.constants)),
        ]
        self._memory(m, sdram, machine)
        blink = Signal(BLINK_BITS)
        m.d.sync += blink.eq(blink + 1)
        m.d.comb += [
            self.leds[:3].eq(Cat(sdram.ready, runs.busy, runs.alarmed)),
            self.leds[-1].eq(blink[-1]),
        ]
        return m

    def _memory(self, m: Module, sdram: Sdram, machine: Any) -> None:
        """Records before data, data before the host, and then in turn."""
        m.submodules.records = records = AxiReads(BEAT_BYTES)
        m.submodules.reads = reads = AxiReads(self.bus_bytes)
        m.submodules.writes = writes = AxiWrites(self.bus_bytes)
        for port, part, channels in (
            (machine.supply, records, ("ar", "r")),
            (machine.axi, reads, ("ar", "r")),
            (machine.axi, writes, ("aw", "w", "b")),
        ):
            for channel in channels:
                mine, its = getattr(port, channel), getattr(part, channel)
                ends = (its, mine) if channel in "rb" else (mine, its)
                m.d.comb += [
                    ends[1].valid.eq(ends[0].valid),
                    Value.cast(ends[1].payload).eq(Value.cast(ends[0].payload)),
                    ends[0].ready.eq(ends[1].ready),
                ]
        shared(
            m, sdram, [records.memory, reads.memory, self.host.reads],
            [writes.memory, self.host.writes],
        )  # fmt: skip


def board_core(
    config: AcceleratorConfig, part: SdramPart, clock_hertz: float, divisor: int
) -> BoardCore:
    """With the machine of a configuration; EscaError for what hardware is not made for."""
    known = bytes.fromhex(config_hash(config))[:CONFIG_BYTES]
    return BoardCore(Top(config), known, part, clock_hertz, divisor)
