"""Widths and banks that follow from a configuration; energy and area both read them."""

from math import ceil, log2

from esca.accelerator.config import AcceleratorConfig

BANK_PORT_BYTES = 8
"""Width of a bank's port."""

TEXTURE_CHANNELS = 3
"""Colours of the sampled texture; the grid-sample engine does all of them at once."""

ACCUMULATOR_BITS = 32
SCALE_BITS = 17
"""Mantissa of a requantization scale (see the integer runtime)."""
SLOPE_BITS = 16
"""Slope of a leaky ReLU."""


def operand_bits(config: AcceleratorConfig) -> int:
    """Bits of activations that a PE takes a cycle."""
    return max(8 * config.array.macs_8bit, 4 * config.array.macs_4bit)


def sum_bits(config: AcceleratorConfig, bits: int, packed_along_outputs: bool) -> int:
    """Bits of the partial sums that a PE hands on, exact over the rows of the array.

    With several MACs a PE they reduce into one sum, or belong to as many outputs (``scatter``).
    """
    macs = config.array.macs_4bit if bits == 4 else config.array.macs_8bit
    if packed_along_outputs:
        return macs * (2 * bits + ceil(log2(config.array.rows)))
    return 2 * bits + ceil(log2(config.array.rows * macs))


def widest_sum_bits(config: AcceleratorConfig) -> int:
    """Bits of the partial sums that a PE has registers and adders for."""
    scatters = (False, True) if "scatter" in config.mappings else (False,)
    return max(sum_bits(config, bits, along) for bits in (4, 8) for along in scatters)


def read_port_bytes(config: AcceleratorConfig) -> int:
    """Bytes that the activation buffer gives the array a cycle: a word of each row's bank."""
    return config.array.rows * BANK_PORT_BYTES


def bank_bytes(config: AcceleratorConfig) -> dict[str, float]:
    """Size of one bank of each buffer: as many banks as its engine reads words of 8 bytes a cycle.

    Activations have a bank for each row of the array.
    """
    buffers = config.buffers
    weight_banks = ceil(config.array.weight_port_bytes_per_cycle / BANK_PORT_BYTES)
    output_banks = ceil(config.engines.epilogue_lanes / BANK_PORT_BYTES)
    return {
        "weight_buffer": buffers.weight_bytes / weight_banks,
        "activation_buffer": buffers.activation_bytes / config.array.rows,
        "accumulators": buffers.accumulator_bytes / buffers.accumulator_banks,
        "output_buffer": buffers.output_bytes / output_banks,
    }
