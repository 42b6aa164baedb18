"""The drain side: from a unit's sums to outputs in the banks and among the results."""

from dataclasses import dataclass

from amaranth.hdl import Cat, Module, Mux, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from esca.accelerator.config import AcceleratorConfig
from esca.accelerator.hardware.jobs import bus_bytes
from esca.accelerator.hardware.latencies import OVERLAP_LATENCY
from esca.accelerator.hardware.sizes import least_epilogue
from esca.accelerator.reads import power_above
from esca.accelerator.rtl.accumulators import DRAINED_LATENCY, token_shape
from esca.accelerator.rtl.activations import accesses_shape, bank_words
from esca.accelerator.rtl.array import delayed
from esca.accelerator.rtl.assemble import ASSEMBLE_LATENCY, Assemble, taken_shape
from esca.accelerator.rtl.bank_writes import FIRST_LATENCY
from esca.accelerator.rtl.constants_ram import CONSTANTS, ConstantsRam, constants_write
from esca.accelerator.rtl.drain_records import STORE, epilogue_record
from esca.accelerator.rtl.drain_sequencer import DrainSequencer, step_shape
from esca.accelerator.rtl.extras import Extras
from esca.accelerator.rtl.modules import place
from esca.accelerator.rtl.overlap_rows import OverlapRows
from esca.accelerator.rtl.params import SUM_BITS, Parameters
from esca.accelerator.rtl.phase_constants import PhaseConstants
from esca.accelerator.rtl.place_outputs import PLACE_LATENCY, PlaceOutputs, target_shape
from esca.accelerator.rtl.place_results import RESULT_LATENCY, PlaceResults, runs_shape
from esca.accelerator.rtl.ramps import Ramps
from esca.accelerator.rtl.requantize import COLUMN, LAYER, Lane
from esca.accelerator.rtl.residuals import Residuals, residual_write
from esca.accelerator.rtl.results import MOST_LEAD, Results
from esca.errors import EscaError

DRAIN_LATENCY = DRAINED_LATENCY
"""Cycles from a place's cycle to its sums at the lanes."""

MOST_TURNS = 2
"""Cycles in which the lanes take a row of sums, at most: they make a half of its outputs each."""


@dataclass(frozen=True)
class DrainSizes:
    """``latency`` of the epilogue in cycles; ``constants`` of columns; ``bank_words`` of a
    sub-bank; bytes of a bus word, of a half of the texel biases and of a
    word of the results; such words in both halves, of even rows or of odd ones. ``residuals``:
    whether units may add a map; ``ramps``: whether texel biases may be ramps, which say where
    samples lie; ``overlaps``: whether sums were added where outputs overlap.
    """

    latency: int
    constants: int
    bank_words: int
    bus_bytes: int
    extras_bytes: int
    result_bytes: int
    result_words: int
    residuals: bool = False
    ramps: bool = True
    overlaps: bool = False

    @property
    def lane_latency(self) -> int:
        """Cycles that a lane takes."""
        ordering = OVERLAP_LATENCY if self.overlaps else 0
        return self.latency - ordering - DRAIN_LATENCY - ASSEMBLE_LATENCY - FIRST_LATENCY


def drain_sizes(
    config: AcceleratorConfig, constants: int = 2048, residuals: bool = False
) -> DrainSizes:
    """Sizes of a configuration; EscaError for what the drain is not made for."""
    engines, array, where = config.engines, config.array, f"rtl: {config.name}: "
    lanes = min(engines.epilogue_lanes, array.columns)
    if array.columns % lanes or lanes * MOST_TURNS < array.columns:
        raise EscaError(
            f"{where}engines.epilogue_lanes is {engines.epilogue_lanes}, expected a half of "
            f"array.columns ({array.columns}), as many, or more"
        )
    if not 4 <= array.columns <= array.rows or array.columns & (array.columns - 1):
        raise EscaError(
            f"{where}array.columns is {array.columns}, expected a power of two from 4 to array.rows"
        )
    least = least_epilogue(config)
    if engines.epilogue_latency_cycles < least:
        raise EscaError(
            f"{where}engines.epilogue_latency_cycles is {engines.epilogue_latency_cycles}, "
            f"expected {least} or more"
        )
    bus, quarter = bus_bytes(config), config.buffers.output_bytes // 4
    if bus < array.columns:
        raise EscaError(f"{where}DMA moves {bus} bytes a cycle, expected {array.columns} or more")
    wide = max(bus, 2 * array.columns)
    words = 1 << power_above(quarter // wide)
    return DrainSizes(
        engines.epilogue_latency_cycles,
        constants,
        bank_words(config),
        bus,
        quarter,
        wide,
        words,
        residuals,
        config.engines.grid_samples_per_cycle > 0,
        "scatter" in config.mappings,
    )


class Drain(wiring.Component):
    """``start`` comes with ``head``, its record, in the cycle before the unit's first;
    ``next_constants``: of the record that waits (``there``, if one does). ``ending`` in its last,
    ``resulting`` as many cycles behind as the epilogue's latency: its outputs are where the next
    cycle finds them.

    ``drain`` .. ``drained``, ``clear``: of the accumulators. ``constants``: written before a frame.
    ``extras_write``: words of texel biases, ``residual_write``: of maps that are added. ``writes``
    of the banks. ``store_start``, ``store``, ``sent``: of stores.
    """

    def __init__(self, p: Parameters, sizes: DrainSizes) -> None:
        self.p, self.sizes = p, sizes
        self.extras = Extras(p, sizes.bus_bytes, sizes.extras_bytes)
        address = token_shape(p).members["address"]
        clear = {"clear": Out(1)} if p.overlaps else {}
        super().__init__(
            {
                **clear,
                "start": In(1),
                "there": In(1),
                "next_constants": In(range(sizes.constants)),
                "head": In(epilogue_record(p.overlaps)),
                "ready": Out(1),
                "ending": Out(1),
                "resulting": Out(1),
                "alarm": Out(1),
                "drain": Out(1),
                "drain_half": Out(1),
                "drain_address": Out(address),
                "drained": In(data.ArrayLayout(signed(SUM_BITS), p.columns)),
                "constants": In(constants_write(sizes.constants)),
                "extras_write": In(self.extras.signature.members["write"].shape),
                "residual_write": In(residual_write(p, sizes.bus_bytes)),
                "writes": Out(accesses_shape(p, sizes.bank_words)),
                "taken": Out(taken_shape()),
                "store_start": In(1),
                "store": In(STORE),
                "sent": Out(stream.Signature(8 * sizes.bus_bytes)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Sequencer, constants, extras, lanes, then both kinds of places."""
        p, sizes, m = self.p, self.sizes, Module()
        m.submodules.sequencer = sequencer = DrainSequencer(p)
        ram = PhaseConstants if p.overlaps else ConstantsRam
        shape = CONSTANTS if sizes.ramps else COLUMN
        m.submodules.constants = constants = ram(p, sizes.constants, shape)
        m.submodules.extras = extras = self.extras
        later = OVERLAP_LATENCY if p.overlaps else 0  # until a row is in the order of columns
        early, swap = sequencer.step, delayed(m, sequencer.step.first, 1, DRAIN_LATENCY - 1)
        unit = _Unit(
            delayed(m, self.start, 1, later),
            delayed(m, self.head, epilogue_record(p.overlaps), later),
            delayed(m, sequencer.held, epilogue_record(p.overlaps), later),
            delayed(m, early, step_shape(p), later),
        )
        held, step = unit.held, unit.step
        layer = delayed(m, held.layer, LAYER, DRAIN_LATENCY)
        m.d.comb += [
            sequencer.start.eq(self.start),
            sequencer.record.eq(self.head),
            self.ending.eq(sequencer.ending),
            self.resulting.eq(delayed(m, sequencer.ending, 1, sizes.latency)),
            self.drain.eq(early.drains),
            self.drain_half.eq(sequencer.held.half),
            self.drain_address.eq(early.address),
            constants.write.eq(self.constants),
            constants.there.eq(self.there),
            constants.first.eq(self.next_constants),
            constants.start.eq(self.start),
            constants.swap.eq(swap),
            self.ready.eq(constants.ready),
            extras.write.eq(self.extras_write),
            extras.row.eq(step.address),
            extras.half.eq(held.extras),
            extras.bits.eq(held.texel),
        ]
        sums = self.drained
        if p.overlaps:
            m.submodules.overlap = rows = OverlapRows(p)
            m.d.comb += [
                self.clear.eq(early.valid),
                rows.start.eq(self.start),
                rows.record.eq(self.head.overlap),
                rows.held.eq(sequencer.held.overlap),
                rows.step.eq(early),
                rows.drained.eq(self.drained),
                constants.phase.eq(delayed(m, rows.phase, 2, DRAIN_LATENCY + later)),
            ]
            sums = rows.sums
        texels = [Value.cast(extras.values[column]) for column in range(p.columns)]
        if sizes.ramps:
            m.submodules.ramps = ramps = Ramps(p)
            m.d.comb += [
                ramps.swap.eq(swap),
                ramps.ramps.eq(constants.ramps),
                ramps.moves.eq(delayed(m, early.valid, 1, DRAIN_LATENCY)),
                ramps.line_ends.eq(delayed(m, early.line_ends, 1, DRAIN_LATENCY)),
            ]
            rising = delayed(m, held.ramp, 1, DRAIN_LATENCY)
            risen = [delayed(m, value, value.shape(), later) for value in ramps.values]
            texels = [Mux(rising, risen[i], texel) for i, texel in enumerate(texels)]
        valid = delayed(m, step.drains, 1, DRAIN_LATENCY + sizes.lane_latency)
        turn = delayed(m, step.turn, step.turn.shape(), DRAIN_LATENCY)
        if sizes.residuals:
            m.submodules.residuals = residuals = Residuals(p, sizes.bus_bytes)
            m.d.comb += [
                residuals.write.eq(self.residual_write),
                residuals.row.eq(step.address),
                residuals.half.eq(held.extras),
                residuals.on.eq(held.residual),
                residuals.zero.eq(held.residual_zero),
            ]
        alarms, values = [], []
        for number in range(p.lanes):
            lane = place(
                m, platform, f"lane_{number}", "lane",
                Lane, sizes.lane_latency, sizes.residuals,
            )  # fmt: skip
            m.d.comb += lane.layer.eq(layer)
            for one in range(p.drain_turns):
                column = one * p.lanes + number
                with m.If(turn >= one):
                    m.d.comb += [
                        lane.sum.eq(sums[column]),
                        lane.texel.eq(texels[column]),
                        lane.column.eq(constants.active[column]),
                    ]
                    if sizes.residuals:
                        m.d.comb += lane.residual.eq(residuals.values[column])
            alarms.append(lane.alarm)
            values.append(lane.value)
        wrong = delayed(m, Cat(alarms).any(), 1, 1) & delayed(m, valid, 1, 1)
        m.d.sync += self.alarm.eq(sequencer.alarm | constants.alarm | wrong)
        # Those of a place's first turns wait for the last.
        made = [
            delayed(m, value, value.shape(), p.drain_turns - 1 - one)
            for one in range(p.drain_turns)
            for value in values
        ]
        self._places(m, unit, Cat(made))
        return m

    def _places(self, m: Module, drained: "_Unit", values: Cat) -> None:
        """Addresses wait for their values."""
        p, sizes = self.p, self.sizes
        later = DRAIN_LATENCY + sizes.lane_latency
        m.submodules.place_outputs = outputs = PlaceOutputs(p, sizes.bank_words)
        m.submodules.place_results = places = PlaceResults(
            p, sizes.result_bytes, sizes.result_words
        )
        m.submodules.assemble = assemble = Assemble(p, sizes.bank_words)
        lead = min(MOST_LEAD, later - RESULT_LATENCY)
        m.submodules.results = results = Results(
            p, sizes.bus_bytes, sizes.result_bytes, sizes.result_words, lead
        )
        for unit, name in ((outputs, "place"), (places, "result")):
            m.d.comb += [
                unit.start.eq(drained.start),
                unit.record.eq(drained.record[name]),
                unit.held.eq(drained.held[name]),
                unit.step.eq(drained.step),
            ]
        target = target_shape(p, sizes.bank_words)
        runs = runs_shape(sizes.result_words)
        m.d.comb += [
            assemble.values.eq(values),
            assemble.target.eq(delayed(m, outputs.target, target, later - PLACE_LATENCY)),
            self.writes.eq(assemble.writes),
            self.taken.eq(assemble.taken),
            results.values.eq(values),
            results.runs.eq(delayed(m, places.runs, runs, later - RESULT_LATENCY - lead)),
            results.start.eq(self.store_start),
            results.store.eq(self.store),
        ]
        wiring.connect(m, wiring.flipped(self.sent), results.sent)


@dataclass(frozen=True)
class _Unit:
    """The unit that is drained: it starts with ``record``; ``held`` and ``step`` of a cycle."""

    start: Value
    record: data.View
    held: data.View
    step: data.View
