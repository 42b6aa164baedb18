"""Cycles of a layer by formula: two engines in a row with a double buffer between them.

Unit ``i`` runs ``a_i`` cycles on the array and ``e_i`` on the epilogue. Its last value leaves the
array ``drain = R + C - 2`` cycles after its last row has entered, the epilogue's result comes
``latency`` cycles after its work. A unit starts when the array is free and the accumulators of the
unit before the last have been drained.
"""

from collections.abc import Sequence


def pipeline_cycles(units: Sequence[tuple[int, int]], drain: int, latency: int) -> int:
    """Cycles from the first row's entry to the last result, for ``units`` of (a, e)."""
    array = epilogue = before = last = 0
    for a, e in units:
        array = max(array, before) + a
        before, last = last, max(array + drain, epilogue) + e
        epilogue = last
    return last + latency if units else 0


def uniform_cycles(count: int, a: int, e: int, drain: int, latency: int) -> int:
    """:func:`pipeline_cycles` of ``count`` equal units, in closed form.

    Either the slower engine paces every unit, or each pair of units waits for the round trip
    through one half of the accumulators.
    """
    if count < 1:
        return 0
    pace, trip = max(a, e), a + drain + e
    pairs, rest = divmod(count - 1, 2)
    return trip + latency + max((count - 1) * pace, pairs * trip + rest * pace)
