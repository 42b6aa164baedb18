"""Banks of int32 sums, one a column, in two halves: one is added to while the other is drained."""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from esca.accelerator.rtl.modules import place
from esca.accelerator.rtl.params import SUM_BITS, Parameters


def token_shape(p: Parameters) -> data.StructLayout:
    """What goes with a sum: ``address`` and ``half`` that it belongs to; ``first``: it is written
    and not added; ``valid``.
    """
    return data.StructLayout(
        {"valid": 1, "first": 1, "half": 1, "address": range(max(2, p.half_rows))}
    )


class Bank(wiring.Component):
    """Sums of one column.

    ``token`` comes one cycle ahead of its ``sum_in`` and leaves one cycle later by ``token_out``.
    An address may come again after three cycles; ``alarm`` where it comes earlier, where a sum
    leaves 32 bits, or where a half is drained while it is added to. ``drained`` has a sum two
    cycles after ``drain``, ``drain_half``, ``drain_address``.
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
        """Read, add, write: three cycles."""
        p, m = self.p, Module()
        added, written = (Signal(token_shape(p), name=name) for name in ("added", "written"))
        m.d.sync += [added.eq(self.token), written.eq(added)]
        m.d.comb += self.token_out.eq(added)
        held, total = Signal(signed(SUM_BITS)), Signal(signed(SUM_BITS))
        wide = Signal(signed(SUM_BITS + 1))
        m.d.comb += wide.eq(Mux(added.first, 0, held) + self.sum_in)
        m.d.sync += total.eq(wide)
        last_half = Signal()
        m.d.sync += last_half.eq(self.drain_half)
        read = []
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
            read.append(source.data)
        m.d.comb += held.eq(Mux(added.half, read[1], read[0]))
        m.d.sync += self.drained.eq(Mux(last_half, read[1], read[0]))
        self._watch(m, added, written, wide)
        return m

    def _watch(self, m: Module, added: data.View, written: data.View, wide: Signal) -> None:
        token = self.token
        hazards = [
            token.valid & ~token.first & earlier.valid
            & (token.half == earlier.half) & (token.address == earlier.address)
            for earlier in (added, written)
        ]  # fmt: skip
        overflow = added.valid & (wide[-1] != wide[-2])
        drained = self.drain & token.valid & (self.drain_half == token.half)
        m.d.comb += self.alarm.eq(hazards[0] | hazards[1] | overflow | drained)


class Accumulators(wiring.Component):
    """A bank for every column.

    ``token`` belongs to the first column and comes one cycle ahead of its sum; the other columns
    follow, each a cycle later, as their sums do. All banks are drained at one address: ``drained``
    two cycles after ``drain``.
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
            bank = place(m, platform, f"bank_{column}", "bank", lambda: Bank(self.p))
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
        m.d.comb += self.alarm.eq(sum(alarms) != 0)
        return m
