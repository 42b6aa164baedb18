"""Gates that are counted against designs that can be counted by hand."""

import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from tests.accelerator.rtl.small_program import small_config

from esca.accelerator.rtl.gates import FLIP_FLOP, TOP, TRANSISTORS, count_gates, total, tree
from esca.accelerator.rtl.implementation_table import gates_text
from esca.accelerator.rtl.modules import place
from esca.accelerator.rtl.parts import part_of_machine


class Both(wiring.Component):
    """``out`` is a and b of the cycle before, where ``on``."""

    on: In(1)
    a: In(1)
    b: In(1)
    out: Out(1)

    def elaborate(self, platform):
        m = Module()
        held = Signal(reset_less=True)
        with m.If(self.on):
            m.d.sync += held.eq(self.a & self.b)
        m.d.comb += self.out.eq(held)
        return m


class Three(wiring.Component):
    """Three of them in a row, and a memory of 16 words of 5 bits."""

    on: In(1)
    a: In(1)
    b: In(4)
    out: Out(1)
    word: Out(5)

    def elaborate(self, platform):
        m = Module()
        last = self.a
        for number in range(3):
            one = place(m, platform, f"both_{number}", "both", Both)
            m.d.comb += [one.on.eq(self.on), one.a.eq(last), one.b.eq(self.b[0])]
            last = one.out
        m.submodules.memory = memory = Memory(shape=5, depth=16, init=[])
        source, target = memory.read_port(), memory.write_port()
        m.d.comb += [source.addr.eq(self.b), target.addr.eq(self.b), target.en.eq(self.on)]
        m.d.comb += [target.data.eq(source.data + 1), self.word.eq(source.data)]
        m.d.comb += self.out.eq(last)
        return m


def test_a_design_counted_by_hand() -> None:
    counts = count_gates(Three())
    both = counts["both"]
    assert (both.flip_flops, both.memory_bits, both.parts) == (1, 0, {})
    assert both.gates == 1
    with_enable = FLIP_FLOP + TRANSISTORS["MUX"]
    assert both.transistors == TRANSISTORS["AND"] + with_enable
    assert counts[TOP].parts["both"] == 3
    whole = total(counts)
    assert whole.memory_bits == 80
    own = counts[TOP]
    rest = [total(counts, kind) for kind in own.parts if kind != "both"]
    assert whole.flip_flops == own.flip_flops + 3 + sum(one.flip_flops for one in rest)
    assert whole.transistors == (
        own.transistors + 3 * both.transistors + sum(one.transistors for one in rest)
    )


@pytest.fixture(scope="module")
def array():
    return count_gates(part_of_machine(small_config(), "array"))


def test_an_array_is_mostly_its_elements(array) -> None:
    config = small_config().array
    rows = list(tree(array))
    assert [(depth, kind, number) for depth, kind, number, _ in rows] == [
        (0, TOP, 1),
        (1, "pe", config.rows * config.columns),
    ]
    assert rows[0][3].transistors > 16 * rows[1][3].transistors
    # Weights twice, selection, sum and operand at the least.
    assert rows[1][3].flip_flops >= 4 * 5 * 2 + 2 + 24 + 4 * 5
    text = gates_text(rows, rows[0][3].transistors // 2).splitlines()
    assert text[-1].endswith("combining inputs adds 100.0%")
    assert len({len(line) for line in text[:-1]}) == 1
