"""The weight-stationary array: operands run right, sums run down, weights fill in behind them."""

from amaranth.hdl import Module, Signal, ValueCastable, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from esca.accelerator.rtl.modules import place
from esca.accelerator.rtl.params import Parameters
from esca.accelerator.rtl.pe import PE, held_shape, offer_shape


class Array(wiring.Component):
    """``rows`` x ``columns`` PEs.

    ``offers``: what each row offers its PEs, all of one streamed row in one cycle. ``swap`` is set
    one cycle ahead of a tile's first streamed row. The sum of column c over what arrived in cycle t
    is in ``sums[c]`` in cycle t + ``p.array_latency`` + c.

    A tile's weights come in ``rows`` cycles without a gap, those of the lowest row first: ``start``
    with the first, ``last`` with the last, ``held`` for the PEs of a row. They may start with the
    first streamed row of the tile before, and end with ``swap`` at the latest.
    """

    def __init__(self, p: Parameters) -> None:
        self.p = p
        super().__init__(
            {
                "offers": In(data.ArrayLayout(offer_shape(p), p.rows)),
                "swap": In(1),
                "start": In(1),
                "last": In(1),
                "held": In(data.ArrayLayout(held_shape(p), p.columns)),
                "sums": Out(data.ArrayLayout(signed(p.sum_bits), p.columns)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """PEs, the delays of rows and columns, and which rows fill."""
        p, m = self.p, Module()
        pes = [
            [place(m, platform, f"pe_{r}_{c}", "pe", PE, p) for c in range(p.columns)]
            for r in range(p.rows)
        ]
        for r, row in enumerate(pes):
            for c, pe in enumerate(row):
                if c:
                    left = row[c - 1]
                    m.d.comb += [pe.offer.eq(left.offer_out), pe.swap.eq(left.swap_out)]
                if r:
                    above = pes[r - 1][c]
                    m.d.comb += [pe.sum_in.eq(above.sum_out), pe.held_in.eq(above.held_out)]
            first = row[0]
            m.d.comb += [
                first.offer.eq(delayed(m, self.offers[r], offer_shape(p), r)),
                first.swap.eq(delayed(m, self.swap, 1, r)),
            ]
        for c in range(p.columns):
            m.d.comb += self.sums[c].eq(pes[-1][c].sum_out)
            m.d.comb += pes[0][c].held_in.eq(delayed(m, self.held[c], held_shape(p), c))
        self._fill(m, pes)
        return m

    def _fill(self, m: Module, pes: list[list[PE]]) -> None:
        """A row takes weights from the moment in which they first reach it until all have come:
        the last that it takes are its own, those before were for rows below.
        """
        start, last = self.start, self.last
        for c in range(self.p.columns):
            start_here = start
            for r, row in enumerate(pes):
                filling = Signal(name=f"filling_{r}_{c}")
                m.d.comb += row[c].fill.eq(start_here | filling)
                m.d.sync += filling.eq(row[c].fill & ~last)
                start_here = delayed(m, start_here, 1, 1)
            start, last = (delayed(m, signal, 1, 1) for signal in (start, last))


def delayed(m: Module, value: object, shape: object, cycles: int) -> ValueCastable:
    """A signal ``cycles`` cycles later."""
    for _ in range(cycles):
        register = Signal(shape, reset_less=True)
        m.d.sync += register.eq(value)
        value = register
    return value
