"""Nested counters, as loops over tiles have them."""

from collections.abc import Sequence

from amaranth.hdl import Module, Mux, Signal, Value, ValueLike


def count_nested(
    m: Module, counters: Sequence[Signal], lasts: Sequence[Value], step: ValueLike
) -> Signal:
    """Where ``step``, go on to the next of all combinations, the first counter fastest, behind the
    last to the first; ``lasts``: of each counter. Returns whether the last is reached.
    """
    last: ValueLike = 1
    for counter, end in zip(counters, lasts, strict=True):
        ends = Signal()
        m.d.comb += ends.eq(last & (counter == end))
        with m.If(step & last):
            m.d.sync += counter.eq(Mux(ends, 0, counter + 1))
        last = ends
    return ends
