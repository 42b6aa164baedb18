"""A processing element: every mode against plain products, in both simulators."""

import numpy as np
import pytest
from amaranth.sim import Simulator
from tests.accelerator.rtl.rtl_data import WIDTHS, held_fields, operand_digits, random_tile

from esca.accelerator.rtl.compiled import compiled
from esca.accelerator.rtl.params import Parameters
from esca.accelerator.rtl.pe import PE


def sizes(small: bool, centred: bool, mux: int = 4, packed: int = 0) -> Parameters:
    """``packed``: so many products that are not composed to wider ones."""
    return Parameters(4, 4, small, mux, centred, 8, 4, not packed, packed or 4)


@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize(
    ("mode", "packed"), [*((mode, 0) for mode in WIDTHS), ("w4a4", 2), ("w4a4", 4)]
)
def test_every_mode_multiplies_exactly_to_its_extremes(mode, packed, centred):
    p, count = sizes(True, centred, packed=packed), 64
    tile = random_tile(p, mode, (1, 1, count), np.random.default_rng(5))
    offers, sums = tile.offers[:, 0], tile.sums[:, 0]
    pe = compiled(PE(p))
    cycles = count + 12
    given = {
        "fill": np.eye(cycles, dtype=np.int64)[0],
        "swap": np.eye(cycles, dtype=np.int64)[1],
        "offer": np.zeros((cycles, p.mux, p.digits), np.int64),
        "sum_in": np.arange(cycles) - 5,
    }
    given["offer"][2 : 2 + count] = operand_digits(p, mode, offers)
    for name, value in held_fields(p, mode, tile.weights[0, 0], tile.select[0, 0]).items():
        given[f"held_in__{name}"] = np.repeat(value[None], cycles, 0)
    out = pe.run(cycles, **given)["sum_out"]
    start = 2 + p.pe_latency
    above = given["sum_in"][start - 1 : start - 1 + count]
    np.testing.assert_array_equal(out[start : start + count], sums + above)


def test_a_byte_pe_multiplies_and_passes_on():
    p, rng = sizes(False, False), np.random.default_rng(2)
    offers = rng.integers(0, 256, (30, 4, 1))
    out = compiled(PE(p)).run(
        30,
        fill=np.eye(30, dtype=np.int64)[0],
        swap=np.eye(30, dtype=np.int64)[3],
        offer=offers,
        held_in__weights=np.full((30, 1), -128),
        held_in__select=np.full(30, 2),
    )
    np.testing.assert_array_equal(out["sum_out"][4 + 3 :], -128 * offers[4:-3, 2, 0])
    np.testing.assert_array_equal(out["offer_out"][1:], offers[:-1])
    np.testing.assert_array_equal(out["held_out__weights"][1:, 0], -128)


def test_amaranths_own_simulator_agrees():
    p, rng = sizes(True, False, mux=2), np.random.default_rng(3)
    offers = rng.integers(0, 16, (20, 2, 4))
    held = {"weights": np.array([3, -8, 7, 1]), "select": np.array(1)}
    held |= {"wide": np.array(0), "widest": np.array(0)}
    pe, seen = PE(p), []

    async def bench(ctx):
        for name, value in held.items():
            for place in np.ndindex(value.shape):
                target = getattr(pe.held_in, name)
                ctx.set(target[place[0]] if place else target, int(value[place]))
        for cycle in range(20):
            ctx.set(pe.fill, cycle == 0)
            ctx.set(pe.swap, cycle == 1)
            for candidate in range(2):
                for digit in range(4):
                    ctx.set(pe.offer[candidate][digit], int(offers[cycle, candidate, digit]))
            seen.append(ctx.get(pe.sum_out))
            await ctx.tick()

    simulator = Simulator(pe)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    given = {f"held_in__{name}": np.repeat(value[None], 20, 0) for name, value in held.items()}
    steps = np.eye(20, dtype=np.int64)
    out = compiled(PE(p)).run(20, offer=offers, fill=steps[0], swap=steps[1], **given)
    np.testing.assert_array_equal(out["sum_out"], seen)
    np.testing.assert_array_equal(out["sum_out"][6:], offers[2:-4, 1] @ held["weights"])
