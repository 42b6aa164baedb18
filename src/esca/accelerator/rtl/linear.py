"""The linear engine: fully connected layers, whose weights come from memory once a frame."""

from dataclasses import dataclass

from amaranth.hdl import Array, Module, Mux, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory, WritePort
from amaranth.lib.wiring import In, Out

from esca.accelerator.config import AcceleratorConfig
from esca.accelerator.hardware.cycles import CONSTANT_BYTES
from esca.accelerator.hardware.formats import BITS, FORMATS
from esca.accelerator.hardware.jobs import bus_bytes
from esca.accelerator.reads import power_above
from esca.accelerator.rtl.array import delayed
from esca.accelerator.rtl.bursts import ROW_BITS
from esca.accelerator.rtl.collisions import uncollided
from esca.accelerator.rtl.counters import Count
from esca.accelerator.rtl.drain_records import STORE
from esca.accelerator.rtl.linear_records import LINEAR, MOST_OUTPUTS, OPERAND_BYTES, WEIGHT_BYTES
from esca.accelerator.rtl.modules import place
from esca.accelerator.rtl.params import SUM_BITS
from esca.accelerator.rtl.requantize import FACTOR, LAYER, Lane
from esca.accelerator.rtl.word_fill import FILL_LATENCY, WordFill
from esca.accelerator.rtl.word_store import WordStore
from esca.errors import EscaError

SUM_LATENCY = 7
"""Cycles from a word's cycle to its output's sum."""

_SUM_STAGES = SUM_LATENCY - 5
"""Stages in which the products of a word become sums of some, before they become one."""

PLACE_LATENCY = 1
"""Cycles from a value to the end of the engine's latency. Its word is in memory
``FILL_LATENCY - PLACE_LATENCY`` cycles later, before control can start what waited for it.
"""

CONSTANTS = data.StructLayout(
    {"bias": signed(SUM_BITS), "correction": signed(SUM_BITS), "factor": FACTOR}
)
"""Of an output; see :data:`esca.accelerator.rtl.requantize.COLUMN`."""


@dataclass(frozen=True)
class LinearSizes:
    """``lanes``: products a cycle; ``latency`` in cycles; bytes of a bus word and of a half of the
    results.
    """

    lanes: int
    latency: int
    bus_bytes: int
    result_bytes: int


def linear_sizes(config: AcceleratorConfig) -> LinearSizes:
    """Sizes of a configuration; EscaError for what the engine is not made for."""
    engines, bus = config.engines, bus_bytes(config)
    lanes = engines.linear_lanes
    if lanes % bus or lanes & (lanes - 1) or bus > CONSTANT_BYTES:
        raise EscaError(
            f"rtl: {config.name}: engines.linear_lanes is {lanes}, expected a power of two, not "
            f"below the {bus} bytes that DMA moves a cycle, which are {CONSTANT_BYTES} or less"
        )
    quarter = config.buffers.output_bytes // 4
    return LinearSizes(lanes, engines.epilogue_latency_cycles, bus, quarter)


class Linear(wiring.Component):
    """``start`` comes with ``record`` in the cycle before the job's first; ``ending`` in its last,
    ``resulting`` as many cycles behind as its latency. ``write``: bus ``word`` of a ``row`` of
    weights and constants, of which ``words`` are weights, or of an ``operand``. ``store_start``,
    ``store``, ``sent``: of its stores. ``alarm``: a requantized sum leaves 32 bits.
    """

    def __init__(self, sizes: LinearSizes) -> None:
        self.sizes = sizes
        bus = sizes.bus_bytes
        self.store_words = WordStore(bus, min(sizes.result_bytes, 2 * MOST_OUTPUTS) // bus)
        write = {
            "en": 1,
            "weights": 1,
            "half": 1,
            "words": 12,
            "operand": 8,
            "row": 12,
            "word": ROW_BITS,
            "data": 8 * bus,
        }
        super().__init__(
            {
                "start": In(1),
                "record": In(LINEAR),
                "ending": Out(1),
                "resulting": Out(1),
                "alarm": Out(1),
                "write": In(data.StructLayout(write)),
                "store_start": In(1),
                "store": In(STORE),
                "sent": Out(stream.Signature(8 * bus)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Memories and a counter; products; a lane of the epilogue; words of results."""
        m, sizes = Module(), self.sizes
        width = 8 * sizes.lanes
        rows, inputs = WEIGHT_BYTES // sizes.lanes, OPERAND_BYTES // sizes.lanes
        constant = 8 * CONSTANT_BYTES
        weights = m.submodules.weights = Memory(shape=width, depth=2 * rows, init=[])
        operand = m.submodules.operand = Memory(shape=width, depth=inputs, init=[])
        kept = m.submodules.kept = Memory(shape=width, depth=inputs, init=[])
        constants = m.submodules.constants = Memory(shape=constant, depth=2 * MOST_OUTPUTS, init=[])
        targets = self._load(m, weights, operand, constants)
        busy, held = Signal(), Signal(LINEAR)
        at, words, outputs = Signal(range(rows)), Count(m, 8, "word"), Count(m, 10, "output")
        word, output, last = words.value, outputs.value, Signal()
        m.d.comb += [
            last.eq(busy & words.is_last),
            self.ending.eq(last & outputs.is_last),
            self.resulting.eq(delayed(m, self.ending, 1, sizes.latency)),
        ]
        m.d.sync += at.eq(at + 1)
        words.step()
        with m.If(last):
            outputs.step()
        with m.If(self.ending):
            m.d.sync += busy.eq(0)
        with m.If(self.start):
            m.d.sync += [busy.eq(1), held.eq(self.record), at.eq(0)]
            for count, size in ((words, self.record.words), (outputs, self.record.outputs)):
                count.begin(size - 2, size == 1)
        reads = [memory.read_port() for memory in (weights, operand, constants, kept)]
        m.d.comb += [
            reads[0].addr.eq(at + Mux(held.half, rows, 0)),
            reads[1].addr.eq(held.operand + word),
            reads[2].addr.eq(
                delayed(m, output + Mux(held.half, MOST_OUTPUTS, 0), 11, SUM_LATENCY - 3)
            ),
            reads[3].addr.eq(held.operand + word),
        ]
        targets.append(kept.write_port(granularity=8 * sizes.bus_bytes))
        read = [
            uncollided(m, platform, source, target)
            for source, target in zip(reads, targets, strict=True)
        ]
        found = [delayed(m, one, len(one), 1) for one in read]
        # One register more, as the lane is far from its constants' memory.
        found[2] = delayed(m, found[2], len(found[2]), 1)
        operands = Mux(delayed(m, held.on_chip, 1, 2), found[3], found[1])
        first_word = delayed(m, word == 0, 1, SUM_LATENCY - 1)
        total = self._sums(m, found[0], operands, first_word)
        left = sizes.latency - SUM_LATENCY - PLACE_LATENCY
        lane = place(m, platform, "lane", "linear_lane", Lane, left, False)
        own = data.View(CONSTANTS, found[2][: CONSTANTS.size])
        made = delayed(m, last, 1, sizes.latency - PLACE_LATENCY)
        m.d.comb += [
            lane.sum.eq(total),
            lane.column.factor.eq(own.factor),
            lane.column.bias.eq(own.bias),
            lane.column.correction.eq(own.correction),
            lane.layer.eq(delayed(m, held.layer, LAYER, SUM_LATENCY)),
            self.alarm.eq(lane.alarm & made),
        ]
        first = delayed(m, output == 0, 1, sizes.latency - PLACE_LATENCY)
        names = ("format", "results", "keep", "kept")
        where = data.StructLayout({name: LINEAR.members[name] for name in names})
        target = Signal(where)
        m.d.comb += [target[name].eq(held[name]) for name in names]
        late = delayed(m, target, where, sizes.latency - PLACE_LATENCY)
        filled = self._results(m, lane.value, made, first, late)
        self._keep(m, targets[3], filled, delayed(m, late, where, FILL_LATENCY))
        return m

    def _load(
        self, m: Module, weights: Memory, operand: Memory, constants: Memory
    ) -> list[WritePort]:
        """Bus words of a job come in order; those of weights lie one behind the other. Returns the
        ports that write.
        """
        ports = []
        write, sizes = delayed(m, self.write, self.write.shape(), 1), self.sizes
        bits = 8 * sizes.bus_bytes
        inner = power_above(sizes.lanes // sizes.bus_bytes)
        rows = WEIGHT_BYTES // sizes.lanes
        begins, mine, at = Signal(), Signal(), Signal(range((rows + 1) << inner))
        here, next_at = Signal.like(at), Signal.like(at)
        place = (write.word - write.words)[: power_above(CONSTANT_BYTES // sizes.bus_bytes)]
        m.d.comb += [
            begins.eq(delayed(m, (self.write.row == 0) & (self.write.word == 0), 1, 1)),
            mine.eq(delayed(m, self.write.word < self.write.words, 1, 1)),
            at.eq(Mux(begins, 0, next_at)),
            here.eq(Mux(write.weights, at, (write.operand << inner) + write.word)),
        ]
        with m.If(write.en & write.weights):
            m.d.sync += next_at.eq(at + mine)
        for memory, address, part, wanted in (
            (weights, (here >> inner) + Mux(write.half, rows, 0), here[:inner],
             write.weights & mine),
            (operand, here >> inner, here[:inner], ~write.weights),
            (constants, write.row + Mux(write.half, MOST_OUTPUTS, 0), place,
             write.weights & ~mine),
        ):  # fmt: skip
            port = memory.write_port(granularity=bits)
            ports.append(port)
            m.d.comb += [
                port.addr.eq(address),
                port.data.eq(write.data.replicate(len(port.data) // bits)),
                port.en.eq(Mux(write.en & wanted, 1 << part, 0)),
            ]
        return ports

    def _sums(self, m: Module, weights: Value, operand: Value, first: Value) -> Value:
        """The sum of an output up to a word."""
        width = 8 * self.sizes.lanes
        weights, operand = (delayed(m, one, width, 1) for one in (weights, operand))
        parts: list[Value] = [
            weights.word_select(lane, 8).as_signed() * operand.word_select(lane, 8)
            for lane in range(self.sizes.lanes)
        ]
        for _ in range(_SUM_STAGES):
            parts = [delayed(m, part, part.shape(), 1) for part in parts]
            if len(parts) > 1:
                parts = [a + b for a, b in zip(parts[::2], parts[1::2], strict=True)]
        whole = delayed(m, sum(parts[1:], parts[0]), signed(SUM_BITS), 1)
        total = Signal(signed(SUM_BITS))
        m.d.sync += total.eq(whole + Mux(first, 0, total))
        return total

    def _results(
        self, m: Module, value: Value, made: Value, first: Value, held: data.View
    ) -> data.View:
        """Values of one size fill bus words, which are returned, ``FILL_LATENCY`` later."""
        store = m.submodules.store = self.store_words
        fill = m.submodules.fill = WordFill(self.sizes.bus_bytes, store.words)
        m.d.comb += [
            fill.valid.eq(made),
            fill.first.eq(first),
            fill.half.eq(held.results),
            fill.bits.eq(Array(BITS.get(name, 8) for name in FORMATS)[held.format]),
            fill.value.eq(value),
            store.writes[0].eq(fill.write),
            store.start.eq(self.store_start),
            store.store.eq(self.store),
        ]
        wiring.connect(m, wiring.flipped(self.sent), store.sent)
        return fill.write

    def _keep(self, m: Module, port: WritePort, written: data.View, held: data.View) -> None:
        """Results are operands of the next layer, too."""
        bits = 8 * self.sizes.bus_bytes
        inner = power_above(self.sizes.lanes // self.sizes.bus_bytes)
        place = Signal(9)
        m.d.comb += [
            place.eq(held.kept + written.address),
            port.addr.eq(place >> inner),
            port.data.eq(written.data.replicate(len(port.data) // bits)),
            port.en.eq(Mux(written.en & held.keep, 1 << place[:inner], 0)),
        ]
