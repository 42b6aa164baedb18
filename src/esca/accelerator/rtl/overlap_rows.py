"""Rows of banks in which overlaps were added, as they are drained: outputs in the order of columns,
what was carried added, what is not complete carried on.
"""

from collections.abc import Sequence

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from esca.accelerator.hardware.latencies import OVERLAP_LATENCY
from esca.accelerator.overlap import KERNEL
from esca.accelerator.rtl.accumulators import DRAINED_LATENCY
from esca.accelerator.rtl.array import delayed
from esca.accelerator.rtl.collisions import uncollided
from esca.accelerator.rtl.drain_records import OVERLAP
from esca.accelerator.rtl.drain_sequencer import step_shape
from esca.accelerator.rtl.overlap_add import turned
from esca.accelerator.rtl.params import SUM_BITS, Parameters
from esca.accelerator.rtl.streams import COORDINATE_BITS

COLOURS = 3
"""Channels that lie in room for four."""


def ordered(row: Sequence[Value], pixels: int) -> list[Value]:
    """Outputs of a row of banks, turned back, pixel by pixel, of so many ``pixels``."""
    lines = len(row) // KERNEL
    return [
        row[line * KERNEL + pixel + pixels * group]
        for pixel in range(pixels)
        for group in range(KERNEL // pixels)
        for line in range(lines)
    ]


class OverlapRows(wiring.Component):
    """``start`` and ``record`` as the sequencer has them, ``held`` and ``step`` as it gives them.
    ``drained``: a step's row of banks, ``DRAINED_LATENCY`` cycles behind it; ``sums`` of its
    columns ``OVERLAP_LATENCY`` cycles behind that. ``phase`` (y, x) of a step's outputs where their
    columns do not say it.
    """

    def __init__(self, p: Parameters) -> None:
        self.p = p
        row = data.ArrayLayout(signed(SUM_BITS), p.columns)
        super().__init__(
            {
                "start": In(1),
                "record": In(OVERLAP),
                "held": In(OVERLAP),
                "step": In(step_shape(p)),
                "drained": In(row),
                "sums": Out(row),
                "phase": Out(2),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Counters of lines and places; the row turned, ordered, completed."""
        p, m, held = self.p, Module(), self.held
        line, turn_y, turn_x = Signal(COORDINATE_BITS), Signal(2), Signal(2)
        read, write = Signal(range(max(2, p.half_rows))), Signal(range(max(2, p.half_rows)))
        adds, keeps = Signal(), Signal()
        m.d.comb += [
            adds.eq(held.on & (line < held.carried)),
            keeps.eq(held.on & (line >= held.kept)),
            self.phase.eq(Cat(turn_x[0], turn_y[0]) & held.phased.replicate(2)),
        ]
        with m.If(self.step.valid):
            m.d.sync += [
                turn_x.eq(turn_x + (1 << held.pixels)),
                read.eq(read + adds),
                write.eq(write + keeps),
            ]
        with m.If(self.step.line_ends):
            m.d.sync += [line.eq(line + 1), turn_y.eq(turn_y + 1), turn_x.eq(0)]
        with m.If(self.start):
            record = self.record
            m.d.sync += [
                line.eq(0),
                turn_y.eq(record.line),
                turn_x.eq(0),
                read.eq(record.address),
                write.eq(record.address),
            ]
        at = DRAINED_LATENCY
        on = delayed(m, held.on, 1, at)
        back_y = delayed(m, Mux(on, -delayed(m, turn_y, 2, at), 0)[:2], 2, 0)
        back_x = delayed(m, Mux(on, -delayed(m, turn_x, 2, at), 0)[:2], 2, 1)
        lines = p.columns // KERNEL
        row: list[Value] = list(self.drained)
        rows = [turned(row[x::KERNEL], back_y) for x in range(KERNEL)]
        row = [
            delayed(m, rows[x][y], signed(SUM_BITS), 1) for y in range(lines) for x in range(KERNEL)
        ]
        row = [one for y in range(lines) for one in turned(row[y * KERNEL :][:KERNEL], back_x)]
        row = [delayed(m, one, signed(SUM_BITS), 1) for one in row]
        row = self._ordered(m, row, delayed(m, held, OVERLAP, at + 2))
        self._completed(m, platform, row, (adds, read), (keeps & self.step.valid, write))
        return m

    def _ordered(self, m: Module, row: list[Value], held: data.View) -> list[Value]:
        """A register behind the choice of an order."""
        p, made = self.p, []
        orders = [ordered(row, pixels) for pixels in (1, 2, 4)]
        room = COLOURS + 1
        for column, one in enumerate(row):
            pixel, colour = divmod(column, COLOURS)
            last, other = Signal(signed(SUM_BITS)), one
            for code, order in enumerate(orders):
                compact = order[pixel * room + colour] if pixel * room < p.columns else one
                chosen = Mux(held.threes, compact, order[column])
                other = Mux(held.on & (held.pixels == code), chosen, other)
            m.d.sync += last.eq(other)
            made.append(last)
        return made

    def _completed(
        self,
        m: Module,
        platform: object,
        row: Sequence[Value],
        reads: tuple[Value, Value],
        writes: tuple[Value, Value],
    ) -> None:
        """What is carried lies in a memory as deep as a half of the accumulators."""
        p = self.p
        width = SUM_BITS * p.columns
        m.submodules.carried = memory = Memory(shape=width, depth=p.half_rows, init=[])
        source, target = memory.read_port(), memory.write_port()
        at = DRAINED_LATENCY + OVERLAP_LATENCY - 1  # when the row is in order
        m.d.comb += [
            source.addr.eq(delayed(m, reads[1], reads[1].shape(), at - 2)),
            target.addr.eq(delayed(m, writes[1], writes[1].shape(), at)),
            target.en.eq(delayed(m, writes[0], 1, at)),
            target.data.eq(Cat(row)),
        ]
        adds = delayed(m, reads[0], 1, at)
        carried = delayed(m, uncollided(m, platform, source, target), width, 1)
        for column, one in enumerate(row):
            more = carried.word_select(column, SUM_BITS).as_signed()
            m.d.sync += self.sums[column].eq(one + Mux(adds, more, 0))
