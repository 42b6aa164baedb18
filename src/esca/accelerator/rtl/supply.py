"""Fetch and control together: records from memory, and a frame's beginning once they are there."""

from collections.abc import Sequence

from amaranth.hdl import Module, Signal, Value
from amaranth.lib import wiring

from esca.accelerator.rtl.array import delayed
from esca.accelerator.rtl.commands import CommandQueue
from esca.accelerator.rtl.control import START_LATENCY, Control
from esca.accelerator.rtl.fetch import Fetch
from esca.accelerator.rtl.modules import place


def supplied(
    m: Module,
    platform: object,
    queues: Sequence[CommandQueue],
    port: wiring.PureInterface,
    program: Value,
    begin: Value,
) -> tuple[Control, Signal]:
    """Control whose ``queues`` are filled over ``port``, an outward memory port, with the records
    at ``program`` after ``begin``; and the cycle in which the first jobs may ``start``.
    """
    control = place(m, platform, "control", "control", Control, queues)
    fetch = place(m, platform, "fetch", "fetch", Fetch, queues)
    wiring.connect(m, wiring.flipped(port), fetch.axi)
    for queue in queues:
        name = f"record_{queue.name}"
        wiring.connect(m, getattr(fetch, name), getattr(control, name))
    go, waiting = Signal(), Signal()
    with m.If(begin | go):
        m.d.sync += waiting.eq(begin)
    m.d.sync += go.eq(waiting & fetch.primed & ~begin & ~go)
    m.d.comb += [
        fetch.program.eq(program),
        fetch.begin.eq(begin),
        control.clear.eq(begin),
        control.go.eq(go),
    ]
    return control, delayed(m, go, 1, START_LATENCY)
