"""One axis of the window: where the inputs that a tile's slots meet lie in the banks."""

from itertools import combinations

from amaranth.hdl import Array, Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from esca.accelerator.reads import ELEMENTS, SLOTS
from esca.accelerator.rtl.array import delayed
from esca.accelerator.rtl.hash_axis import HashAxis
from esca.accelerator.rtl.modules import place
from esca.accelerator.rtl.records import HASH
from esca.accelerator.rtl.streams import AXIS, COORDINATE_BITS

COLOURS = 8
"""Most colours of an axis."""

MET = data.StructLayout({"inside": 1, "colour": 3, "odd": 1})
"""An input of the window: ``inside`` the map; its ``colour``; the lowest bit of its address."""


def placed_shape(address_bits: int) -> data.StructLayout:
    """An input of the window, and its ``address`` shifted to where the axis stands in a word's."""
    return data.StructLayout({"met": MET, "address": address_bits})


class Element(wiring.Component):
    """Element ``number``, that is ``slot << span | choice``, of a tile's window.

    ``axis`` and ``group`` are those of the streamed row; ``base`` and ``place`` come two cycles
    later, ``size`` and ``ring`` three, ``hash`` four, ``up`` five. ``met`` is there after five
    cycles, ``placed`` after six.
    """

    def __init__(self, address_bits: int) -> None:
        self.address_bits = address_bits
        super().__init__(
            {
                "number": In(range(ELEMENTS)),
                "group": In(2),
                "axis": In(AXIS),
                "base": In(COORDINATE_BITS + 1),
                "place": In(COORDINATE_BITS + 1),
                "size": In(COORDINATE_BITS),
                "ring": In(COORDINATE_BITS),
                "hash": In(HASH),
                "up": In(4),
                "met": Out(MET),
                "placed": Out(placed_shape(address_bits)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Six stages: the slot; its offset; sums; the ring; the hash; the shift."""
        m = Module()
        offset, used = self._offset(m)
        v, at = (Signal(signed(COORDINATE_BITS + 2), name=name) for name in ("v", "at"))
        last_used = Signal()
        m.d.sync += [v.eq(self.base + offset), at.eq(self.place + offset), last_used.eq(used)]
        inside = delayed(m, last_used & ~v[-1] & (v < self.size), 1, 1)
        m.d.sync += self.met.inside.eq(inside)
        address = self._hashed(m, delayed(m, _in_ring(at, self.ring), COORDINATE_BITS, 1))
        m.d.sync += [
            self.placed.met.eq(self.met),
            self.placed.address.eq((address << self.up) >> 1),
        ]
        return m

    def _offset(self, m: Module) -> tuple[Signal, Signal]:
        """Offset of the element, and whether the tile has it: registered."""
        axis, number = self.axis, self.number
        first, slot, choice = Signal(3), Signal(range(SLOTS)), Signal(2)
        beyond, offset, used = Signal(), Signal(signed(7)), Signal()
        m.d.comb += first.eq(self.group << axis.together)
        with m.Switch(axis.span):
            for span in range(3):
                with m.Case(span):
                    inner = number[span:]
                    m.d.comb += [
                        slot.eq(first | inner),
                        choice.eq(number[:span]),
                        beyond.eq((inner >> axis.together) != 0),
                    ]
        last_slot, last_choice = delayed(m, slot, slot.shape(), 1), delayed(m, choice, 2, 1)
        offsets, choices, slots, spread = (
            data.View(AXIS.members[name], value)
            if isinstance(AXIS.members[name], data.Layout)
            else value
            for name, value in (
                (name, delayed(m, Value.cast(axis[name]), len(Value.cast(axis[name])), 1))
                for name in ("offsets", "choices", "slots", "spread")
            )
        )
        there = delayed(m, ~beyond, 1, 1) & (last_slot < slots)
        # Two bits times three: as a product it would take a DSP.
        times = Mux(last_choice[0], spread, 0) + Mux(last_choice[1], spread << 1, 0)
        m.d.sync += [
            offset.eq(Array(offsets)[last_slot] + times),
            used.eq(there & (last_choice <= Array(choices)[last_slot])),
        ]
        return offset, used

    def _hashed(self, m: Module, v: Signal) -> Signal:
        """Address of the input, and its colour in ``met``: registered."""
        m.submodules.hash = hashed = HashAxis()
        m.d.comb += [hashed.v.eq(v), hashed.hash.eq(self.hash)]
        address = Signal(COORDINATE_BITS)
        m.d.sync += [
            address.eq(hashed.address),
            self.met.colour.eq(hashed.colour),
            self.met.odd.eq(hashed.address[0]),
        ]
        return address


def _in_ring(at: Signal, ring: Signal) -> Signal:
    """A place that left the ring by less than its rows comes back."""
    beyond = at - ring
    return Mux(at[-1], at + ring, Mux((ring != 0) & ~beyond[-1], beyond, at))[:COORDINATE_BITS]


class OfColour(wiring.Component):
    """Address of the element inside the map that has a colour, one cycle later."""

    def __init__(self, address_bits: int) -> None:
        super().__init__(
            {
                "colour": In(range(COLOURS)),
                "placed": In(data.ArrayLayout(placed_shape(address_bits), ELEMENTS)),
                "address": Out(address_bits),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """One of eight; none where no element has the colour."""
        m, total = Module(), 0
        for one in self.placed:
            mine = one.met.inside & (one.met.colour == self.colour)
            total = total | Mux(mine, one.address, 0)
        m.d.sync += self.address.eq(total)
        return m


class WindowAxis(wiring.Component):
    """``base``: of the streamed row; ``place``: the same where the map is held, which differs in a
    ring of ``ring`` rows (0: none); ``group`` of slots; ``axis``, ``hash``; addresses are shifted
    left by ``up`` - 1.

    Five cycles later, ``elements``: element ``slot << span | choice`` of the tile. Seven cycles
    later, ``meets``: two elements inside the map have one colour, and ``addresses`` by colour.
    """

    def __init__(self, address_bits: int) -> None:
        self.address_bits = address_bits
        super().__init__(
            {
                "base": In(COORDINATE_BITS + 1),
                "place": In(COORDINATE_BITS + 1),
                "group": In(2),
                "axis": In(AXIS),
                "hash": In(HASH),
                "ring": In(COORDINATE_BITS),
                "up": In(4),
                "elements": Out(data.ArrayLayout(MET, ELEMENTS)),
                "meets": Out(1),
                "addresses": Out(data.ArrayLayout(address_bits, COLOURS)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Elements, then one of them for each colour."""
        m, bits = Module(), self.address_bits
        given = {
            "group": self.group,
            "axis": self.axis,
            "base": delayed(m, self.base, COORDINATE_BITS + 1, 2),
            "place": delayed(m, self.place, COORDINATE_BITS + 1, 2),
            "size": delayed(m, self.axis.size, COORDINATE_BITS, 3),
            "ring": delayed(m, self.ring, COORDINATE_BITS, 3),
            "hash": delayed(m, self.hash, HASH, 4),
            "up": delayed(m, self.up, 4, 5),
        }
        found = []
        for number in range(ELEMENTS):
            element = place(m, platform, f"element_{number}", "element", Element, bits)
            m.d.comb += element.number.eq(number)
            m.d.comb += [getattr(element, name).eq(value) for name, value in given.items()]
            m.d.comb += self.elements[number].eq(element.met)
            found.append(element.placed)
        for colour in range(COLOURS):
            one = place(m, platform, f"colour_{colour}", "of_colour", OfColour, bits)
            m.d.comb += [one.colour.eq(colour), self.addresses[colour].eq(one.address)]
            m.d.comb += [one.placed[i].eq(placed) for i, placed in enumerate(found)]
        pairs = combinations(self.elements, 2)
        met = Cat(a.inside & b.inside & (a.colour == b.colour) for a, b in pairs)
        m.d.sync += self.meets.eq(delayed(m, met, len(met), 1).any())
        return m
