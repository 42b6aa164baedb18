"""Constants of the epilogue's columns where each holds outputs of several phases."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from esca.accelerator.hardware.latencies import OVERLAP_LATENCY
from esca.accelerator.rtl.array import delayed
from esca.accelerator.rtl.constants_ram import CONSTANTS, FACTORS, ConstantsRam
from esca.accelerator.rtl.params import Parameters
from esca.accelerator.rtl.requantize import COLUMN

PHASES = 4
"""Of the outputs of a column, at most: those of a stride of 2."""


class PhaseConstants(wiring.Component):
    """Ports as those of :class:`esca.accelerator.rtl.constants_ram.ConstantsRam`, but that factors
    are those of a ``phase``, and ``active`` follows ``swap`` as many cycles later as a row of banks
    takes into the order of columns. The factors of phase n begin n times the columns behind
    ``first``.
    """

    def __init__(self, p: Parameters, words: int, shape: data.StructLayout = CONSTANTS) -> None:
        self.p, self.words = p, words
        self._first = ConstantsRam(p, words, shape)
        members = dict(self._first.signature.members)
        columns = data.ArrayLayout(COLUMN, p.columns)
        super().__init__({**members, "active": Out(columns), "phase": In(2)})

    def elaborate(self, platform: object) -> Module:
        """A memory for each phase; registers behind them; the choice of a factor."""
        m, p = Module(), self.p
        m.submodules.phase_0 = first = self._first
        m.d.comb += [
            self.ready.eq(first.ready),
            self.alarm.eq(first.alarm),
            self.ramps.eq(first.ramps),
        ]
        phases = [first]
        for number in range(1, PHASES):
            m.submodules[f"phase_{number}"] = more = ConstantsRam(p, self.words, FACTORS)
            phases.append(more)
        for number, one in enumerate(phases):
            m.d.comb += [
                one.write.eq(self.write),
                one.there.eq(self.there),
                one.first.eq(self.first + number * p.columns),
                one.start.eq(self.start),
                one.swap.eq(self.swap),
            ]
        swap = delayed(m, self.swap, 1, OVERLAP_LATENCY)
        for column in range(p.columns):
            factors = []
            for number, one in enumerate(phases):
                kept = Signal(one.active[column].shape(), name=f"kept_{number}_{column}")
                with m.If(swap):
                    m.d.sync += kept.eq(one.active[column])
                if not number:
                    m.d.comb += self.active[column].eq(kept)
                factors.append(kept.factor.as_value())
            even, odd = (
                Mux(self.phase[0], b, a) for a, b in zip(factors[::2], factors[1::2], strict=True)
            )
            m.d.comb += self.active[column].factor.eq(Mux(self.phase[1], odd, even))
        return m
