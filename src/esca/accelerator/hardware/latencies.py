"""Cycles that the machine spends between its jobs and inside them, whatever it computes.

The hardware has the same constants from here, or asserts that its stages add up to them; that they
are what it takes is tested instruction by instruction.
"""

CONTROL_CYCLES = 3
"""From the end of a job, or its result, to the first start of what waited for it."""

SETUP = 4
"""In which a transfer is prepared."""

SLACK = 16
"""Of the configured latency of DRAM those that are the chip's own: on the way to the port, and from
a word's arrival to its place in a buffer.
"""

WORD_LATENCY = 1
"""From a word that was taken from the port to where it is shared out."""

LOAD_ROWS_LATENCY = 6
"""From there to its place in the banks."""

WAITING_LATENCY = 7
"""From a placed word to its write, where nothing is in its way."""

FRONT_LATENCY = 14
"""From the cycle in which a row is streamed to the one in which the array is offered it."""

TURN_LATENCY = 2
"""In which the sums of all columns are turned to their banks, where overlaps are added."""

OVERLAP_LATENCY = 4
"""In which a row of those banks is turned back, and what was carried is added to it."""


def element_latency(products: int) -> int:
    """From an operand's arrival at an element of so many multipliers to the sum that holds its
    product.
    """
    return 4 if products == 4 else 3


def array_latency(rows: int, columns: int, products: int, overlaps: bool = False) -> int:
    """From the end of a unit to the first cycle in which all its sums may be drained; ``overlaps``:
    of a machine that adds where outputs overlap.
    """
    turned = TURN_LATENCY if overlaps else 0
    return FRONT_LATENCY + rows - 1 + element_latency(products) + columns + turned
