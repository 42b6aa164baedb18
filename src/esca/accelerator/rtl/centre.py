"""From words of activations to digits for the PEs, the map's zero point in the padding."""

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from esca.accelerator.rtl.activations import WORD_BITS
from esca.accelerator.rtl.params import Parameters
from esca.accelerator.rtl.pe import digit_shape, offer_shape

CENTRE_LATENCY = 1
"""Cycles from an atom to its digits."""


class Centre(wiring.Component):
    """``atom``, of ``two_bytes`` or one (the upper where ``odd``), of values of 4 bits
    (``nibbles``) or 8; its ``digits`` ``CENTRE_LATENCY`` cycles later.

    Where ``p.centred``, digits are those of the values less ``zero``, and 0 where the atom is not
    ``inside`` the map; else of the values themselves, and of ``zero``.
    """

    def __init__(self, p: Parameters) -> None:
        self.p = p
        super().__init__(
            {
                "atom": In(WORD_BITS),
                "odd": In(1),
                "inside": In(1),
                "two_bytes": In(1),
                "nibbles": In(1),
                "zero": In(8),
                "digits": Out(digit_shape(p)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Digits as :func:`esca.accelerator.rtl.params.activation_digits` orders them."""
        m, zero = Module(), self.zero
        byte = Signal(8)
        m.d.comb += byte.eq(Mux(self.odd, self.atom[8:], self.atom[:8]))
        if not self.p.small:
            value = byte - zero if self.p.centred else byte
            m.d.sync += self.digits[0].eq(Mux(self.inside, value, 0 if self.p.centred else zero))
            return m
        if not self.p.composed:
            atom = self.atom if self.p.digits == 4 else byte
            pad = 0 if self.p.centred else zero[:4]
            for i, digit in enumerate(self.digits):
                value = self._nibble(atom.word_select(i, 4), zero[:4])
                m.d.sync += digit.eq(Mux(self.inside, value, pad))
            return m
        # The two bytes of the atom, or the one twice.
        low = Mux(self.two_bytes, self.atom[:8], byte)
        high = Mux(self.two_bytes, self.atom[8:], byte)
        of_bytes, of_nibbles = (
            [half for value in (low, high) for half in self._halves(value, zero)],
            [self._nibble(nibble, zero[:4]) for nibble in (low[:4], low[4:], high[:4], high[4:])],
        )
        # One byte of two values: each is multiplied by both halves of a weight.
        twice = [of_nibbles[0], of_nibbles[0], of_nibbles[1], of_nibbles[1]]
        pads = [0] * 4 if self.p.centred else [zero[:4], zero[4:], zero[:4], zero[4:]]
        pad_nibbles = [0] * 4 if self.p.centred else [zero[:4]] * 4
        for i, digit in enumerate(self.digits):
            nibble = Mux(self.two_bytes, of_nibbles[i], twice[i])
            value = Mux(self.nibbles, nibble, of_bytes[i])
            outside = Mux(self.nibbles, pad_nibbles[i], pads[i])
            m.d.sync += digit.eq(Mux(self.inside, value, outside))
        return m

    def _halves(self, value: Value, zero: Value) -> tuple[Value, Value]:
        if not self.p.centred:
            return value[:4], value[4:]
        less = value - zero
        return less[:4], less[4:]

    def _nibble(self, value: Value, zero: Value) -> Value:
        return value - zero if self.p.centred else value


def offers_shape(p: Parameters) -> data.ArrayLayout:
    """What all rows of the array are offered in a cycle."""
    return data.ArrayLayout(offer_shape(p), p.rows)
