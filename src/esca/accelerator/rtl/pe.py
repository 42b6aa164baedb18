"""A processing element: chooses one of its row's inputs, multiplies, adds to its column."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from esca.accelerator.rtl.params import Parameters


def digit_shape(p: Parameters) -> data.ArrayLayout:
    """An operand of a PE: its digits, one a multiplier."""
    bits = p.digit_bits
    return data.ArrayLayout(signed(bits) if p.centred else unsigned(bits), p.digits)


def offer_shape(p: Parameters) -> data.ArrayLayout:
    """What a row offers its PEs in a cycle: ``mux`` operands."""
    return data.ArrayLayout(digit_shape(p), p.mux)


def held_shape(p: Parameters) -> data.StructLayout:
    """What a PE holds for a tile: ``weights`` (signed digits), ``select`` (which operand), ``wide``
    (the inner pairs of products are parts of one, shifted by 4 bits), ``widest`` (and so are both
    pairs): neither in mode 4x4, ``wide`` in 4x8, both in 8x8. Only a PE that composes has the two.
    """
    members: dict[str, object] = {
        "weights": data.ArrayLayout(signed(p.weight_digit_bits), p.digits),
        "select": p.select_bits,
    }
    if p.small and p.composed:
        members |= {"wide": 1, "widest": 1}
    return data.StructLayout(members)


class PE(wiring.Component):
    """Adds the product of its weight and an input of its row to what comes from the PE above.

    An operand that arrives in cycle t is in ``sum_out`` in cycle t + ``p.pe_latency``; ``sum_in``
    is taken one cycle before. ``swap``, one cycle ahead of the first operand of a tile, moves what
    ``fill`` has written into use. ``offer`` and ``swap`` are passed on a cycle later.
    """

    def __init__(self, p: Parameters) -> None:
        self.p = p
        super().__init__(
            {
                "offer": In(offer_shape(p)),
                "swap": In(1),
                "fill": In(1),
                "held_in": In(held_shape(p)),
                "sum_in": In(signed(p.sum_bits)),
                "offer_out": Out(offer_shape(p)),
                "swap_out": Out(1),
                "held_out": Out(held_shape(p)),
                "sum_out": Out(signed(p.sum_bits)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Registers: operand, products (two levels where they are composed), sum."""
        p, m = self.p, Module()
        idle = Signal(held_shape(p))
        select, weights = Signal(p.select_bits), Signal(held_shape(p).members["weights"])
        operand = Signal(digit_shape(p))
        m.d.sync += [self.offer_out.eq(self.offer), self.swap_out.eq(self.swap)]
        with m.If(self.fill):
            m.d.sync += idle.eq(self.held_in)
        m.d.comb += self.held_out.eq(idle)
        # The operand is chosen a cycle before it is multiplied: what is held may come only now.
        with m.If(self.swap):
            m.d.sync += select.eq(Mux(self.fill, self.held_in.select, idle.select))
        with m.If(self.swap_out):
            m.d.sync += weights.eq(idle.weights)
        m.d.sync += operand.eq(self.offer[select] if p.mux > 1 else self.offer[0])
        products = [operand[i] * weights[i] for i in range(p.digits)]
        product = Signal(signed(p.product_bits))
        m.d.sync += product.eq(self._summed(m, idle, products) if p.small else products[0])
        m.d.sync += self.sum_out.eq(self.sum_in + product)
        return m

    def _summed(self, m: Module, idle: data.View, products: list) -> object:
        """Of small products; of four of them with a register behind the sum of either pair."""
        p = self.p
        if p.digits == 2:
            return products[0] + products[1]
        wide, widest, last_widest = Signal(), Signal(), Signal()
        if p.composed:
            with m.If(self.swap_out):
                m.d.sync += [wide.eq(idle.wide), widest.eq(idle.widest)]
            m.d.sync += last_widest.eq(widest)
        bits = p.product_bits - (3 if p.composed else 1)
        pairs = [Signal(signed(bits), name=f"pair{i}") for i in range(2)]
        for pair, low, high in zip(pairs, products[::2], products[1::2], strict=True):
            m.d.sync += pair.eq(low + (Mux(wide, _shifted(high), high) if p.composed else high))
        return pairs[0] + (
            Mux(last_widest, _shifted(pairs[1]), pairs[1]) if p.composed else pairs[1]
        )


def _shifted(value: object) -> object:
    return Cat(0, 0, 0, 0, value).as_signed()
