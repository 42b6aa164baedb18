"""The board's memory and all that share it, in turn."""

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring

from esca.accelerator.rtl.board.sdram import Sdram
from esca.accelerator.rtl.board.words import WORD_BITS


def shared(
    m: Module,
    sdram: Sdram,
    readers: Sequence[wiring.PureInterface],
    writers: Sequence[wiring.PureInterface],
) -> None:
    """Connect masters, as they see themselves, with the controller: the next that wants to behind
    the one that came last, or else the first.
    """
    masters: list[Any] = [*readers, *writers]
    count = len(masters)
    wants, behind, chosen = Signal(count), Signal(count), Signal(count)
    later = wants & behind
    first = Mux(later.any(), later, wants)
    runs = sdram.runs
    m.d.comb += [
        wants.eq(Cat(one.run.valid for one in masters)),
        chosen.eq(first & -first),
        runs.valid.eq(wants.any()),
        runs.payload.master.eq(chosen),
        runs.payload.write.eq(chosen[len(readers) :].any()),
        runs.payload.run.eq(_chosen([one.run.payload.as_value() for one in masters], chosen)),
        sdram.written.eq(
            _chosen([one.data for one in writers], sdram.take[len(readers) :])[:WORD_BITS]
        ),
    ]
    with m.If(runs.valid & runs.ready):
        m.d.sync += behind.eq(~(chosen | (chosen - 1)))
    for number, one in enumerate(masters):
        m.d.comb += one.run.ready.eq(chosen[number] & runs.ready)
    for number, one in enumerate(readers):
        m.d.comb += [one.valid.eq(sdram.came[number]), one.data.eq(sdram.read)]
    for number, one in enumerate(writers):
        m.d.comb += one.take.eq(sdram.take[len(readers) + number])


def _chosen(values: Sequence[Value], bits: Value) -> Value:
    """The value whose bit is set."""
    found: Value = Cat()
    for value, bit in zip(values, bits, strict=True):
        found = found | Mux(bit, value, 0)
    return found
