"""Widths and banks that follow from a configuration; energy and area both read them."""

from math import ceil, log2

from esca.accelerator.config import MODES, AcceleratorConfig, ArrayMode

BANK_PORT_BYTES = 8
"""Width of a bank's port."""

TEXTURE_CHANNELS = 3
"""Colours of the sampled texture; the grid-sample engine does all of them at once."""

ACCUMULATOR_BITS = 32
SCALE_BITS = 17
"""Mantissa of a requantization scale (see the integer runtime)."""
SLOPE_BITS = 16
"""Slope of a leaky ReLU."""

PRODUCT_BITS: dict[ArrayMode, int] = {"4x4": 8, "4x8": 12, "8x8": 16}
SMALL_PRODUCTS: dict[ArrayMode, int] = {"4x4": 1, "4x8": 2, "8x8": 4}
"""4 x 4 products that a product is composed of, by one shifted addition fewer."""
COMPOSING_BITS = 12
"""Width of the adders between the small products of a PE: where one operand is shifted by 4 bits,
the lowest 4 of the other pass by."""


def operand_bits(config: AcceleratorConfig) -> int:
    """Bits of activations that a PE takes a cycle."""
    array = config.array
    return max(8 * array.macs_8bit, 8 * array.macs_4x8, 4 * array.macs_4bit)


def small_products(config: AcceleratorConfig) -> int:
    """4 x 4 multipliers of a PE: enough for each of its modes."""
    return max(SMALL_PRODUCTS[mode] * config.array.macs(mode) for mode in MODES)


def switched_shifts(config: AcceleratorConfig) -> int:
    """Adders of a PE that compose products in one mode and add them as they are in another.

    Two of the three in an 8 x 8 product are also those of two 4 x 8 products, so this mode needs
    none of its own.
    """
    array = config.array
    if array.macs_4bit == array.macs_8bit:
        return 0
    return max((SMALL_PRODUCTS[mode] - 1) * array.macs(mode) for mode in MODES)


def sum_bits(config: AcceleratorConfig, mode: ArrayMode, packed_along_outputs: bool) -> int:
    """Bits of the partial sums that a PE hands on, exact over the rows of the array.

    With several MACs a PE they reduce into one sum, or belong to as many outputs (``scatter``).
    """
    macs, product = config.array.macs(mode), PRODUCT_BITS[mode]
    if packed_along_outputs:
        return macs * (product + ceil(log2(config.array.rows)))
    return product + ceil(log2(config.array.rows * macs))


def widest_sum_bits(config: AcceleratorConfig) -> int:
    """Bits of the partial sums that a PE has registers and adders for."""
    scatters = (False, True) if "scatter" in config.mappings else (False,)
    modes = [mode for mode in MODES if config.array.macs(mode)]
    return max(sum_bits(config, mode, along) for mode in modes for along in scatters)


def read_port_bytes(config: AcceleratorConfig) -> int:
    """Bytes that the activation buffer gives the array a cycle: a word of each row's bank."""
    return config.array.rows * BANK_PORT_BYTES


def carried_bytes(config: AcceleratorConfig) -> int:
    """Bytes of the memory of sums that wait for inputs below: as deep as half of the accumulators,
    where hardware adds overlaps.
    """
    adds = config.buffers.banked and "scatter" in config.mappings
    return config.buffers.accumulator_bytes // 2 if adds else 0


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
