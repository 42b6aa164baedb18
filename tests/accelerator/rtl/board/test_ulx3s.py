"""Pins and clock of the board, against bounds and the packer's own words."""

import re

import pytest
from tests.accelerator.rtl.board.stub_machine import CLOCK, SETTINGS, StubMachine

from esca.accelerator.rtl.board.core import BoardCore
from esca.accelerator.rtl.board.pll import (
    LEAST_COMPARED_HERTZ,
    VCO_HERTZ,
    PllDivisors,
    pll_divisors,
)
from esca.accelerator.rtl.board.ulx3s import NAME, PINS, Ulx3s, constraints
from esca.accelerator.rtl.emit import rtlil_text
from esca.errors import EscaError


@pytest.mark.parametrize("mhz", [25, 40, 50, 62.5, 75, 125, 150])
def test_pll_divisors(mhz) -> None:
    divisors = pll_divisors(25e6, mhz * 1e6)
    made, oscillator = divisors.hertz(25e6)
    assert made == mhz * 1e6
    assert VCO_HERTZ[0] <= oscillator <= VCO_HERTZ[1]
    assert 25e6 / divisors.input >= LEAST_COMPARED_HERTZ


def test_divisors_of_the_packers_own_tool() -> None:
    assert pll_divisors(25e6, 50e6) == PllDivisors(1, 2, 12)  # ecppll -i 25 -o 50


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


def test_the_top_level_has_these_pins() -> None:
    board = Ulx3s(BoardCore(StubMachine(), SETTINGS), CLOCK)
    text = rtlil_text(board, NAME, [*board.ports.values()])
    top = text[text.index(f"module \\{NAME}\n") :].partition("\nend\n")[0]
    found = {}
    for words in re.findall(r"^  wire (.*(?:input|output|inout).*)$", top, re.M):
        width = re.search(r"width (\d+)", words)
        found[words.rpartition("\\")[2]] = int(width[1]) if width else 1
    assert found == {port: len(balls.split()) for port, balls in PINS.items()}
    for cell, count in (("EHXPLLL", 1), ("ODDRX1F", 1), ("BB", 16)):
        assert len(re.findall(rf"^  cell \\{cell} ", top, re.M)) == count
