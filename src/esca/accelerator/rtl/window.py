"""The window: addresses of all sub-banks, and where each row of the array finds its inputs.

A pixel of colours (y, x) lies in block ``colour // 4`` of the banks, of which there are as many as
pixels lie side by side, and in sub-bank ``colour % 4``, where colour is y << bits of x | x.
"""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from esca.accelerator.layout import SUB_BANKS
from esca.accelerator.reads import ELEMENTS
from esca.accelerator.rtl.array import delayed
from esca.accelerator.rtl.modules import place
from esca.accelerator.rtl.params import Parameters
from esca.accelerator.rtl.sequencer import row_shape
from esca.accelerator.rtl.streams import STREAM
from esca.accelerator.rtl.window_axis import COLOURS, MET, WindowAxis

QUARTERS = 4
"""Rows of the array and their banks, by which they share addresses and choices."""

PICK = data.StructLayout({"quarter": 2, "sub": 2, "odd": 1, "inside": 1})
"""Where an input lies: ``quarter`` of the banks, ``sub``-bank, the upper byte (``odd``); ``inside``
the map, or else its zero point stands for it.
"""

WINDOW_LATENCY = 9
"""Cycles from a row of the sequencer to its addresses."""


def address_shape(address_bits: int) -> data.ArrayLayout:
    """Addresses of the sub-banks of one bank in each quarter; the others have the same."""
    return data.ArrayLayout(data.ArrayLayout(address_bits, SUB_BANKS), QUARTERS)


def picks_shape(p: Parameters) -> data.ArrayLayout:
    """Choices of one row in each quarter; the others have the same, each among its own banks."""
    return data.ArrayLayout(data.ArrayLayout(PICK, p.mux), QUARTERS)


class Window(wiring.Component):
    """``row`` and its record ``held`` as the sequencer gives them; ``addresses`` and ``picks``
    ``WINDOW_LATENCY`` cycles later; ``alarm`` where two inputs of the window want one sub-bank.
    """

    def __init__(self, p: Parameters, address_bits: int) -> None:
        self.p, self.address_bits = p, address_bits
        super().__init__(
            {
                "row": In(row_shape(p)),
                "held": In(STREAM),
                "addresses": Out(address_shape(address_bits)),
                "picks": Out(picks_shape(p)),
                "alarm": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Both axes, then one of their addresses and elements each for every sub-bank and row."""
        m, row, held, bits = Module(), self.row, self.held, self.address_bits
        layout = held.layout
        across = layout.groups + layout.two_bytes
        y, x = (place(m, platform, n, "window_axis", WindowAxis, bits) for n in ("y", "x"))
        for name, axis, where, ring, up in (
            ("y", y, row.ring_y, layout.ring_rows, across + layout.row_pitch),
            ("x", x, row.x, 0, across),
        ):
            m.d.comb += [
                axis.base.eq(row[name]),
                axis.place.eq(where),
                axis.group.eq(row[f"group_{name}"]),
                axis.axis.eq(held[name]),
                axis.hash.eq(layout[f"hash_{name}"]),
                axis.ring.eq(ring),
                axis.up.eq(up),
            ]
        self._addresses(m, platform, y, x)
        self._picks(m, platform, y, x)
        valid = delayed(m, row.valid, 1, WINDOW_LATENCY - 2)
        m.d.comb += self.alarm.eq((y.meets | x.meets) & valid)
        return m

    def _addresses(self, m: Module, platform: object, y: WindowAxis, x: WindowAxis) -> None:
        layout, bits = self.held.layout, self.address_bits
        first = Signal(bits)
        depth = Mux(layout.two_bytes, self.row.depth, self.row.depth >> 1)
        m.d.sync += first.eq(layout.base + depth)
        given = {
            "first": delayed(m, first, bits, 7),
            "places": delayed(m, self.held.places, 2, 6),
            "bits_x": delayed(m, layout.hash_x.bits, 2, 6),
            "in_y": y.addresses,
            "in_x": x.addresses,
        }
        for quarter in range(QUARTERS):
            for sub in range(SUB_BANKS):
                name = f"address_{quarter}_{sub}"
                one = place(m, platform, name, "bank_address", BankAddress, bits)
                m.d.comb += [one.quarter.eq(quarter), one.sub.eq(sub)]
                m.d.comb += [getattr(one, port).eq(value) for port, value in given.items()]
                m.d.comb += self.addresses[quarter][sub].eq(one.address)

    def _picks(self, m: Module, platform: object, y: WindowAxis, x: WindowAxis) -> None:
        held, layout = self.held, self.held.layout
        row_odd = Signal()
        m.d.comb += row_odd.eq(self.row.depth[0])
        given = {
            "places": delayed(m, held.places, 2, 4),
            "together_x": delayed(m, held.x.together, 2, 4),
            "span_y": delayed(m, held.y.span, 2, 4),
            "span_x": delayed(m, held.x.span, 2, 4),
            "bits_x": delayed(m, layout.hash_x.bits, 2, 6),
            "one_byte": delayed(m, ~layout.two_bytes, 1, 6),
            "deep": delayed(m, layout.groups != 0, 1, 6),
            "depth_odd": delayed(m, row_odd, 1, 6),
            "y": y.elements,
            "x": x.elements,
        }
        for quarter in range(QUARTERS):
            for choice in range(self.p.mux):
                name = f"pick_{quarter}_{choice}"
                one = place(m, platform, name, "picker", Picker)
                m.d.comb += [one.quarter.eq(quarter), one.choice.eq(choice)]
                m.d.comb += [getattr(one, port).eq(value) for port, value in given.items()]
                # The addresses take longer: the axes give each colour its element, then a sum.
                m.d.comb += self.picks[quarter][choice].eq(delayed(m, one.pick, PICK, 2))


class BankAddress(wiring.Component):
    """Address of a ``sub``-bank in a ``quarter`` of the banks: that of the pixel whose colours are
    its own. ``in_y``, ``in_x``: of all colours, two cycles before the address; ``first``: where the
    map begins, one cycle; ``places`` and ``bits_x`` three.
    """

    def __init__(self, address_bits: int) -> None:
        by_colour = data.ArrayLayout(address_bits, COLOURS)
        super().__init__(
            {
                "quarter": In(2),
                "sub": In(2),
                "places": In(2),
                "bits_x": In(2),
                "first": In(address_bits),
                "in_y": In(by_colour),
                "in_x": In(by_colour),
                "address": Out(address_bits),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """One of eight on either axis, and an adder."""
        m, block = Module(), Signal(2)
        y, x, colour = Signal(3), Signal(3), Signal(4)
        m.d.comb += [
            block.eq(_by_places(self.places, (0, self.quarter >> 1, self.quarter))),
            colour.eq(Cat(self.sub, block)),
            y.eq(colour >> self.bits_x),
            x.eq(colour & ~(15 << self.bits_x)),
        ]
        last_y, last_x = delayed(m, y, 3, 1), delayed(m, x, 3, 1)
        place = delayed(m, self.in_y[last_y] | self.in_x[last_x], self.address.shape(), 1)
        m.d.sync += self.address.eq(self.first + place)
        return m


class Picker(wiring.Component):
    """Where the rows of a ``quarter`` find their input number ``choice``: ``pick``, two cycles
    after the elements ``y``, ``x`` of the window.

    ``places``, ``together_x``, ``span_y``, ``span_x``, of the record, come one cycle before;
    ``bits_x``, ``one_byte``, ``deep`` (atoms of a pixel lie above each other) and ``depth_odd``
    a cycle later.
    """

    def __init__(self) -> None:
        elements = data.ArrayLayout(MET, ELEMENTS)
        two_bits = ("quarter", "choice", "places", "together_x", "span_y", "span_x", "bits_x")
        super().__init__(
            {
                **{name: In(2) for name in two_bits},
                **{name: In(1) for name in ("one_byte", "deep", "depth_odd")},
                "y": In(elements),
                "x": In(elements),
                "pick": Out(PICK),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """An element of either axis; its colour says where it lies."""
        m = Module()
        slot, choice, colour = Signal(2), self.choice, Signal(4)
        places, last_places = self.places, delayed(m, self.places, 2, 2)
        y, x = Signal(range(ELEMENTS)), Signal(range(ELEMENTS))
        m.d.comb += [
            slot.eq(_by_places(places, (0, self.quarter >> 1, self.quarter))),
            y.eq((slot >> self.together_x << self.span_y) | choice >> self.span_x),
            x.eq(
                ((slot & ~(3 << self.together_x)) << self.span_x) | (choice & ~(3 << self.span_x))
            ),
        ]
        met_y, met_x = Signal(MET), Signal(MET)
        last_y, last_x = delayed(m, y, y.shape(), 1), delayed(m, x, x.shape(), 1)
        m.d.sync += [met_y.eq(self.y[last_y]), met_x.eq(self.x[last_x])]
        m.d.comb += colour.eq(met_y.colour << self.bits_x | met_x.colour)
        blocks = (self.quarter, Cat(self.quarter[0], colour[2]), colour[2:])
        m.d.sync += [
            self.pick.quarter.eq(_by_places(last_places, blocks)),
            self.pick.sub.eq(colour[:2]),
            self.pick.odd.eq(self.one_byte & Mux(self.deep, self.depth_odd, met_x.odd)),
            self.pick.inside.eq(met_y.inside & met_x.inside),
        ]
        return m


def _by_places(places: Signal, values: tuple[object, object, object]) -> Signal:
    """One of three, for one, two or four pixels side by side."""
    return Mux(places == 2, values[2], Mux(places == 1, values[1], values[0]))
