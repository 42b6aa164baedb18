"""Which of the transfers that are ready is served: the first in program order, background last."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from esca.accelerator.rtl.records import NUMBER_BITS

PLACE = data.StructLayout({"number": NUMBER_BITS, "background": 1})
"""Of two records the one with the lesser bits comes first."""


class DmaOrder(wiring.Component):
    """``grant`` (at most one bit) of the ``queues`` heads that are ``ready``, while ``free``. Their
    ``places`` have been there since the cycle before.
    """

    def __init__(self, queues: int) -> None:
        self.queues = queues
        super().__init__(
            {
                "places": In(data.ArrayLayout(PLACE, queues)),
                "ready": In(queues),
                "free": In(1),
                "grant": Out(queues),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Every pair is compared a cycle ahead; ``ready`` comes late and only chooses."""
        m = Module()
        places = [place.as_value() for place in self.places]
        for mine in range(self.queues):
            beaten = []
            for other in range(self.queues):
                if other == mine:
                    continue
                before = Signal(name=f"{other}_before_{mine}")
                lesser = places[other] < places[mine]
                m.d.sync += before.eq(lesser if other > mine else places[other] <= places[mine])
                beaten.append(self.ready[other] & before)
            m.d.comb += self.grant[mine].eq(self.ready[mine] & self.free & ~Cat(beaten).any())
        return m
