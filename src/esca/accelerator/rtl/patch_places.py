"""Where the products of a streamed input belong, where overlaps are added: lines and places of the
outputs that its taps reach, in rows of the accumulators.
"""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from esca.accelerator.overlap import KERNEL
from esca.accelerator.rtl.accumulators import token_shape
from esca.accelerator.rtl.array import delayed
from esca.accelerator.rtl.params import Parameters
from esca.accelerator.rtl.sequencer import row_shape
from esca.accelerator.rtl.streams import COORDINATE_BITS, PATCH

PATCH_LATENCY = 2
"""Cycles from a streamed row to its patch."""

REACH_BITS = COORDINATE_BITS + 3
"""Of a coordinate among outputs, signed: borders are below 0."""


def patch_shape(p: Parameters) -> data.StructLayout:
    """Of a row, if ``on``: ``base``, the row of accumulators in which the first tap's line begins,
    lines ``length`` rows apart; ``x`` of the first tap, 2^``pixels`` in a row; which ``lines`` and
    which ``across`` are outputs of the unit; by how much their banks are turned.
    """
    address = token_shape(p).members["address"]
    return data.StructLayout(
        {
            "on": 1,
            "base": address,
            "length": address,
            "lines": p.columns // KERNEL,
            "x": signed(REACH_BITS),
            "across": KERNEL,
            "pixels": 2,
            "turn_y": 2,
            "turn_x": 2,
        }
    )


class PatchPlaces(wiring.Component):
    """``row`` of a unit with record ``held``; its ``patch`` ``PATCH_LATENCY`` cycles later."""

    def __init__(self, p: Parameters) -> None:
        self.p = p
        super().__init__({"row": In(row_shape(p)), "held": In(PATCH), "patch": Out(patch_shape(p))})

    def elaborate(self, platform: object) -> Module:
        """Coordinates of the first tap, then what follows from them."""
        m, held = Module(), self.held
        line, x = Signal(signed(REACH_BITS)), Signal(signed(REACH_BITS))
        y_reach, x_reach = (
            Mux(held.double, at << 1, at)[:REACH_BITS] for at in (self.row.y, self.row.x)
        )
        m.d.sync += [line.eq(y_reach + held.first), x.eq(x_reach - held.padding)]
        later = delayed(m, held, PATCH, 1)
        patch = self.patch
        m.d.sync += [
            patch.on.eq(later.on),
            patch.base.eq(line * later.length),
            patch.length.eq(later.length),
            patch.lines.eq(
                Cat(
                    (line + tap >= 0) & (line + tap < later.lines)
                    for tap in range(len(patch.lines))
                )
            ),
            patch.x.eq(x),
            patch.across.eq(Cat((x + tap >= 0) & (x + tap < later.width) for tap in range(KERNEL))),
            patch.pixels.eq(later.pixels),
            patch.turn_y.eq(Mux(later.on, line + later.turn_y, 0)),
            patch.turn_x.eq(Mux(later.on, x + later.turn_x, 0)),
        ]
        return m
