"""Banks of int32 sums, one a column, in two halves: one is added to while the other is drained."""

from collections.abc import Sequence

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from esca.accelerator.rtl.array import delayed
from esca.accelerator.rtl.collisions import uncollided
from esca.accelerator.rtl.modules import place
from esca.accelerator.rtl.params import SUM_BITS, Parameters

TOKEN_LEAD = 2
"""Cycles from a token to the sum that it belongs to."""

DRAINED_LATENCY = 3
"""Cycles from an address to the sums that are drained."""


def token_shape(p: Parameters) -> data.StructLayout:
    """What goes with a sum: ``address`` and ``half`` that it belongs to; ``first``: it is written
    and not added; ``valid``.
    """
    return data.StructLayout(
        {"valid": 1, "first": 1, "half": 1, "address": range(max(2, p.half_rows))}
    )


class Bank(wiring.Component):
    """Sums of one column.

    ``token`` comes ``TOKEN_LEAD`` cycles ahead of its ``sum_in`` and leaves one cycle later by
    ``token_out``. An address may come again after four cycles; ``alarm`` where it comes earlier,
    where a sum leaves 32 bits, or where a half is drained while it is added to. ``drained`` has a
    sum ``DRAINED_LATENCY`` cycles after ``drain``, ``drain_half``, ``drain_address``.
    """

    def __init__(self, p: Parameters) -> None:
        self.p = p
        address = token_shape(p).members["address"]
        super().__init__(
            {
                "token": In(token_shape(p)),
                "sum_in": In(signed(p.sum_bits)),
                "token_out": Out(token_shape(p)),
                "drain": In(1),
                "drain_half": In(1),
                "drain_address": In(address),
                "drained": Out(signed(SUM_BITS)),
                "alarm": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Read, for two cycles; add; write."""
        p, m = self.p, Module()
        names = ("read", "added", "written")
        later = [Signal(token_shape(p), name=name) for name in names]
        for earlier, token in zip((self.token, *later), later, strict=False):
            m.d.sync += token.eq(earlier)
        _, added, written = later
        m.d.comb += self.token_out.eq(later[0])
        held, total = Signal(signed(SUM_BITS)), Signal(signed(SUM_BITS))
        wide = Signal(signed(SUM_BITS + 1))
        m.d.comb += wide.eq(Mux(added.first, 0, held) + self.sum_in)
        m.d.sync += total.eq(wide)
        drained_half = delayed(m, self.drain_half, 1, 2)
        found = []
        for half in range(2):
            memory = Memory(shape=signed(SUM_BITS), depth=p.half_rows, init=[])
            m.submodules[f"half_{half}"] = memory
            source, target = memory.read_port(), memory.write_port()
            mine = self.drain & (self.drain_half == half)
            m.d.comb += [
                source.addr.eq(Mux(mine, self.drain_address, self.token.address)),
                target.addr.eq(written.address),
                target.data.eq(total),
                target.en.eq(written.valid & (written.half == half)),
            ]
            found.append(delayed(m, uncollided(m, platform, source, target), signed(SUM_BITS), 1))
        m.d.comb += held.eq(Mux(added.half, found[1], found[0]))
        m.d.sync += self.drained.eq(Mux(drained_half, found[1], found[0]))
        self._watch(m, later, wide)
        return m

    def _watch(self, m: Module, later: Sequence[data.View], wide: Signal) -> None:
        token, added = self.token, later[1]
        hazards = [
            token.valid & ~token.first & earlier.valid
            & (token.half == earlier.half) & (token.address == earlier.address)
            for earlier in later
        ]  # fmt: skip
        overflow = added.valid & (wide[-1] != wide[-2])
        drained = self.drain & token.valid & (self.drain_half == token.half)
        wrong = Cat(*hazards, overflow, drained)
        m.d.sync += self.alarm.eq(delayed(m, wrong, len(wrong), 1).any())


class Accumulators(wiring.Component):
    """A bank for every column.

    ``token`` belongs to the first column and comes ``TOKEN_LEAD`` cycles ahead of its sum; the
    other columns follow, each a cycle later, as their sums do. All banks are drained at one
    address: ``drained`` ``DRAINED_LATENCY`` cycles after ``drain``.
    """

    def __init__(self, p: Parameters) -> None:
        self.p = p
        address = token_shape(p).members["address"]
        super().__init__(
            {
                "token": In(token_shape(p)),
                "sums": In(data.ArrayLayout(signed(p.sum_bits), p.columns)),
                "drain": In(1),
                "drain_half": In(1),
                "drain_address": In(address),
                "drained": Out(data.ArrayLayout(signed(SUM_BITS), p.columns)),
                "alarm": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """The chain of banks."""
        m = Module()
        token, alarms = self.token, []
        for column in range(self.p.columns):
            bank = place(m, platform, f"bank_{column}", "bank", Bank, self.p)
            m.d.comb += [
                bank.token.eq(token),
                bank.sum_in.eq(self.sums[column]),
                bank.drain.eq(self.drain),
                bank.drain_half.eq(self.drain_half),
                bank.drain_address.eq(self.drain_address),
                self.drained[column].eq(bank.drained),
            ]
            token = bank.token_out
            alarms.append(bank.alarm)
        m.d.sync += self.alarm.eq(Cat(alarms).any())
        return m
