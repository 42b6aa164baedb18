"""Counters of loops: nested ones, and such that know their last a step ahead."""

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


class Count:
    """Counts from 0 to one below a size, again and again. Whether it ``is_last`` is known a step
    ahead, by a second counter that goes down to 0: so nobody waits for a comparison. ``name``: of
    its signals.
    """

    def __init__(self, m: Module, bits: int, name: str) -> None:
        self.m = m
        self.value, self.is_last = Signal(bits, name=name), Signal(name=f"{name}_is_last")
        self.left = Signal(bits, name=f"{name}_left")  # before the last
        self.before = Signal(bits, name=f"before_{name}")
        self.single = Signal(name=f"single_{name}")

    def begin(self, before: Value, single: Value) -> None:
        """From 0 on. ``before``: the size less 2; ``single``: it is 1."""
        self.m.d.sync += [self.before.eq(before), self.single.eq(single)]
        self._from_0(before, single)

    def again(self) -> None:
        """From 0 on, of the same size."""
        self._from_0(self.before, self.single)

    def step(self) -> None:
        """Go on; behind the last to 0."""
        with self.m.If(self.is_last):
            self.again()
        with self.m.Else():
            self.m.d.sync += [
                self.value.eq(self.value + 1),
                self.left.eq(self.left - 1),
                self.is_last.eq(self.left == 0),
            ]

    def _from_0(self, before: Value, single: Value) -> None:
        self.m.d.sync += [self.value.eq(0), self.left.eq(before), self.is_last.eq(single)]
