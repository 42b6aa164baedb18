"""The one configuration of an accelerator: compiler, simulator, energy model and hardware read it.

Units stand in the names. A preset is a YAML file with exactly these fields; the hash of a
configuration goes into every result made with it.
"""

from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from esca.settings import STRICT, Settings

MappingName = Literal["im2col", "dense", "compressed", "phases", "scatter"]
Node = Literal[45, 28, 7]
ArrayMode = Literal["4x4", "4x8", "8x8"]
"""Widths of the operands that a PE multiplies, the narrower first: weight or activation."""

MODES: tuple[ArrayMode, ...] = get_args(ArrayMode)

ACCUMULATOR_BYTES = 4
"""One int32 accumulator."""

Positive = Annotated[int, Field(ge=1)]


@dataclass(frozen=True, config=STRICT)
class Array:
    """The weight-stationary array: reduction along rows, outputs along columns.

    ``macs_8bit``, ``macs_4x8``, ``macs_4bit``: multiply-accumulates of one PE a cycle when both
    operands have at most 8 bits, one of them at most 4, or both at most 4. A PE that composes its
    8 x 8 product of four 4 x 4 ones (Bit Fusion, arXiv 1712.01507) has two 4 x 8 products in them:
    1, 2, 4. An array without a mode for them takes as long as for 8 x 8: 1, 1, 4. One that does not
    make wider products at all has 0 for them, and layers that need them are refused: 0, 0, 4.
    ``mux_width``: input values that a row offers each of its PEs to choose from.
    ``weight_port_bytes_per_cycle``: from the weight buffer into the idle half of the PEs' weight
    registers; never more than one row of the array a cycle.
    """

    rows: Positive
    columns: Positive
    macs_8bit: Annotated[int, Field(ge=0)]
    macs_4x8: Annotated[int, Field(ge=0)]
    macs_4bit: Positive
    mux_width: Positive
    weight_port_bytes_per_cycle: Positive

    @model_validator(mode="after")
    def _narrower_is_not_slower(self) -> Self:
        if not self.macs_8bit <= self.macs_4x8 <= self.macs_4bit:
            raise ValueError(
                "expected macs_8bit <= macs_4x8 <= macs_4bit, got "
                f"{self.macs_8bit}, {self.macs_4x8}, {self.macs_4bit}"
            )
        return self

    def macs(self, mode: ArrayMode) -> int:
        """Multiply-accumulates of one PE a cycle."""
        return {"4x4": self.macs_4bit, "4x8": self.macs_4x8, "8x8": self.macs_8bit}[mode]

    def runs(self, mode: ArrayMode) -> ArrayMode:
        """The mode that operands of ``mode`` run in: widened to ``8x8`` where that is as fast."""
        return mode if self.macs(mode) > self.macs_8bit else "8x8"


@dataclass(frozen=True, config=STRICT)
class Buffers:
    """On-chip memories in bytes.

    ``accumulator_bytes`` counts both halves of the double buffer; ``accumulator_banks`` single
    read-modify-write ports a cycle. ``weight_bytes`` is a ring. Half of ``activation_bytes`` holds
    whole feature maps, the other half windows of rows. ``output_bytes`` is split into two halves
    for results and two for the texel biases and residuals they need. ``banked``: maps on chip take
    what the banks of the RTL take (:mod:`esca.accelerator.layout`), where rings and rows are filled
    up, and a frame takes the cycles of hardware (:mod:`esca.accelerator.hardware`); else rows lie
    one behind the other, and nothing that only building shows is counted.
    """

    accumulator_bytes: Positive
    accumulator_banks: Positive
    weight_bytes: Positive
    activation_bytes: Positive
    output_bytes: Positive
    banked: bool = False


@dataclass(frozen=True, config=STRICT)
class Memory:
    """DRAM and the DMA engine in front of it, which is shared by loads and stores.

    ``dram_bytes_per_second`` is sustained bandwidth, not the interface's peak.
    """

    dram_bytes_per_second: Annotated[float, Field(gt=0)]
    dma_bytes_per_cycle: Positive
    dram_latency_cycles: Annotated[int, Field(ge=0)]


@dataclass(frozen=True, config=STRICT)
class Engines:
    """Throughput of everything that is not the array, and pipeline latencies.

    ``epilogue_lanes``: values requantized a cycle (also elementwise layers). ``linear_lanes``:
    multiply-accumulates a cycle of the vector engine that takes fully connected layers from DRAM
    beside the array; 0 leaves them to the array. ``upsample_values_per_cycle`` counts outputs,
    ``grid_samples_per_cycle`` positions (all channels), 0 without such an engine.
    ``grid_window_rows``: texture rows held around the row that is sampled.
    ``move_values_per_cycle``: concat, reshape, pixel shuffle.
    """

    epilogue_lanes: Positive
    epilogue_latency_cycles: Annotated[int, Field(ge=0)]
    linear_lanes: Annotated[int, Field(ge=0)]
    upsample_values_per_cycle: Positive
    grid_samples_per_cycle: Annotated[int, Field(ge=0)]
    grid_window_rows: Positive
    move_values_per_cycle: Positive


@dataclass(frozen=True, config=STRICT)
class Technology:
    """Process node and the table of energy and area constants to take."""

    node_nanometres: Node
    constants: Annotated[str, Field(min_length=1)]


@dataclass(frozen=True, config=STRICT)
class AcceleratorConfig:
    """Everything that decides what the accelerator is.

    ``mappings``: how (transposed) convolutions may be laid onto the array, besides ``im2col`` for
    convolutions and linear layers, which is always allowed. ``fuse_strips``: whether feature maps
    that do not fit on chip are handed from layer to layer in strips instead of through DRAM.
    """

    name: Annotated[str, Field(min_length=1)]
    clock_hertz: Annotated[float, Field(gt=0)]
    array: Array
    buffers: Buffers
    memory: Memory
    engines: Engines
    mappings: Annotated[tuple[MappingName, ...], Field(min_length=1)]
    fuse_strips: bool
    technology: Technology

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.accumulator_rows < 1:
            row = 2 * ACCUMULATOR_BYTES * self.array.columns
            raise ValueError(
                f"buffers.accumulator_bytes holds no row twice, expected {row} or more"
            )
        if len(set(self.mappings)) != len(self.mappings):
            raise ValueError("mappings names one twice")
        return self

    @property
    def accumulator_rows(self) -> int:
        """Rows of one int32 a column that half of the accumulators hold."""
        return self.buffers.accumulator_bytes // (2 * ACCUMULATOR_BYTES * self.array.columns)

    @property
    def dram_bytes_per_cycle(self) -> float:
        """What DMA moves a cycle, limited by DRAM or by the DMA engine."""
        dram = self.memory.dram_bytes_per_second / self.clock_hertz
        return min(dram, float(self.memory.dma_bytes_per_cycle))

    def macs_per_cycle(self, mode: ArrayMode) -> int:
        """Peak multiply-accumulates of the array a cycle."""
        return self.array.rows * self.array.columns * self.array.macs(mode)


_CONFIG = Settings(
    AcceleratorConfig, "configuration", resources.files("esca.accelerator") / "presets"
)


def preset_names() -> tuple[str, ...]:
    """Names of the configurations that ship with esca."""
    return _CONFIG.names()


def load_config(name_or_path: str | Path) -> AcceleratorConfig:
    """A shipped preset by name, or a YAML file."""
    return _CONFIG.load(name_or_path, "preset")


def parse_config(text: str, source: str) -> AcceleratorConfig:
    """A configuration from YAML text; errors name ``source`` and the field."""
    return _CONFIG.parse(text, source)


def config_from_data(data: dict[str, Any], source: str) -> AcceleratorConfig:
    """A configuration from plain data, validated; errors name ``source`` and the field."""
    return _CONFIG.validated(data, source)


def config_data(config: AcceleratorConfig) -> dict[str, Any]:
    """Plain data of a configuration."""
    return _CONFIG.data(config)


def config_hash(config: AcceleratorConfig) -> str:
    """SHA-256 of the configuration's canonical JSON, as hex digits."""
    return _CONFIG.digest(config)
