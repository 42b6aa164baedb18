"""Pins and clock of the board, against bounds and the packer's own words."""

import re

import pytest

from esca.accelerator.rtl.board.pll import LEAST_COMPARED_HERTZ, VCO_HERTZ, pll_divisors
from esca.accelerator.rtl.board.ulx3s import PINS, constraints
from esca.errors import EscaError


@pytest.mark.parametrize("mhz", [25, 40, 50, 62.5, 75, 125, 150])
def test_pll_divisors(mhz) -> None:
    divisors = pll_divisors(25e6, mhz * 1e6)
    made, oscillator = divisors.hertz(25e6)
    assert made == mhz * 1e6
    assert VCO_HERTZ[0] <= oscillator <= VCO_HERTZ[1]
    assert 25e6 / divisors.input >= LEAST_COMPARED_HERTZ


def test_a_clock_that_no_pll_makes() -> None:
    with pytest.raises(EscaError, match=r"no PLL makes 51\.7 MHz of 25 MHz"):
        pll_divisors(25e6, 51.7e6)


def test_every_pin_has_one_ball() -> None:
    text = constraints()
    sites = dict(re.findall(r'LOCATE COMP "(.+)" SITE "(.+)";', text))
    assert len(set(sites.values())) == len(sites) == sum(len(x.split()) for x in PINS.values())
    assert set(re.findall(r'IOBUF PORT "(.+?)"', text)) == set(sites)
    assert len([name for name in sites if name.startswith("sdram_d[")]) == 16
    assert (sites["sdram_a[12]"], sites["led[0]"], sites["clk_25mhz"]) == ("G19", "B2", "G2")
