"""The machine in blocks: what each is made of in a configuration, and a unit's way in cycles."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from esca.accelerator.config import AcceleratorConfig
from esca.accelerator.hardware.jobs import bus_bytes
from esca.accelerator.hardware.latencies import OVERLAP_LATENCY, TURN_LATENCY
from esca.accelerator.layout import SUB_BANKS
from esca.accelerator.rtl.activations import READ_LATENCY, WORD_BITS, bank_words
from esca.accelerator.rtl.assemble import ASSEMBLE_LATENCY
from esca.accelerator.rtl.bank_writes import FIRST_LATENCY
from esca.accelerator.rtl.centre import CENTRE_LATENCY
from esca.accelerator.rtl.commands import built_queues
from esca.accelerator.rtl.control import server_names
from esca.accelerator.rtl.drain import DRAIN_LATENCY, drain_sizes
from esca.accelerator.rtl.fetch import BEAT_BYTES
from esca.accelerator.rtl.params import SUM_BITS, Parameters, parameters
from esca.accelerator.rtl.ring import ring_rows, row_bytes
from esca.accelerator.rtl.route import ROUTE_LATENCY
from esca.accelerator.rtl.window import WINDOW_LATENCY
from esca.accelerator.structure import carried_bytes

BlockName = Literal[
    "supply",
    "control",
    "dma",
    "activations",
    "front",
    "array",
    "ring",
    "feed",
    "accumulators",
    "epilogue",
    "extras",
    "results",
    "linear",
]


@dataclass(frozen=True)
class Block:
    """A block by its ``title``; ``facts``: lines of what it is made of. ``memory_bytes`` in it."""

    title: str
    facts: tuple[str, ...]
    memory_bytes: int = 0


@dataclass(frozen=True)
class Wires:
    """Wires from one block to another; ``bits``: how many carry data."""

    source: BlockName
    target: BlockName
    bits: int


@dataclass(frozen=True)
class Stage:
    """A stretch of a unit's way, ``cycles`` long; ``drained``: behind the accumulators."""

    name: str
    cycles: int
    drained: bool = False


def blocks(config: AcceleratorConfig) -> Mapping[BlockName, Block]:
    """Every block of a configuration's machine; EscaError for what hardware is not made for."""
    p, sizes, queues = parameters(config), drain_sizes(config), built_queues(config, ())
    words, rows, bus = bank_words(config), ring_rows(config), bus_bytes(config)
    banks = p.rows * SUB_BANKS
    result_bytes = 2 * sizes.result_words * sizes.result_bytes
    made: dict[BlockName, Block] = {
        "supply": Block("Record supply", (f"AXI4 read port, {8 * BEAT_BYTES} bit",)),
        "control": Block(
            "Queues, semaphores",
            (f"{len(queues)} queues of records", f"{len(server_names(queues))} servers"),
        ),
        "dma": Block("DMA", (f"AXI4, {8 * bus} bit",)),
        "activations": Block(
            "Activations",
            (f"{p.rows} banks x {SUB_BANKS} sub-banks", f"{words:,} x {WORD_BITS} bit, two ports"),
            banks * words * WORD_BITS // 8,
        ),
        "front": Block(
            "Window, route, centre",
            (
                f"{p.mux} operand{'s' * (p.mux > 1)} a row",
                f"addresses of {banks} sub-banks",
                _padding(p),
            ),
        ),
        "array": Block(f"{p.rows} x {p.columns} PEs", (_element(p), f"sums of {p.sum_bits} bit")),
        "ring": Block(
            "Weight ring", (f"{rows:,} rows of {row_bytes(p)} bytes",), rows * row_bytes(p)
        ),
        "feed": Block("Weight feed", ("a row of the array a cycle", "one tile ahead")),
        "accumulators": Block(
            "Accumulators",
            (
                f"{p.columns} banks x 2 halves" + (", 1 carried" if p.overlaps else ""),
                f"{p.half_rows:,} x {SUM_BITS} bit" + (", overlaps" if p.overlaps else ""),
            ),
            config.buffers.accumulator_bytes + carried_bytes(config),
        ),
        "epilogue": Block(
            "Epilogue",
            (f"{p.lanes} lanes, {sizes.lane_latency} cycles", "scale, bias, slope, clamp"),
        ),
        "extras": Block("Texel biases", ("two halves",), 2 * sizes.extras_bytes),
        "results": Block(
            "Results",
            ("two halves", f"words of {sizes.result_bytes} bytes"),
            result_bytes,
        ),
    }
    if config.engines.linear_lanes:
        facts = (f"{config.engines.linear_lanes} products a cycle", "weights from memory")
        made["linear"] = Block("Linear engine", facts)
    return made


def wires(config: AcceleratorConfig) -> tuple[Wires, ...]:
    """Data between blocks, bits a cycle at most."""
    p, sizes, bus = parameters(config), drain_sizes(config), 8 * bus_bytes(config)
    operands = p.rows * p.mux * p.digits * p.digit_bits
    weights = 8 * row_bytes(p)
    banks = p.rows * SUB_BANKS * WORD_BITS
    outputs = p.lanes * 16
    made = [
        Wires("supply", "control", 8 * BEAT_BYTES),
        Wires("dma", "activations", bus),
        Wires("dma", "ring", bus),
        Wires("dma", "extras", bus),
        Wires("activations", "front", banks),
        Wires("front", "array", operands),
        Wires("ring", "feed", weights),
        Wires("feed", "array", p.columns * p.digits * p.weight_digit_bits),
        Wires("array", "accumulators", p.columns * p.sum_bits),
        Wires("accumulators", "epilogue", p.columns * SUM_BITS),
        Wires("extras", "epilogue", p.lanes * 16),
        Wires("epilogue", "activations", outputs),
        Wires("epilogue", "results", 8 * sizes.result_bytes),
        Wires("results", "dma", bus),
    ]
    if config.engines.linear_lanes:
        made += [Wires("dma", "linear", bus), Wires("linear", "dma", bus)]
    return tuple(made)


def unit_stages(config: AcceleratorConfig) -> tuple[Stage, ...]:
    """From the first address of a unit's last row to the last of its outputs in a bank."""
    p, sizes = parameters(config), drain_sizes(config)
    return (
        Stage("window: addresses", WINDOW_LATENCY),
        Stage("banks read", READ_LATENCY),
        Stage("route", ROUTE_LATENCY),
        Stage("centre", CENTRE_LATENCY),
        Stage("down the rows", p.rows - 1),
        Stage("element", p.pe_latency),
        Stage("along the columns", p.columns),
        *([Stage("to their banks", TURN_LATENCY)] if p.overlaps else []),
        Stage("sums read", DRAIN_LATENCY, True),
        *([Stage("into order", OVERLAP_LATENCY, True)] if p.overlaps else []),
        Stage("lane", sizes.lane_latency, True),
        Stage("outputs joined", ASSEMBLE_LATENCY, True),
        Stage("bank written", FIRST_LATENCY, True),
    )


def _element(p: Parameters) -> str:
    """What a PE multiplies a cycle."""
    if not p.small:
        return "8 x 8 bit"
    return "8x8, 2 of 4x8 or 4 of 4x4 bit" if p.composed else f"{p.products} of 4x4 bit"


def _padding(p: Parameters) -> str:
    return "zero point taken off" if p.centred else "zero point in the padding"
