"""Changes of registers against numpy, and energy against the technology's constants by hand."""

import numpy as np
import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from esca.accelerator.rtl.compiled import Watched
from esca.accelerator.rtl.emit import rtlil_text
from esca.accelerator.rtl.gates import FLIP_FLOP, TOP, count_gates
from esca.accelerator.rtl.modules import place
from esca.accelerator.rtl.switching import kinds_of, module_energies, module_of, total_energy
from esca.accelerator.technology import figure, load_technology

BITS = 12


class Late(wiring.Component):
    """What came in the cycle before."""

    value: In(BITS)
    late: Out(BITS)

    def elaborate(self, platform):
        m = Module()
        held = Signal(BITS, reset_less=True)
        m.d.sync += held.eq(self.value)
        m.d.comb += self.late.eq(held)
        return m


class Chain(wiring.Component):
    """Three of them in a row, and the exclusive or of two registers behind."""

    value: In(BITS)
    mixed: Out(BITS)

    def elaborate(self, platform):
        m = Module()
        last = self.value
        for number in range(3):
            one = place(m, platform, f"late_{number}", "delay", Late)
            m.d.comb += one.value.eq(last)
            last = one.late
        mixed = Signal(BITS, reset_less=True)
        m.d.sync += mixed.eq(last ^ self.value)
        m.d.comb += self.mixed.eq(mixed)
        return m


@pytest.fixture(scope="module")
def watched():
    """A run with random values, and those values (cycles)."""
    simulation = Watched(Chain())
    values = np.random.default_rng(0).integers(0, 1 << BITS, 300)
    simulation.run(len(values), value=values)
    return simulation, values


def _changes(values):
    """Bits that change from each to the next."""
    return int(np.bitwise_count(values[1:] ^ values[:-1]).sum())


def test_changes_of_registers_are_counted_bit_by_bit(watched):
    simulation, values = watched
    changes = simulation.changes()
    kinds = kinds_of(rtlil_text(Chain(), TOP), TOP)
    found = {path: one for path, one in changes.items() if module_of(path, kinds) == "delay"}
    # Behind each edge: the first register holds what came before it.
    wanted = {0: values, 1: np.append(0, values[:-1]), 2: np.append([0, 0], values[:-2])}
    assert len(found) == 3
    for path, (bits, count) in found.items():
        number = int(path[0].removeprefix("late_"))
        assert (bits, count) == (BITS, _changes(wanted[number]))
    last = np.append([0, 0, 0], values[:-3]) ^ values
    mine = [one for path, one in changes.items() if module_of(path, kinds) == TOP]
    assert mine == [(BITS, _changes(last))]


def test_energy_is_that_of_gates_as_often_as_registers_and_of_the_clock(watched):
    simulation, _ = watched
    changes, table = simulation.changes(), load_technology("default")
    counts = count_gates(Chain())
    kinds = kinds_of(rtlil_text(Chain(), TOP), TOP)
    rows = module_energies(counts, kinds, changes, simulation.cycles, table, 28)
    by_kind = {row.kind: row for row in rows}
    gate = figure(table.energy, "nand2", 28).value
    clocked = figure(table.energy, "flip_flop", 28).value
    activity = sum(count for _, count in changes.values() if count) / 4 / BITS / simulation.cycles
    assert by_kind["delay"].number == 3
    assert by_kind["delay"].transistors == 3 * BITS * FLIP_FLOP
    assert by_kind["delay"].energy.value == pytest.approx(3 * BITS * clocked)
    xor = counts[TOP].gate_transistors / 4
    wanted = xor * by_kind[TOP].activity * gate + BITS * clocked
    assert by_kind[TOP].energy.value == pytest.approx(wanted)
    assert by_kind[TOP].activity == pytest.approx(activity, rel=0.05)
    assert total_energy(rows).value == pytest.approx(sum(row.energy.value for row in rows))
