"""What is around the machine on a board: serial line, host's port, memory."""

from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Cat, Module, Shape, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from esca.accelerator.rtl.board.host_port import HostPort
from esca.accelerator.rtl.board.host_state import constant_bytes
from esca.accelerator.rtl.board.hub import shared
from esca.accelerator.rtl.board.masters import AxiReads, AxiWrites
from esca.accelerator.rtl.board.protocol import PAYLOAD_BYTES, VERSION, Identity
from esca.accelerator.rtl.board.runs import Runs
from esca.accelerator.rtl.board.sdram import Sdram, SdramPins
from esca.accelerator.rtl.board.sdram_part import SdramPart, sdram_cycles
from esca.accelerator.rtl.board.uart import UartReceiver, UartTransmitter
from esca.accelerator.rtl.fetch import BEAT_BYTES

LEDS = 8
BLINK_BITS = 25


MACHINE_PORTS = ("constants", "program", "begin", "axi", "supply", "resulting", "alarm")
"""Ports of a :class:`esca.accelerator.rtl.top.Top` that a board has to do with."""


def machine_signature(machine: wiring.Component) -> wiring.Signature:
    """Those ports, as the machine sees them."""
    return wiring.Signature({name: machine.signature.members[name] for name in MACHINE_PORTS})


@dataclass(frozen=True)
class BoardSettings:
    """Memory's ``part``, the clock, cycles of a bit on the serial line, and the bytes with which
    the hash of the machine's configuration begins.
    """

    part: SdramPart
    clock_hertz: float
    divisor: int
    config: bytes


class BoardShell(wiring.Component):
    """What is around ``machine``, whose :data:`MACHINE_PORTS` are at ``machine``. ``rx``, ``tx``:
    the serial line. ``pins``: of memory. ``leds``: memory is set up, a run is busy, there was an
    alarm; the last one blinks.

    Nothing that goes to the machine depends on what comes from it in the same cycle.
    """

    def __init__(self, machine: wiring.Component, settings: BoardSettings) -> None:
        self.settings = settings
        constants = machine.signature.members["constants"].shape
        self.bus_bytes = len(machine.axi.w.payload.data) // 8
        self.host = HostPort(
            Identity(
                VERSION,
                PAYLOAD_BYTES,
                settings.part.size,
                round(settings.clock_hertz),
                1 << Shape.cast(constants["address"].shape).width,
                constant_bytes(constants["data"].shape),
                settings.config,
            ),
            constants,
        )
        super().__init__(
            {
                "machine": In(machine_signature(machine)),
                "rx": In(1, init=1),
                "tx": Out(1, init=1),
                "pins": Out(SdramPins(settings.part)),
                "leds": Out(LEDS),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Serial line, host's port, runs, memory and who shares it."""
        m, host, machine = Module(), self.host, self.machine
        divisor, part = self.settings.divisor, self.settings.part
        cycles = sdram_cycles(part, self.settings.clock_hertz)
        m.submodules.host = host
        m.submodules.receiver = receiver = UartReceiver(divisor)
        m.submodules.transmitter = transmitter = UartTransmitter(divisor)
        m.submodules.runs = runs = Runs(len(machine.resulting))
        m.submodules.sdram = sdram = Sdram(part, cycles, 5)
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
