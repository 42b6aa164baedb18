"""The weight feed: every tile's weights out of the ring into the array, one tile ahead."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from esca.accelerator.hardware.latencies import CONTROL_CYCLES
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

_ADDRESS = 5
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
            digit = one_byte[i]
            for chosen, digits in reversed(choices):
                digit = Mux(chosen, digits[i], digit)
            m.d.sync += held.weights[i].eq(Mux(self.used, digit, 0))
        m.d.sync += [held.wide.eq(kind.wide), held.widest.eq(kind.widest)]
        return m


def _lower(byte: Value) -> Value:
    """The lower digit of a byte, unsigned."""
    return Cat(byte[:4], 0).as_signed()


class Feed(wiring.Component):
    """``start`` comes with ``record`` in the cycle before the job's first busy one, or in the last
    of the job before. ``ending`` is set ``CONTROL_CYCLES`` before that last one, and ``resulting``
    as many before the last in which the job's unit may not begin: so control loses no time.
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
        record = delayed(m, record, record.shape(), 2)
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
            "used": delayed(m, used, 1, late - 3),
            "kind": delayed(m, kind, KIND, late - 3),
        }
        choices = delayed(m, choice, choice.shape(), late - 3)
        for column in range(p.columns):
            spread = place(m, platform, f"spread_{column}", "spread", Spread, p)
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
        begins, active, early, ends, done = (Signal() for _ in range(5))
        busy, pushing, fresh, room = Signal(), Signal(), Signal(), Signal(init=1)
        counters = (tile.depth, tile.x, tile.y)
        lasts = [Signal(len(Value.cast(one)), name=f"last_{i}") for i, one in enumerate(counters)]
        last_tile = count_nested(m, counters, lasts, ends)
        m.d.comb += [
            begins.eq(busy & ~pushing & (room | self.head)),
            active.eq(begins | pushing),
            ends.eq(active & (line == 0)),
            early.eq(active & (line == CONTROL_CYCLES)),
            done.eq(ends & last_tile),
            self.ending.eq(early & last_tile),
            self.resulting.eq(early & fresh),
        ]
        m.d.sync += [
            self.alarm.eq((self.head & (room | pushing)) | (self.start & busy & ~done)),
            line.eq(line - active),
            pushing.eq(active & ~ends),
            room.eq((room | self.head) & ~begins),
        ]
        with m.If(ends):
            m.d.sync += fresh.eq(0)
        with m.If(done):
            m.d.sync += busy.eq(0)
        with m.If(self.start):
            new = self.record
            sizes = (new.deep, new.groups_x, new.groups_y)
            m.d.sync += [busy.eq(1), fresh.eq(1), record.eq(new), tile.eq(0)]
            m.d.sync += [last.eq(size - 1) for last, size in zip(lasts, sizes, strict=True)]
        return begins, active

    def _place(
        self, m: Module, record: data.View, line: Signal, tile: data.View
    ) -> tuple[Value, Value, Value, Value]:
        """Slots (y, x) and atom that stand on a row of the array, and whether there are such: two
        cycles later.
        """
        inner, y, x = Signal(2), Signal(3), Signal(3)
        atom, there = Signal(len(tile.depth) + len(line)), Signal()
        down, across = record.together_y, record.together_x
        with m.Switch(record.places):
            for places in range(3):
                with m.Case(places):
                    wide = len(line) - places
                    m.d.comb += [inner.eq(line[wide:]), atom.eq(Cat(line[:wide], tile.depth))]
        of_tile_y, of_tile_x = delayed(m, tile.y << down, 3, 1), delayed(m, tile.x << across, 3, 1)
        of_row_y, of_row_x = (
            delayed(m, one, 2, 1) for one in (inner >> across, inner & ~(3 << across))
        )
        fits = delayed(m, (inner >> across >> down) == 0, 1, 1)
        atom, record = delayed(m, atom, atom.shape(), 1), delayed(m, record, record.shape(), 1)
        m.d.comb += [
            y.eq(of_tile_y + of_row_y),
            x.eq(of_tile_x + of_row_x),
            there.eq((y < record.slots_y) & (x < record.slots_x) & fits & (atom < record.atoms)),
        ]
        last_y, last_x = delayed(m, y[:2], 2, 1), delayed(m, x[:2], 2, 1)
        return last_y, last_x, delayed(m, atom, atom.shape(), 1), delayed(m, there, 1, 1)

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
