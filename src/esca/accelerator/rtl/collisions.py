"""Reads of a memory that never meet a write of the same word, and what shows it.

A block RAM with two ports gives no certain word where one port writes what the other reads in one
cycle. Asked for the old one, Yosys builds a second copy or a bypass around it; the machine's
memories are mapped without. In compiled simulations such a word is wrong in every bit, so that
every test whose numbers are right shows that nobody used one.
"""

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib.memory import ReadPort, WritePort

from esca.accelerator.rtl.modules import Modules


def uncollided(m: Module, platform: object, source: ReadPort, target: WritePort) -> Value:
    """What ``source`` read, a cycle after its address; in compiled simulations the inverse of it
    where ``target`` wrote that word in the same cycle.
    """
    found = Value.cast(source.data)
    if not (isinstance(platform, Modules) and platform.simulated):
        return found
    met = Signal()
    m.d.sync += met.eq(source.en & target.en.any() & (source.addr == target.addr))
    return Mux(met, ~found, found)
