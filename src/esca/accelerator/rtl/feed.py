"""The weight feed: every tile's weights out of the ring into the array, one tile ahead."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from esca.accelerator.rtl.array import delayed
from esca.accelerator.rtl.counters import count_nested
from esca.accelerator.rtl.feed_record import CHOICE_BITS, feed_record
from esca.accelerator.rtl.modules import place
from esca.accelerator.rtl.params import Parameters
from esca.accelerator.rtl.pe import held_shape
from esca.accelerator.rtl.ring import RING_LATENCY, row_bytes

KIND = data.StructLayout({"two_bytes": 1, "nibbles": 1, "wide": 1, "widest": 1})
"""How a column's bytes become digits."""

TILE = data.StructLayout({"y": 2, "x": 2, "depth": 10})
"""Groups of slots, and depth, of a tile."""

_ADDRESS = 3
_SPREAD = 1


class Spread(wiring.Component):
    """What a PE of one column holds: digits of the atom in its ``word``, which is two bytes of one
    row of the ring (one of the two, the upper where ``odd``, unless ``kind.two_bytes``). No weight
    where it is not ``used``. ``choice`` goes with it; ``held`` a cycle later.
    """

    def __init__(self, p: Parameters) -> None:
        self.p = p
        super().__init__(
            {
                "word": In(16),
                "low": In(8),
                "high": In(8),
                "odd": In(1),
                "used": In(1),
                "kind": In(KIND),
                "choice": In(CHOICE_BITS),
                "held": Out(held_shape(p)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Digits as :func:`esca.accelerator.rtl.params.weight_digits` orders them."""
        m, held, kind = Module(), self.held, self.kind
        byte = Mux(self.odd, self.high, self.low)
        m.d.sync += held.select.eq(self.choice)
        if not self.p.small:
            m.d.sync += held.weights[0].eq(Mux(self.used, byte, 0).as_signed())
            return m
        if not self.p.composed:
            atom = self.word if self.p.digits == 4 else byte
            for i, weight in enumerate(held.weights):
                m.d.sync += weight.eq(Mux(self.used, atom.word_select(i, 4).as_signed(), 0))
            return m
        nibbles = [self.word.word_select(i, 4).as_signed() for i in range(4)]
        one_byte = [_lower(byte), _lower(byte), byte[4:].as_signed(), byte[4:].as_signed()]
        low, high = byte[:4].as_signed(), byte[4:].as_signed()
        choices = (
            (Cat(kind.two_bytes, kind.nibbles) == 0b11, nibbles),
            (kind.two_bytes, [_lower(self.word), nibbles[1], _lower(self.word[8:]), nibbles[3]]),
            (kind.nibbles, [low, low, high, high]),
        )
        for i in range(4):
            digit: Value = one_byte[i]
            for chosen, digits in reversed(choices):
                digit = Mux(chosen, digits[i], digit)
            m.d.sync += held.weights[i].eq(Mux(self.used, digit, 0))
        m.d.sync += [held.wide.eq(kind.wide), held.widest.eq(kind.widest)]
        return m


def _lower(byte: Value) -> Value:
    """The lower digit of a byte, unsigned."""
    return Cat(byte[:4], 0).as_signed()


class Feed(wiring.Component):
    """``start`` comes with ``record`` in the cycle before the job's first busy one; ``ending`` in
    the last, in which the next may start; ``resulting`` one cycle before the job's unit may begin.
    ``head``: a tile's first row is streamed in this cycle, which frees the place of the next tile's
    weights. ``alarm`` where its own are not there.

    All of these are in the array's time without its latency: what leaves by ``first``, ``last`` and
    ``held`` is ``latency`` cycles late, as what the array is offered. ``read`` asks for a ``row``
    of the ring.
    """

    def __init__(self, p: Parameters, rows: int, latency: int) -> None:
        self.p, self.rows = p, rows
        self.spare = latency - _ADDRESS - RING_LATENCY - _SPREAD
        super().__init__(
            {
                "start": In(1),
                "record": In(feed_record(p.columns)),
                "head": In(1),
                "ending": Out(1),
                "resulting": Out(1),
                "alarm": Out(1),
                "read": Out(range(rows)),
                "row": In(8 * row_bytes(p)),
                "first": Out(1),
                "last": Out(1),
                "held": Out(data.ArrayLayout(held_shape(p), p.columns)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Counters of rows and tiles; then a pipeline: address, ring, digits."""
        p, m = self.p, Module()
        record = Signal(self.record.shape())
        line, tile = Signal(range(p.rows), init=p.rows - 1), Signal(TILE)
        begins, active = self._count(m, record, line, tile)
        late = _ADDRESS + self.spare + RING_LATENCY
        m.d.comb += [
            self.first.eq(delayed(m, begins, 1, late + _SPREAD)),
            self.last.eq(delayed(m, active & (line == 0), 1, late + _SPREAD)),
        ]
        y, x, atom, there = self._place(m, record, line, tile)
        kind, used, choice = Signal(KIND), Signal(), Signal(p.columns * CHOICE_BITS)
        m.d.sync += [kind[name].eq(record[name]) for name in KIND.members]
        m.d.sync += [
            used.eq(there),
            choice.eq(record.choose_y[y].as_value() | record.choose_x[x].as_value()),
        ]
        row, odd = self._address(m, (record.ring, record.ty[y], record.tx[x], atom), kind)
        m.d.comb += self.read.eq(delayed(m, row, row.shape(), self.spare))
        given = {
            "odd": delayed(m, odd, 1, late - _ADDRESS),
            "used": delayed(m, used, 1, late - 1),
            "kind": delayed(m, kind, KIND, late - 1),
        }
        choices = delayed(m, choice, choice.shape(), late - 1)
        for column in range(p.columns):
            spread = place(m, platform, f"spread_{column}", "spread", lambda: Spread(p))
            m.d.comb += [
                spread.word.eq(self.row.word_select(column, 16)),
                spread.low.eq(self.row.word_select(column, 8)),
                spread.high.eq(self.row.word_select(p.columns + column, 8)),
                spread.choice.eq(choices.word_select(column, CHOICE_BITS)),
                self.held[column].eq(spread.held),
            ]
            m.d.comb += [getattr(spread, name).eq(value) for name, value in given.items()]
        return m

    def _count(
        self, m: Module, record: data.View, line: Signal, tile: data.View
    ) -> tuple[Signal, Signal]:
        """Whether a tile's weights begin in this cycle, and whether a row of them leaves."""
        begins, active, ends = Signal(), Signal(), Signal()
        busy, pushing, fresh, room = Signal(), Signal(), Signal(), Signal(init=1)
        groups = (record.deep, record.groups_x, record.groups_y)
        last_tile = count_nested(m, (tile.depth, tile.x, tile.y), groups, ends)
        m.d.comb += [
            begins.eq(busy & ~pushing & (room | self.head)),
            active.eq(begins | pushing),
            ends.eq(active & (line == 0)),
            self.ending.eq(ends & last_tile),
            self.resulting.eq(ends & fresh),
            self.alarm.eq((self.head & (room | pushing)) | (self.start & busy & ~self.ending)),
        ]
        m.d.sync += [
            line.eq(line - active),
            pushing.eq(active & ~ends),
            room.eq((room | self.head) & ~begins),
        ]
        with m.If(ends):
            m.d.sync += fresh.eq(0)
        with m.If(self.ending):
            m.d.sync += busy.eq(0)
        with m.If(self.start):
            m.d.sync += [busy.eq(1), fresh.eq(1), record.eq(self.record), tile.eq(0)]
        return begins, active

    def _place(
        self, m: Module, record: data.View, line: Signal, tile: data.View
    ) -> tuple[Value, Value, Signal, Signal]:
        """Slots (y, x) and atom that stand on a row of the array, and whether there are such."""
        inner, y, x = Signal(2), Signal(3), Signal(3)
        atom, there = Signal(len(tile.depth) + len(line)), Signal()
        down, across = record.together_y, record.together_x
        with m.Switch(record.places):
            for places in range(3):
                with m.Case(places):
                    wide = len(line) - places
                    m.d.comb += [inner.eq(line[wide:]), atom.eq(Cat(line[:wide], tile.depth))]
        m.d.comb += [
            y.eq((tile.y << down) + (inner >> across)),
            x.eq((tile.x << across) + (inner & ~(3 << across))),
            there.eq(
                (y < record.slots_y)
                & (x < record.slots_x)
                & ((inner >> across >> down) == 0)
                & (atom < record.atoms)
            ),
        ]
        return y[:2], x[:2], atom, there

    def _address(
        self, m: Module, parts: tuple[Value, ...], kind: data.View
    ) -> tuple[Signal, Signal]:
        """Row of the ring, and which half of it where a word is a byte a column: three cycles."""
        ring, taps_y, taps_x, atom, last_ring = (Signal(16) for _ in range(5))
        word, two_bytes = Signal(16), Signal()
        row, odd = Signal(range(self.rows)), Signal()
        registers = (ring, taps_y, taps_x, atom)
        m.d.sync += [register.eq(part) for register, part in zip(registers, parts, strict=True)]
        m.d.sync += [word.eq(taps_y + taps_x + atom), last_ring.eq(ring)]
        m.d.sync += two_bytes.eq(kind.two_bytes)
        m.d.sync += [row.eq(last_ring + Mux(two_bytes, word, word >> 1)), odd.eq(word[0])]
        return row, odd
