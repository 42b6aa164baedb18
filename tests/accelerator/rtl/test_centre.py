"""Digits of atoms against those that the tests of the array are written with."""

import numpy as np
import pytest
from amaranth.sim import Simulator

from esca.accelerator.rtl.centre import Centre
from esca.accelerator.rtl.params import Parameters, activation_digits

FORMS = {  # mode, bits of a value -> two bytes, nibbles
    ("4x4", 4): (1, 1),
    ("4x8", 8): (1, 0),
    ("4x8", 4): (0, 1),
    ("8x8", 8): (0, 0),
}


def expected_digits(p, mode, bits, atom, odd, inside, zero):
    """Digits of an atom of a mode."""
    two_bytes, _ = FORMS[mode, bits]
    stored = atom if two_bytes else (atom >> 8 * odd) & 255
    count = (16 if two_bytes else 8) // bits
    values = [(stored >> bits * i) & ((1 << bits) - 1) for i in range(count)]
    values = values if inside else [zero] * count
    if p.centred:
        values = [value - zero for value in values]
    return values if not p.small else activation_digits(values, mode, bits)


@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize(("small", "packed"), [(True, 0), (True, 2), (True, 4), (False, 0)])
def test_digits_of_every_form(small, packed, centred):
    p = Parameters(4, 4, small, 1, centred, 8, 4, not packed, packed or 4)
    dut = Centre(p)
    rng = np.random.default_rng(small)
    forms = [("4x4", 4)] if packed else list(FORMS) if small else [("8x8", 8)]
    cases = []
    for _ in range(60):
        mode, bits = forms[rng.integers(len(forms))]
        atom, odd, inside = (int(rng.integers(top)) for top in (1 << 16, 2, 4))
        atom = [0, 0xFFFF, atom][min(2, int(rng.integers(8)))]
        zero = [0, (1 << bits) - 1, int(rng.integers(1 << bits))][min(2, int(rng.integers(6)))]
        cases.append((mode, bits, atom, odd, int(inside > 0), zero))

    async def bench(ctx):
        for mode, bits, atom, odd, inside, zero in cases:
            two_bytes, nibbles = (0, 1) if packed == 2 else FORMS[mode, bits]
            for port, value in (
                (dut.atom, atom), (dut.odd, odd), (dut.inside, inside),
                (dut.two_bytes, two_bytes), (dut.nibbles, nibbles), (dut.zero, zero),
            ):  # fmt: skip
                ctx.set(port, value)
            await ctx.tick()
            found = [ctx.get(digit) for digit in dut.digits]
            if packed == 2:
                atom, odd = atom >> 8 * odd, 0
            expected = expected_digits(p, mode, bits, atom, odd, inside, zero)
            assert found == expected[: p.digits]

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
