"""Single-data-rate SDRAM: what a part asks for in nanoseconds, and in cycles of a clock."""

from dataclasses import dataclass
from math import ceil, floor

from esca.errors import EscaError

FASTEST_HERTZ = 75e6
"""The pins have no registers of their own: words are caught half a cycle behind the edge at which
memory sends them, which leaves room for pads and wires up to this clock.
"""


@dataclass(frozen=True)
class SdramPart:
    """Sizes in address bits, of words of 16 bits; times in ns. ``cas_latency`` in cycles, allowed
    at periods from ``least_period`` on. ``refresh``: between refreshes, on average; ``start``: of
    steady clock before the first command.
    """

    name: str
    row_bits: int
    column_bits: int
    bank_bits: int
    cas_latency: int
    least_period: float
    activate_to_column: float
    precharge: float
    activate_to_precharge: float
    longest_active: float
    activate_to_activate: float
    other_bank: float
    refresh_cycle: float
    write_recovery: float
    mode_register: float
    refresh: float
    start: float

    @property
    def address_bits(self) -> int:
        """Of a word."""
        return self.row_bits + self.column_bits + self.bank_bits

    @property
    def size(self) -> int:
        """In bytes."""
        return 2 << self.address_bits


ULX3S_SDRAM = SdramPart(
    "32 MiB of 16 bits, the slowest times of the parts in use",
    row_bits=13,
    column_bits=9,
    bank_bits=2,
    cas_latency=2,
    least_period=10,
    activate_to_column=21,
    precharge=21,
    activate_to_precharge=42,
    longest_active=100_000,
    activate_to_activate=63,
    other_bank=14,
    refresh_cycle=66,
    write_recovery=15,
    mode_register=14,
    refresh=7_800,
    start=200_000,
)
"""Boards carry parts of several makers, of 32 or 64 MiB; half of the larger ones is not used."""


@dataclass(frozen=True)
class SdramCycles:
    """Times of a part in cycles, each as long as it must be at least; ``refresh`` at most."""

    activate_to_column: int
    precharge: int
    activate_to_precharge: int
    refresh_cycle: int
    write_recovery: int
    mode_register: int
    refresh: int
    start: int


def sdram_cycles(part: SdramPart, clock_hertz: float) -> SdramCycles:
    """EscaError for a clock that part or pins are not made for."""
    period = 1e9 / clock_hertz
    if period < part.least_period or clock_hertz > FASTEST_HERTZ:
        raise EscaError(
            f"board: SDRAM at {clock_hertz / 1e6:g} MHz, expected "
            f"{min(1e3 / part.least_period, FASTEST_HERTZ / 1e6):g} MHz or less"
        )

    def least(nanoseconds: float) -> int:
        return max(1, ceil(nanoseconds / period - 1e-9))

    precharge = least(part.precharge)
    return SdramCycles(
        least(part.activate_to_column),
        precharge,
        # One row is open at a time, so this also keeps one activation off the next.
        max(least(part.activate_to_precharge), least(part.activate_to_activate) - precharge),
        least(part.refresh_cycle),
        least(part.write_recovery),
        max(2, least(part.mode_register)),
        floor(part.refresh / period),
        least(part.start),
    )
