"""The board's memory with masters of all kinds, as one component."""

from amaranth.hdl import Module
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from esca.accelerator.rtl.axi import Axi
from esca.accelerator.rtl.board.hub import shared
from esca.accelerator.rtl.board.masters import AxiReads, AxiWrites
from esca.accelerator.rtl.board.sdram import Sdram, SdramPins
from esca.accelerator.rtl.board.sdram_part import SdramPart, sdram_cycles


class MemoryBench(wiring.Component):
    """Ports ``narrow`` (4 bytes) and ``wide`` (16 bytes, read only) on one memory; ``words`` of a
    beat that the wide one brings."""

    def __init__(self, part: SdramPart, clock_hertz: float) -> None:
        self.part, self.cycles = part, sdram_cycles(part, clock_hertz)
        super().__init__(
            {
                "narrow": In(Axi(4)),
                "wide": In(Axi(16, read_only=True)),
                "words": Out(data.ArrayLayout(32, 4)),
                "ready": Out(1),
                "pins": Out(SdramPins(part)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.sdram = sdram = Sdram(self.part, self.cycles, 3)
        m.submodules.narrow = narrow = AxiReads(4)
        m.submodules.wide = wide = AxiReads(16)
        m.submodules.writes = writes = AxiWrites(4)
        shared(m, sdram, [narrow.memory, wide.memory], [writes.memory])
        for port, part in ((self.narrow, narrow), (self.wide, wide)):
            wiring.connect(m, wiring.flipped(port.ar), part.ar)
            wiring.connect(m, wiring.flipped(port.r), part.r)
        for name in ("aw", "w", "b"):
            wiring.connect(m, wiring.flipped(getattr(self.narrow, name)), getattr(writes, name))
        wiring.connect(m, wiring.flipped(self.pins), sdram.pins)
        m.d.comb += [
            self.ready.eq(sdram.ready),
            self.words.as_value().eq(wide.r.payload.data),
        ]
        return m
