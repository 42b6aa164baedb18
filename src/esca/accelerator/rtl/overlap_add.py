"""Banks of int32 sums to which products are added where they belong, so that outputs may overlap.

The sums of a streamed row go to all banks at once, turned by where the row's taps reach; every bank
has an address of its own, and may get the same one in any two cycles. What is drained becomes 0.
"""

import itertools
from collections.abc import Sequence

from amaranth.hdl import Cat, Module, Mux, ResetSignal, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from esca.accelerator.hardware.latencies import TURN_LATENCY
from esca.accelerator.overlap import KERNEL
from esca.accelerator.rtl.accumulators import TOKEN_LEAD, token_shape
from esca.accelerator.rtl.array import delayed
from esca.accelerator.rtl.collisions import uncollided
from esca.accelerator.rtl.modules import place
from esca.accelerator.rtl.params import SUM_BITS, Parameters
from esca.accelerator.rtl.patch_places import REACH_BITS, patch_shape

TOKENS_LATENCY = 3
"""Cycles from a row's patch to the tokens of its banks."""

FORWARDED = 3
"""Cycles in which a sum is not yet where it is read."""


def turned(values: Sequence[Value], by: Value) -> list[Value]:
    """As many values as a power of two, each ``by`` places further on; the last begin again."""
    made = list(values)
    for level in range((len(made) - 1).bit_length()):
        step = 1 << level
        made = [Mux(by[level], made[i - step], one) for i, one in enumerate(made)]
    return made


class OverlapBank(wiring.Component):
    """Ports as those of :class:`esca.accelerator.rtl.accumulators.Bank`, but that an address may
    come again at once. ``clear``, with ``drain``: the sum is 0 from the cycle after the next on.
    All sums are, behind as many cycles of reset as a half has rows.
    """

    def __init__(self, p: Parameters) -> None:
        self.p = p
        address = token_shape(p).members["address"]
        super().__init__(
            {
                "token": In(token_shape(p)),
                "sum_in": In(signed(p.sum_bits)),
                "drain": In(1),
                "clear": In(1),
                "drain_half": In(1),
                "drain_address": In(address),
                "drained": Out(signed(SUM_BITS)),
                "alarm": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Read, for two cycles; add to what was read, or to a sum on its way to memory; write."""
        p, m = self.p, Module()
        shape = token_shape(p)
        later = [Signal(shape, name=f"token_{n}") for n in range(2 + FORWARDED)]
        for earlier, token in zip((self.token, *later), later, strict=False):
            m.d.sync += token.eq(earlier)
        read, added, written = later[:3]
        # A token that is read meets those one, two and three cycles ahead of it.
        met = [Signal(name=f"met_{n}") for n in range(FORWARDED)]
        for one, ahead in zip(met, later[1:], strict=False):
            m.d.sync += one.eq(_same(read, ahead))
        held = Signal(signed(SUM_BITS))
        totals = [Signal(signed(SUM_BITS), name=f"total_{n}") for n in range(FORWARDED)]
        known = held
        for one, total in zip(reversed(met), reversed(totals), strict=True):
            known = Mux(one, total, known)
        wide = Signal(signed(SUM_BITS + 1))
        m.d.comb += wide.eq(Mux(added.first, 0, known) + self.sum_in)
        m.d.sync += [
            totals[0].eq(wide),
            *(b.eq(a) for a, b in itertools.pairwise(totals)),
        ]
        sweep = Signal(shape.members["address"], reset_less=True)
        sweeping = ResetSignal()
        m.d.sync += sweep.eq(Mux(sweep == p.half_rows - 1, 0, sweep + 1))
        clear = delayed(m, self.drain & self.clear, 1, 1)
        clear_half = delayed(m, self.drain_half, 1, 1)
        address = delayed(m, self.drain_address, shape.members["address"], 1)
        drained_half = delayed(m, self.drain_half, 1, 2)
        found = []
        for half in range(2):
            memory = Memory(shape=signed(SUM_BITS), depth=p.half_rows, init=[])
            m.submodules[f"half_{half}"] = memory
            source, target = memory.read_port(), memory.write_port()
            mine = self.drain & (self.drain_half == half)
            cleared = Signal(name=f"cleared_{half}")
            m.d.comb += [
                cleared.eq(clear & (clear_half == half)),
                source.addr.eq(Mux(mine, self.drain_address, self.token.address)),
                target.addr.eq(Mux(sweeping, sweep, Mux(cleared, address, written.address))),
                target.data.eq(Mux(sweeping | cleared, 0, totals[0])),
                target.en.eq(sweeping | cleared | (written.valid & (written.half == half))),
            ]
            found.append(delayed(m, uncollided(m, platform, source, target), signed(SUM_BITS), 1))
        m.d.comb += held.eq(Mux(added.half, found[1], found[0]))
        m.d.sync += self.drained.eq(Mux(drained_half, found[1], found[0]))
        overflow = added.valid & (wide[-1] != wide[-2])
        drains = self.drain & self.token.valid & (self.drain_half == self.token.half)
        clears = clear & written.valid & (clear_half == written.half)
        wrong = Cat(overflow, drains, clears)
        m.d.sync += self.alarm.eq(delayed(m, wrong, len(wrong), 1).any())
        return m


def _same(one: data.View, other: data.View) -> Value:
    return one.valid & other.valid & (one.half == other.half) & (one.address == other.address)


class OverlapAdd(wiring.Component):
    """A bank for every column.

    ``token`` and ``patch`` come ``TOKEN_LEAD`` cycles ahead of the sum of the first column; the
    other columns follow, each a cycle later. A row without a patch goes to one address of all
    banks, as it stands. All banks are drained at one address: ``drained`` ``DRAINED_LATENCY``
    cycles after ``drain``; with ``clear`` they are 0 then.
    """

    def __init__(self, p: Parameters) -> None:
        self.p = p
        address = token_shape(p).members["address"]
        super().__init__(
            {
                "token": In(token_shape(p)),
                "patch": In(patch_shape(p)),
                "sums": In(data.ArrayLayout(signed(p.sum_bits), p.columns)),
                "drain": In(1),
                "clear": In(1),
                "drain_half": In(1),
                "drain_address": In(address),
                "drained": Out(data.ArrayLayout(signed(SUM_BITS), p.columns)),
                "alarm": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Sums of a row in one cycle; their turn; tokens by bank."""
        p, m = self.p, Module()
        columns, lines = p.columns, p.columns // KERNEL
        last = TOKEN_LEAD + columns - 1  # when the last column's sum is there
        turn_y = delayed(m, self.patch.turn_y, 2, last)
        turn_x = delayed(m, self.patch.turn_x, 2, last + 1)
        together = [
            delayed(m, self.sums[c], signed(p.sum_bits), columns - 1 - c) for c in range(columns)
        ]
        by_line = []
        for x in range(KERNEL):
            column = turned([together[y * KERNEL + x] for y in range(lines)], turn_y)
            by_line.append([delayed(m, one, signed(p.sum_bits), 1) for one in column])
        tokens, alarms = self._tokens(m), []
        for y in range(lines):
            line = turned([by_line[x][y] for x in range(KERNEL)], turn_x)
            for x, one in enumerate(line):
                number = y * KERNEL + x
                bank = place(m, platform, f"bank_{number}", "overlap_bank", OverlapBank, p)
                m.d.comb += [
                    bank.token.eq(tokens[number]),
                    bank.sum_in.eq(delayed(m, one, signed(p.sum_bits), 1)),
                    bank.drain.eq(self.drain),
                    bank.clear.eq(self.clear),
                    bank.drain_half.eq(self.drain_half),
                    bank.drain_address.eq(self.drain_address),
                    self.drained[number].eq(bank.drained),
                ]
                alarms.append(bank.alarm)
        m.d.sync += self.alarm.eq(Cat(alarms).any())
        return m

    def _tokens(self, m: Module) -> list[data.View]:
        """Those of all banks, ``TOKEN_LEAD`` cycles ahead of their sums."""
        p, shape = self.p, token_shape(self.p)
        address = shape.members["address"]
        lines, early = p.columns // KERNEL, p.columns - 1 + TURN_LATENCY - TOKENS_LATENCY
        token: data.View = delayed(m, self.token, shape, early)
        patch: data.View = delayed(m, self.patch, patch_shape(p), early)
        starts = [delayed(m, patch.base + tap * patch.length, address, 1) for tap in range(lines)]
        places = [
            delayed(m, (patch.x + tap) >> patch.pixels, signed(REACH_BITS), 1)
            for tap in range(KERNEL)
        ]
        reached = delayed(m, patch, patch_shape(p), 1)
        row_of, line_on = (
            [delayed(m, one, shape_of, 1) for one in turned(values, reached.turn_y)]
            for values, shape_of in ((starts, address), ([*reached.lines], 1))
        )
        place_of, place_on = (
            [delayed(m, one, shape_of, 1) for one in turned(values, reached.turn_x)]
            for values, shape_of in (
                (places, signed(REACH_BITS)),
                ([*reached.across], 1),
            )
        )
        late, on = delayed(m, token, shape, 2), delayed(m, patch.on, 1, 2)
        made = []
        for y in range(lines):
            for x in range(KERNEL):
                one: data.View = Signal(shape, name=f"token_{y * KERNEL + x}")
                m.d.sync += [
                    one.valid.eq(late.valid & (~on | (line_on[y] & place_on[x]))),
                    one.first.eq(late.first & ~on),
                    one.half.eq(late.half),
                    one.address.eq(Mux(on, row_of[y] + place_of[x], late.address)),
                ]
                made.append(one)
        return made
