"""A lane of the epilogue: from an exact sum to an output on its grid, integers throughout.

    u = round(sum * mantissa, shift) + bias + round(texel * texel_mantissa, texel_shift)
        + round(residual * residual_mantissa, residual_shift)
    v = u where u >= 0, else round(u * slope, 16)
    y = clamp(round(v, guard) + zero, 0, top)

with ``round(x, n) = (x + 2^(n-1)) >> n``, as
:func:`esca.accelerator.arithmetic.requantized` has it.
"""

from amaranth.hdl import Const, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from esca.accelerator.rtl.params import SUM_BITS
from esca.runtime.fixed_point import MANTISSA_BITS
from esca.runtime.lowering import GUARD_BITS, SLOPE_BITS

FACTOR_BITS = MANTISSA_BITS + 1
VALUE_BITS = 16
"""Most bits of an output, a texel bias or a residual."""
PRODUCT_BITS = SUM_BITS + FACTOR_BITS
LOW_BITS = 17
"""Lower part of a sum in an 18 x 18 multiplier, unsigned."""

FACTOR = data.StructLayout({"mantissa": signed(FACTOR_BITS), "shift": 6})
"""``mantissa / 2^(shift + 1)``; see :func:`stored_shift`."""

COLUMN = data.StructLayout(
    {
        "factor": FACTOR,
        "bias": signed(SUM_BITS),
        "correction": signed(SUM_BITS),
        "texel": FACTOR,
    }
)
"""Constants of an output channel (and phase). ``correction`` is added to the sum."""

LAYER = data.StructLayout(
    {
        "residual": FACTOR,
        "sloped": 1,
        "slope": signed(FACTOR_BITS),
        "guard": range(GUARD_BITS + 1),
        "zero": unsigned(VALUE_BITS),
        "top": unsigned(VALUE_BITS),
    }
)
"""Constants of a layer. ``sloped``: whether ``slope`` (16 fractional bits) is meant."""

CUTS = 19
"""Places where a lane may have registers."""


def stored_shift(shift: int) -> int:
    """What a ``FACTOR`` holds for a shift from 1 on: no product is longer than the largest."""
    return min(shift, PRODUCT_BITS) - 1


class Lane(wiring.Component):
    """One value a cycle, ``latency`` cycles from ``sum`` (and all that comes with it) to ``value``.

    ``texel``: a stored texel bias, ``residual``: without its zero point; 0 where there is none. A
    lane without ``residuals`` has no such input. ``alarm`` where a requantized sum leaves 32 bits,
    in the cycle of its value. Fewer cycles than ``CUTS`` make the paths between registers longer.
    """

    def __init__(self, latency: int, residuals: bool = True) -> None:
        self.latency, self.residuals = latency, residuals
        residual = {"residual": In(signed(VALUE_BITS + 1))} if residuals else {}
        super().__init__(
            {
                "sum": In(signed(SUM_BITS)),
                "texel": In(signed(VALUE_BITS)),
                **residual,
                "column": In(COLUMN),
                "layer": In(LAYER),
                "value": Out(unsigned(VALUE_BITS)),
                "alarm": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """The stages, and as many registers between them as ``latency`` says."""
        m = Module()
        pipe = _Pipe(m, self.latency)
        texel, column, layer = self.texel, self.column, self.layer
        residual: Value = self.residual if self.residuals else Const(0, signed(1))
        total = pipe.named(self.sum + column.correction, signed(SUM_BITS))

        total, texel, residual, column, layer = pipe.cut(total, texel, residual, column, layer)
        low, high = _product(total, column.factor.mantissa)
        texel_product = texel * column.texel.mantissa
        residual_product = residual * layer.residual.mantissa if self.residuals else residual

        low, high, texel_product, residual_product, column, layer = pipe.cut(
            low, high, texel_product, residual_product, column, layer
        )
        product = pipe.named(low + (high << LOW_BITS), signed(PRODUCT_BITS))

        # A factor's shift is stored less one: half of the last place is added behind it.
        products = pipe.cut(product, texel_product, residual_product, column, layer)
        products, column, layer = products[:3], products[3], products[4]
        for bits in (0x30, 0x0C, 0x03):
            shifts = [column.factor.shift, column.texel.shift, layer.residual.shift]
            products = [x >> (shift & bits) for x, shift in zip(products, shifts, strict=True)]
            if bits == 0x03:
                products = [pipe.named(x, signed(SUM_BITS + 2)) for x in products]
            *products, column, layer = pipe.cut(*products, column, layer)

        bias = column.bias
        parts = [(x + 1) >> 1 for x in products]

        *parts, bias, layer = pipe.cut(*parts, bias, layer)
        pairs = [parts[0] + bias, parts[1] + parts[2]]

        *pairs, layer = pipe.cut(*pairs, layer)
        exact = pipe.named(pairs[0] + pairs[1], signed(SUM_BITS + 4))

        exact, layer = pipe.cut(exact, layer)
        u = pipe.named(exact, signed(SUM_BITS))
        wrong, bends = exact != u, layer.sloped & u[-1]
        low, high = _product(u, layer.slope)

        low, high, u, wrong, bends, layer = pipe.cut(low, high, u, wrong, bends, layer)
        sloped = pipe.named(low + (high << LOW_BITS), signed(PRODUCT_BITS))

        sloped, u, wrong, bends, layer = pipe.cut(sloped, u, wrong, bends, layer)
        bent = (sloped + (1 << (SLOPE_BITS - 1))) >> SLOPE_BITS

        bent, u, wrong, bends, layer = pipe.cut(bent, u, wrong, bends, layer)
        v = pipe.named(Mux(bends, bent, u), signed(SUM_BITS + 2))
        half = pipe.named(Mux(layer.guard == 0, 0, (1 << layer.guard) >> 1), GUARD_BITS)

        v, half, wrong, layer = pipe.cut(v, half, wrong, layer)
        rounded = v + half
        for bits in (0x3, 0xC):
            rounded, wrong, layer = pipe.cut(rounded, wrong, layer)
            rounded = rounded >> (layer.guard & bits)

        rounded, wrong, layer = pipe.cut(rounded, wrong, layer)
        y = rounded + layer.zero

        y, wrong, layer = pipe.cut(y, wrong, layer)
        low, high, top = y[:VALUE_BITS], y[VALUE_BITS:-1].any(), layer.top
        over = low > top

        low, high, over, negative, top, wrong = pipe.cut(low, high, over, y[-1], top, wrong)
        value = Mux(negative, 0, Mux(high | over, top, low))

        value, wrong = pipe.cut(value, wrong)
        value, wrong = pipe.rest(value, wrong)
        m.d.comb += [self.value.eq(value), self.alarm.eq(wrong)]
        return m


def _product(value: Value, mantissa: Value) -> tuple[Value, Value]:
    """``value * mantissa`` as two products that an 18 x 18 multiplier takes."""
    return value[:LOW_BITS] * mantissa, value[LOW_BITS:].as_signed() * mantissa


class _Pipe:
    """Places for registers, ``latency`` of them taken, evenly; those too many at the end."""

    def __init__(self, m: Module, latency: int) -> None:
        self.m, self.extra, self.place = m, max(0, latency - CUTS), 0
        wanted = min(latency, CUTS)
        self.taken = {(i + 1) * CUTS // wanted - 1 for i in range(wanted)} if wanted else set()

    def cut(self, *values: Value) -> list:
        """The values behind the next place."""
        here, self.place = self.place, self.place + 1
        return [self._register(value) for value in values] if here in self.taken else [*values]

    def rest(self, *values: Value) -> list:
        """The values behind all registers that are left."""
        if self.place != CUTS:
            raise AssertionError(f"a lane has {self.place} places for registers")
        found = [*values]
        for _ in range(self.extra):
            found = [self._register(value) for value in found]
        return found

    def named(self, value: Value, shape: object) -> Signal:
        """The value in a shape that holds it."""
        signal = Signal(shape)
        self.m.d.comb += signal.eq(value)
        return signal

    def _register(self, value: Value) -> Signal:
        register = Signal(value.shape(), reset_less=True)
        self.m.d.sync += register.eq(value)
        return register
