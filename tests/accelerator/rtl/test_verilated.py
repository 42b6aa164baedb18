"""A second simulator: Verilator says what CXXRTL says, and what begins with no value shows."""

import shutil

import numpy as np
import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from esca.accelerator.rtl.compiled import compiled
from esca.accelerator.rtl.verilated import verilated

needs_verilator = pytest.mark.skipif(
    shutil.which("verilator") is None, reason="verilator is not installed"
)


class Kept(wiring.Component):
    """A memory of wide words and a register without a reset that is written when ``en`` is."""

    en: In(1)
    address: In(4)
    wide: In(70)
    middle: In(40)
    word: Out(70)
    last: Out(40)
    count: Out(8)

    def elaborate(self, platform):
        m = Module()
        held = Signal(40, reset_less=True)
        m.submodules.memory = memory = Memory(shape=70, depth=16, init=[])
        source, target = memory.read_port(), memory.write_port()
        with m.If(self.en):
            m.d.sync += [held.eq(self.middle), self.count.eq(self.count + 1)]
        m.d.comb += [
            source.addr.eq(self.address),
            target.addr.eq(self.address),
            target.data.eq(self.wide),
            target.en.eq(self.en),
            self.word.eq(source.data),
            self.last.eq(held),
        ]
        return m


@needs_verilator
def test_the_same_values_as_the_other_simulator():
    rng = np.random.default_rng(0)
    given = {
        "en": rng.integers(0, 2, 200),
        "address": rng.integers(0, 16, 200),
        "middle": rng.integers(0, 1 << 40, 200),
        "wide": rng.integers(0, 1 << 62, 200),
    }
    wanted, found = (make(Kept()).run(200, **given) for make in (compiled, verilated))
    for name, values in wanted.items():
        np.testing.assert_array_equal(found[name], values, name)


@needs_verilator
def test_what_nobody_wrote_is_random_and_what_is_reset_is_not():
    nothing = {name: np.zeros(1, np.int64) for name in ("en", "address", "middle", "wide")}
    first, second = (verilated(Kept(), unknown=seed).run(1, **nothing) for seed in (0, 1))
    assert first["last"] != second["last"]
    assert first["count"] == second["count"] == 0
    assert verilated(Kept()).run(1, **nothing)["last"] == 0
