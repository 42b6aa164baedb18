"""The memory port: AXI4 with one identifier and incrementing bursts of whole bus words.

A channel is a stream; what does not change (identifier, size of a beat, burst type, cache and
protection bits) is added where the port leaves the chip. Writes fill whole words.
"""

from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

ADDRESS_BITS = 32
MOST_BEATS = 256
PAGE_BYTES = 4096
"""No burst crosses a multiple of this."""

REQUEST = data.StructLayout({"address": ADDRESS_BITS, "beats_less_1": 8})
"""Channels AR and AW."""


def beat(bus_bytes: int) -> data.StructLayout:
    """Channels R and W."""
    return data.StructLayout({"data": 8 * bus_bytes, "last": 1})


class Axi(wiring.Signature):
    """The port as its master sees it: ``ar``, ``r``; ``aw``, ``w``, ``b`` unless ``read_only``."""

    def __init__(self, bus_bytes: int, read_only: bool = False) -> None:
        members = {
            "ar": Out(stream.Signature(REQUEST)),
            "r": In(stream.Signature(beat(bus_bytes))),
        }
        if not read_only:
            members |= {
                "aw": Out(stream.Signature(REQUEST)),
                "w": Out(stream.Signature(beat(bus_bytes))),
                "b": In(stream.Signature(1)),
            }
        super().__init__(members)
