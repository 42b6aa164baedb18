"""Where a raster place's outputs go in the banks of activations: coordinates, then an address."""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from esca.accelerator.layout import SUB_BANKS
from esca.accelerator.reads import power_above
from esca.accelerator.rtl.array import delayed
from esca.accelerator.rtl.drain_records import PLACE
from esca.accelerator.rtl.drain_sequencer import step_shape
from esca.accelerator.rtl.hash_axis import HashAxis
from esca.accelerator.rtl.params import Parameters
from esca.accelerator.rtl.streams import COORDINATE_BITS

PLACE_LATENCY = 4
"""Cycles from a step to its target."""


def target_shape(p: Parameters, words: int) -> data.StructLayout:
    """Where outputs are written if ``on``: atoms from ``bank`` on, each ``word`` of sub-bank
    ``sub``; its ``odd`` byte where atoms are not ``two_bytes``; values as ``nibbles``.
    """
    return data.StructLayout(
        {
            "on": 1,
            "bank": range(p.rows),
            "sub": range(SUB_BANKS),
            "word": range(words),
            "odd": 1,
            "two_bytes": 1,
            "nibbles": 1,
        }
    )


class PlaceOutputs(wiring.Component):
    """``start`` and ``record`` as the sequencer has them, ``held`` and ``step`` as it gives them;
    ``target`` of the outputs of a step ``PLACE_LATENCY`` cycles later.
    """

    def __init__(self, p: Parameters, words: int) -> None:
        self.p, self.words = p, words
        super().__init__(
            {
                "start": In(1),
                "record": In(PLACE),
                "held": In(PLACE),
                "step": In(step_shape(p)),
                "target": Out(target_shape(p, words)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Counters; hashes of both coordinates; their addresses joined, shift after shift."""
        m, held, layout = Module(), self.held, self.held.layout
        y, x, ring = self._counters(m)
        m.submodules.hash_y, m.submodules.hash_x = hash_y, hash_x = HashAxis(), HashAxis()
        m.d.comb += [
            hash_y.v.eq(ring),
            hash_y.hash.eq(layout.hash_y),
            hash_x.v.eq(x),
            hash_x.hash.eq(layout.hash_x),
        ]
        inside = held.on & self.step.valid & (y < held.height) & (x < held.width)
        colour = delayed(m, (hash_y.colour << layout.hash_x.bits) | hash_x.colour, 4, 1)
        row = delayed(m, hash_y.address, COORDINATE_BITS, 1)
        column = delayed(m, hash_x.address, COORDINATE_BITS, 1)
        hashed = delayed(m, held, PLACE, 1)
        bits, wide = power_above(self.words) + 1, power_above(self.p.rows)
        line = delayed(m, ((row << hashed.layout.row_pitch) | column)[:bits], bits, 1)
        shifted = delayed(m, hashed, PLACE, 1)
        at = delayed(m, ((line << shifted.layout.groups) | shifted.depth)[:bits], bits, 1)
        block = (colour >> 2) << (wide - hashed.places)[:3]
        pixel = delayed(m, block, range(self.p.rows), 2)
        place = delayed(m, shifted, PLACE, 1)
        layout, colour = place.layout, delayed(m, colour, 4, 2)
        m.d.sync += [
            self.target.on.eq(delayed(m, inside, 1, PLACE_LATENCY - 1)),
            self.target.bank.eq(pixel + place.bank),
            self.target.sub.eq(colour),
            self.target.word.eq(layout.base + Mux(layout.two_bytes, at, at >> 1)),
            self.target.odd.eq(~layout.two_bytes & at[0]),
            self.target.two_bytes.eq(layout.two_bytes),
            self.target.nibbles.eq(layout.nibbles),
        ]
        return m

    def _counters(self, m: Module) -> tuple[Signal, Signal, Signal]:
        """Coordinates of a place's outputs, and the row in its ring."""
        held, record, bits = self.held, self.record, COORDINATE_BITS
        y, x, ring = Signal(bits), Signal(bits), Signal(bits)
        # Behind the end of the ring its beginning follows: both sums at once, the later one chosen.
        wraps, back = Signal(signed(bits + 2)), Signal(signed(bits + 1))
        m.d.comb += wraps.eq(ring + back)
        with m.If(self.step.line_ends):
            m.d.sync += [
                x.eq(held.first_x),
                y.eq(y + held.step_y),
                ring.eq(Mux(wraps[-1], ring + held.step_y, wraps)),
            ]
        with m.Elif(self.step.valid):
            m.d.sync += x.eq(x + held.step_x)
        with m.If(self.start):
            m.d.sync += [x.eq(record.first_x), y.eq(record.first_y), ring.eq(record.ring_y)]
            m.d.sync += back.eq(record.step_y - record.layout.ring_rows)
        return y, x, ring
