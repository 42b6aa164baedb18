"""The engine that moves values: concatenation and other shapes, a run of neighbours a cycle."""

from amaranth.hdl import Array, Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory, WritePort

from esca.accelerator.hardware.formats import FORMATS
from esca.accelerator.rtl.array import delayed
from esca.accelerator.rtl.collisions import uncollided
from esca.accelerator.rtl.engine_ports import engine_ports
from esca.accelerator.rtl.engine_records import MOVE, WINDOW_BITS
from esca.accelerator.rtl.engine_sizes import MOVE_WORDS, EngineSizes, check_depth
from esca.accelerator.rtl.word_fill import FILL_LATENCY, WordFill

MOVE_DEPTH = 2 + FILL_LATENCY
"""Cycles from an address to the word that its values are in."""

STEP_BITS = WINDOW_BITS + 4


class Move(wiring.Component):
    """Ports as :func:`engine_ports` has them."""

    def __init__(self, sizes: EngineSizes, words: int) -> None:
        check_depth(sizes, MOVE_DEPTH, "move")
        self.sizes, self.words = sizes, words
        super().__init__(engine_ports(MOVE, sizes, words))

    def elaborate(self, platform: object) -> Module:
        """Operands; addresses; values in their words."""
        m, sizes = Module(), self.sizes
        width, latency = 8 * sizes.bus_bytes, sizes.latency
        memory = Memory(shape=width, depth=2 * MOVE_WORDS, init=[])
        m.submodules.memory = memory
        target = self._load(m, memory)
        held = Signal(MOVE)
        step = self._steps(m, held)
        source = memory.read_port()
        m.d.comb += [
            source.addr.eq(Cat(step.at[4:], step.operand)[: len(source.addr)]),
            self.resulting.eq(delayed(m, self.ending, 1, latency)),
        ]
        word = delayed(m, uncollided(m, platform, source, target), width, 1)
        low = delayed(m, step.at[:4], 4, 2)
        value = delayed(m, word >> (low << 2), width, latency - MOVE_DEPTH)
        filling = latency - FILL_LATENCY
        fill = m.submodules.fill = WordFill(sizes.bus_bytes, self.words)
        bits = Array({"nibbles": 2, "words": 4}.get(name, 3) for name in FORMATS)[held.format]
        m.d.comb += [
            fill.valid.eq(delayed(m, step.valid, 1, filling)),
            fill.first.eq(delayed(m, step.first, 1, filling)),
            fill.row.eq(delayed(m, step.row, 1, filling)),
            fill.half.eq(delayed(m, held.results, 1, filling)),
            fill.bits.eq(delayed(m, step.values << bits, fill.bits.shape(), filling)),
            fill.value.eq(value),
            self.write.eq(fill.write),
        ]
        return m

    def _load(self, m: Module, memory: Memory) -> WritePort:
        """Words of a load lie one behind the other; returns what writes them."""
        loaded, window = self.loaded, self.loaded.window
        at, last = Signal(WINDOW_BITS), Signal(WINDOW_BITS)
        begins = (loaded.row == 0) & (loaded.word == 0)
        target = memory.write_port()
        m.d.comb += [
            at.eq(Mux(begins, window.first, Mux(last == window.last, 0, last + 1))),
            target.en.eq(loaded.en),
            target.addr.eq(at + Mux(window.odd, MOVE_WORDS, 0)),
            target.data.eq(loaded.data),
        ]
        with m.If(loaded.en):
            m.d.sync += last.eq(at)
        return target

    def _steps(self, m: Module, held: Signal) -> data.View:
        """What is read in each cycle: runs of a pixel, operand by operand; pixels; rows."""
        shape = data.StructLayout(
            {
                "valid": 1,
                "first": 1,
                "row": 1,
                "operand": 1,
                "values": 4,
                "at": range(MOVE_WORDS << 4),
            }
        )
        step = Signal(shape)
        busy, first, row_begins, second = Signal(), Signal(), Signal(), Signal()
        run, x, y = Signal(10), Signal.like(held.width), Signal.like(held.rows)
        at = Signal(STEP_BITS)
        mine = [
            {name: Signal(STEP_BITS, name=f"{name}_{n}") for name in ("row", "pixel", "left")}
            for n in range(2)
        ]
        operand = Mux(second, held.operands[1].as_value(), held.operands[0].as_value())
        current = data.View(held.operands[0].shape(), operand)
        run_ends, pixel_ends, row_ends = Signal(), Signal(), Signal()
        m.d.comb += [
            run_ends.eq(run == current.runs - 1),
            pixel_ends.eq(run_ends & (second | ~held.both)),
            row_ends.eq(pixel_ends & (x == held.width - 1)),
            self.ending.eq(busy & row_ends & (y == held.rows - 1)),
            step.valid.eq(busy),
            step.first.eq(first),
            step.row.eq(row_begins),
            step.operand.eq(second),
            step.values.eq(Mux(run_ends, current.last, held.values)),
            step.at.eq(at),
        ]
        m.d.sync += [first.eq(0), row_begins.eq(0)]
        with m.If(~run_ends):
            m.d.sync += [run.eq(run + 1), at.eq(at + current.run)]
        with m.Else():
            m.d.sync += run.eq(0)
            with m.If(~pixel_ends):
                m.d.sync += [second.eq(1), at.eq(mine[1]["pixel"])]
            with m.Else():
                m.d.sync += [second.eq(0), x.eq(Mux(row_ends, 0, x + 1))]
                for number, place in enumerate(mine):
                    own = held.operands[number]
                    wraps = place["left"] == 1
                    row, pixel = Signal(STEP_BITS), Signal(STEP_BITS)
                    m.d.comb += [
                        row.eq(Mux(wraps, 0, place["row"] + own.row)),
                        pixel.eq(Mux(row_ends, row, place["pixel"] + own.pixel)),
                    ]
                    m.d.sync += place["pixel"].eq(pixel)
                    if number == 0:
                        m.d.sync += at.eq(pixel)
                    with m.If(row_ends):
                        m.d.sync += [place["row"].eq(row), place["left"].eq(place["left"] - 1)]
                with m.If(row_ends):
                    m.d.sync += [y.eq(y + 1), row_begins.eq(1)]
        with m.If(self.ending):
            m.d.sync += busy.eq(0)
        with m.If(self.start):
            record = self.record
            m.d.sync += [busy.eq(1), held.eq(record), first.eq(1), row_begins.eq(0)]
            m.d.sync += [counter.eq(0) for counter in (second, run, x, y)]
            m.d.sync += at.eq(record.operands[0].first)
            for number, place in enumerate(mine):
                own = record.operands[number]
                m.d.sync += [
                    place["row"].eq(own.first),
                    place["pixel"].eq(own.first),
                    place["left"].eq(own.rows),
                ]
        return step
