"""The drain side and the banks that it writes to; sums, texel biases, stores come from a test."""

from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from esca.accelerator.rtl.activations import Activations, words_shape
from esca.accelerator.rtl.drain import Drain, DrainSizes
from esca.accelerator.rtl.params import Parameters


class DrainBench(wiring.Component):
    """``address``: word of every sub-bank that is read where nothing is written."""

    def __init__(self, p: Parameters, sizes: DrainSizes) -> None:
        self.p, self.sizes = p, sizes
        self.inner = Drain(p, sizes)
        inner = self.inner.signature.members
        names = ("start", "there", "next_constants", "head", "drained", "constants", "extras_write")
        names += ("residual_write", "store_start", "store", "ending", "resulting", "alarm")
        names += ("drain", "drain_address")
        super().__init__(
            {
                **{name: inner[name] for name in names},
                "address": In(range(sizes.bank_words)),
                "words": Out(words_shape(p)),
                "sent": Out(stream.Signature(8 * sizes.bus_bytes)),
            }
        )
        self.names = names

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.drain = drain = self.inner
        m.submodules.banks = banks = Activations(self.p, self.sizes.bank_words)
        for name in self.names:
            mine, its = getattr(self, name), getattr(drain, name)
            inward = self.signature.members[name].flow == wiring.In
            m.d.comb += its.eq(mine) if inward else mine.eq(its)
        wiring.connect(m, wiring.flipped(self.sent), drain.sent)
        m.d.comb += [banks.other.eq(drain.writes), self.words.eq(banks.other_words)]
        for bank in banks.other:
            for sub in bank:
                with m.If(~sub.write.any()):
                    m.d.comb += sub.address.eq(self.address)
        return m
