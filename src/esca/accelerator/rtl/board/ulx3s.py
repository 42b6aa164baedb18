"""The ULX3S: an ECP5 with a 25 MHz oscillator, a USB serial port and 32 MiB of SDRAM.

Pins as in the board's own constraints (github.com/emard/ulx3s, doc/constraints/ulx3s_v20.lpf,
boards v2.x and v3.0); names are those of that file: ``ftdi_rxd`` is what the board sends.
"""

from collections.abc import Mapping

from amaranth.hdl import (
    Cat,
    ClockDomain,
    ClockSignal,
    Elaboratable,
    Instance,
    IOPort,
    Module,
    Signal,
)
from amaranth.lib.cdc import ResetSynchronizer

from esca.accelerator.rtl.board.core import LEDS, BoardCore
from esca.accelerator.rtl.board.pll import add_pll
from esca.accelerator.rtl.board.words import WORD_BITS
from esca.accelerator.rtl.modules import place

NAME = "ulx3s"
OSCILLATOR_HERTZ = 25e6

PINS: Mapping[str, str] = {
    "clk_25mhz": "G2",
    "ftdi_rxd": "L4",
    "ftdi_txd": "M1",
    "fire1": "R1",
    "wifi_gpio0": "L2",
    "led": "B2 C2 C1 D2 D1 E2 E1 H3",
    "sdram_clk": "F19",
    "sdram_cke": "F20",
    "sdram_csn": "P20",
    "sdram_wen": "T20",
    "sdram_rasn": "R20",
    "sdram_casn": "T19",
    "sdram_a": "M20 M19 L20 L19 K20 K19 K18 J20 J19 H20 N19 G20 G19",
    "sdram_ba": "P19 N20",
    "sdram_dqm": "U19 E20",
    "sdram_d": "J16 L18 M18 N18 P18 T18 T17 U20 E19 D20 D19 C20 E18 F18 J18 J17",
}
"""Balls of the package by port, the lowest bit first. ``fire1``: a button, high when pressed.
``wifi_gpio0``: held high, it keeps the other chip of the board from restarting it.
"""

PULLS: Mapping[str, str] = {"ftdi_rxd": "UP", "ftdi_txd": "UP", "fire1": "DOWN"}
INPUTS = ("clk_25mhz", "ftdi_txd", "fire1")


def constraints() -> str:
    """The pins as nextpnr reads them (LPF)."""
    lines = ["BLOCK RESETPATHS;", "BLOCK ASYNCPATHS;"]
    for port, balls in PINS.items():
        sites = balls.split()
        drive = "" if port in INPUTS else " DRIVE=4"
        for bit, site in enumerate(sites):
            name = f"{port}[{bit}]" if len(sites) > 1 else port
            lines += [
                f'LOCATE COMP "{name}" SITE "{site}";',
                f'IOBUF PORT "{name}" PULLMODE={PULLS.get(port, "NONE")} IO_TYPE=LVCMOS33{drive};',
            ]
    return "\n".join([*lines, f'FREQUENCY PORT "clk_25mhz" {OSCILLATOR_HERTZ / 1e6:g} MHZ;', ""])


class Ulx3s(Elaboratable):
    """``core`` at the board's pins, with a clock of ``clock_hertz``; ``ports`` by the names of
    :data:`PINS`. The button resets all, memory's contents are lost then.
    """

    def __init__(self, core: BoardCore, clock_hertz: float) -> None:
        self._core, self._clock_hertz = core, clock_hertz
        self.ports: dict[str, Signal | IOPort] = {
            port: Signal(len(balls.split()), name=port)
            for port, balls in PINS.items()
            if port != "sdram_d"
        }
        self.ports["sdram_d"] = IOPort(WORD_BITS, name="sdram_d")

    def elaborate(self, platform: object) -> Module:
        """Memory's clock is ours, turned over; its words go through pads of both directions."""
        m, ports = Module(), self.ports
        m.domains.sync = ClockDomain()
        locked = add_pll(m, ports["clk_25mhz"], OSCILLATOR_HERTZ, self._clock_hertz)
        m.submodules.reset = ResetSynchronizer(~locked | ports["fire1"])
        core = place(m, platform, "core", "core", lambda: self._core)
        pins = core.pins
        m.d.comb += [
            core.rx.eq(ports["ftdi_txd"]),
            ports["ftdi_rxd"].eq(core.tx),
            ports["led"].eq(core.leds[:LEDS]),
            ports["wifi_gpio0"].eq(1),
            ports["sdram_cke"].eq(pins.cke),
            Cat(ports[f"sdram_{name}"] for name in ("csn", "rasn", "casn", "wen")).eq(pins.command),
            ports["sdram_a"].eq(pins.address),
            ports["sdram_ba"].eq(pins.bank),
            ports["sdram_dqm"].eq(pins.dqm),
        ]
        m.submodules.memory_clock = Instance(
            "ODDRX1F", i_SCLK=ClockSignal(), i_RST=0, i_D0=0, i_D1=1, o_Q=ports["sdram_clk"]
        )
        for bit in range(WORD_BITS):
            m.submodules[f"d_{bit}"] = Instance(
                "BB",
                i_I=pins.dq_o[bit],
                i_T=~pins.dq_oe,
                o_O=pins.dq_i[bit],
                io_B=ports["sdram_d"][bit],
            )
        return m
