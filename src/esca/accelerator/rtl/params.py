"""What the hardware is built from: sizes of a configuration, and widths that follow."""

from dataclasses import dataclass

from esca.accelerator.config import AcceleratorConfig, ArrayMode
from esca.accelerator.hardware.latencies import element_latency
from esca.accelerator.overlap import COLUMNS
from esca.errors import EscaError

SMALL_MODES = (1, 2, 4)
"""``macs_8bit``, ``macs_4x8`` and ``macs_4bit`` of a PE that is composed of 4 x 4 products."""

PACKED_MODES = ((0, 0, 2), (0, 0, 4))
"""The same of PEs that make 4 x 4 products and compose nothing of them."""

BYTE_MODES = (1, 1, 1)
"""The same of a PE with one 8 x 8 product."""

WEIGHT_DIGIT_BITS = 5
"""A weight's lower four bits are unsigned, its upper ones signed: both fit five signed bits."""

SUM_BITS = 32
"""Accumulators and requantized sums."""


@dataclass(frozen=True)
class Parameters:
    """Sizes of one piece of hardware.

    ``rows``, ``columns``: PEs of the array. ``small``: PEs are composed of four 4 x 4 products and
    not of one 8 x 8 product. ``mux``: inputs that a row offers its PEs. ``centred``: activations
    come without their zero point, signed; else unsigned with their zero point in the padding, and
    sums are corrected by a constant of their column. ``half_rows``: rows of one int32 a column in
    half of the accumulators. ``lanes``: values that the epilogue makes a cycle. ``composed``: small
    products, of which there are four, also add up to wider ones (all modes); else there are two or
    four ``products`` of 4 x 4 bits and nothing else.
    """

    rows: int
    columns: int
    small: bool
    mux: int
    centred: bool
    half_rows: int
    lanes: int
    composed: bool = True
    products: int = 4

    @property
    def overlaps(self) -> bool:
        """Whether sums are added where outputs overlap, as only centred activations may be: how
        many taps an output has differs at the borders.
        """
        return self.centred

    @property
    def digits(self) -> int:
        """Digits that an operand consists of, one a multiplier of the PE."""
        return self.products if self.small else 1

    @property
    def digit_bits(self) -> int:
        """Bits of a digit of an activation: 4 or 8 unsigned ones, one more where it is signed."""
        return (4 if self.small else 8) + self.centred

    @property
    def weight_digit_bits(self) -> int:
        """Bits of a digit of a weight, signed."""
        if not self.small:
            return 8
        return WEIGHT_DIGIT_BITS if self.composed else 4

    @property
    def select_bits(self) -> int:
        """Bits that choose among the inputs of a row."""
        return (self.mux - 1).bit_length()

    @property
    def product_bits(self) -> int:
        """Bits of what a PE adds to its column in a cycle: 8 x 8 bits in every mode, or what the
        products of 4 x 4 come to.
        """
        if self.composed or not self.small:
            return 16
        return 8 + (self.products - 1).bit_length()

    @property
    def sum_bits(self) -> int:
        """Bits of a sum over all rows, signed."""
        return self.product_bits + (self.rows - 1).bit_length()

    @property
    def drain_turns(self) -> int:
        """Cycles in which the lanes take a row of sums."""
        return self.columns // self.lanes

    @property
    def pe_latency(self) -> int:
        """Cycles from an operand's arrival at a PE to the sum that holds its product."""
        return element_latency(self.digits)

    @property
    def array_latency(self) -> int:
        """Cycles from an operand's arrival at the array to the sum of the first column."""
        return self.rows - 1 + self.pe_latency


def parameters(config: AcceleratorConfig) -> Parameters:
    """Sizes of a configuration; EscaError for what the hardware is not made for."""
    array, where = config.array, f"rtl: {config.name}: "
    modes = (array.macs_8bit, array.macs_4x8, array.macs_4bit)
    known = (BYTE_MODES, SMALL_MODES, *PACKED_MODES)
    if modes not in known:
        raise EscaError(
            f"{where}array makes {modes} products a PE (8 x 8, 4 x 8, 4 x 4 bits), expected "
            f"one of {', '.join(map(str, known))}"
        )
    if array.mux_width not in (1, 2, 4):
        raise EscaError(f"{where}array.mux_width is {array.mux_width}, expected 1, 2 or 4")
    if array.rows < 4 or array.rows & (array.rows - 1):
        raise EscaError(f"{where}array.rows is {array.rows}, expected a power of two from 4 on")
    if "scatter" in config.mappings and array.columns not in COLUMNS:
        raise EscaError(
            f"{where}array.columns is {array.columns}, expected one of {COLUMNS} with scatter "
            "among mappings"
        )
    return Parameters(
        array.rows,
        array.columns,
        modes != BYTE_MODES,
        array.mux_width,
        "scatter" in config.mappings,
        config.accumulator_rows,
        min(config.engines.epilogue_lanes, array.columns),
        modes not in PACKED_MODES,
        array.macs_4bit,
    )


def activation_digits(values: list[int], mode: ArrayMode, bits: int) -> list[int]:
    """Digits of the activations that a PE with 4 x 4 products takes in a cycle, in the order of its
    multipliers. ``values``: one, two or four integers; ``bits``: 4 or 8, that they are held at.
    """
    low, high = values[0] & 15, values[0] >> 4
    return [low, high, low, high] if mode == "8x8" else _digits(values, mode, bits)


def weight_digits(values: list[int], mode: ArrayMode, bits: int) -> list[int]:
    """The same of weights."""
    low, high = values[0] & 15, values[0] >> 4
    return [low, low, high, high] if mode == "8x8" else _digits(values, mode, bits)


def _digits(values: list[int], mode: ArrayMode, bits: int) -> list[int]:
    """Of either operand where one of the two has 4 bits; only 8 x 8 bits pair them crosswise."""
    if mode == "4x4":
        return values
    if bits == 8:
        return [digit for value in values for digit in (value & 15, value >> 4)]
    return [values[0], values[0], values[1], values[1]]
