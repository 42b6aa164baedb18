"""Sizes of the engines that move and interpolate maps."""

from dataclasses import dataclass

from esca.accelerator.config import AcceleratorConfig
from esca.accelerator.hardware.jobs import bus_bytes
from esca.errors import EscaError

MOVE_WORDS = 512
"""Bus words of an operand of a move."""

BANKS = 4
"""Memories of a window that is interpolated: one for each parity of row and column."""

TEXEL_BYTES = 4
"""Of a texel that is sampled, and of a place."""


@dataclass(frozen=True)
class EngineSizes:
    """``latency`` in cycles; bytes of a bus word, of windows of maps and of places, and of a half
    of the results.
    """

    latency: int
    bus_bytes: int
    window_bytes: int
    place_bytes: int
    result_bytes: int

    @property
    def upsample_words(self) -> int:
        """Words of a bank of a map that is enlarged."""
        return self.window_bytes // (BANKS * self.bus_bytes)

    @property
    def texels(self) -> int:
        """Words of a bank of a texture that is sampled."""
        return self.window_bytes // (BANKS * TEXEL_BYTES)

    @property
    def place_words(self) -> int:
        """Bus words of places."""
        return self.place_bytes // self.bus_bytes


def engine_sizes(config: AcceleratorConfig) -> EngineSizes:
    """Sizes of a configuration: windows take what half of the activations do, places a quarter.

    EscaError for what the engines are not made for.
    """
    engines, buffers, bus = config.engines, config.buffers, bus_bytes(config)
    where = f"rtl: {config.name}: "
    if bus != 2 * TEXEL_BYTES:
        raise EscaError(f"{where}DMA moves {bus} bytes a cycle, engines beside the array take 8")
    for name in ("upsample_values_per_cycle", "move_values_per_cycle"):
        if getattr(engines, name) < bus:
            raise EscaError(f"{where}engines.{name} is {getattr(engines, name)}, expected {bus}")
    return EngineSizes(
        engines.epilogue_latency_cycles,
        bus,
        buffers.activation_bytes // 2,
        buffers.activation_bytes // 4,
        buffers.output_bytes // 4,
    )


def check_depth(sizes: EngineSizes, depth: int, name: str) -> None:
    """EscaError where an engine of ``depth`` cycles is to be faster."""
    if sizes.latency < depth:
        raise EscaError(
            f"rtl: engines.epilogue_latency_cycles is {sizes.latency}, expected {depth} or more "
            f"with {name}"
        )
