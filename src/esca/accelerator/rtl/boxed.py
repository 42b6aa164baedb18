"""A design with three pins, so that a place-and-route tool times the design and not its ports."""

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from esca.accelerator.rtl.modules import place


class Boxed(wiring.Component):
    """``inside`` with a register at each of its ports, all in one chain.

    Its inputs come from a shift register that ``fed`` fills; its outputs go into registers that are
    combined, one into the next, into ``told``. So nothing of it can be optimized away, and no path
    from or to a pin is longer than a shift register's.
    """

    def __init__(self, inside: wiring.Component, kind: str) -> None:
        self._inside, self._kind = inside, kind
        super().__init__({"fed": In(1), "told": Out(1)})

    @property
    def registers(self) -> int:
        """Flip-flops that the chain adds."""
        flat = self._inside.signature.flatten(self._inside)
        return 1 + sum(len(Value.cast(value)) for _, _, value in flat)

    def elaborate(self, platform: object) -> Module:
        """The chain around an instance."""
        m = Module()
        ports = place(m, platform, "inside", self._kind, lambda: self._inside)
        inputs: list[Value] = []
        outputs: list[Value] = []
        for _, member, value in self._inside.signature.flatten(ports):
            chosen = inputs if member.flow == wiring.In else outputs
            chosen.append(Value.cast(value))
        taken = Signal(sum(len(value) for value in inputs))
        m.d.sync += taken.eq(Cat(self.fed, taken[:-1]))
        m.d.comb += Cat(inputs).eq(taken)
        given = Cat(outputs)
        told = Signal(len(given) + 1)
        m.d.sync += told[0].eq(taken[-1])
        m.d.sync += told[1:].eq(given ^ told[:-1])
        m.d.comb += self.told.eq(told[-1])
        return m
