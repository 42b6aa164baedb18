"""What a board holds, but for pads and clock: the machine and what is around it."""

from typing import Any

from amaranth.hdl import Module, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from esca.accelerator.config import AcceleratorConfig, config_hash
from esca.accelerator.rtl.board.protocol import CONFIG_BYTES
from esca.accelerator.rtl.board.sdram import SdramPins
from esca.accelerator.rtl.board.sdram_part import SdramPart
from esca.accelerator.rtl.board.shell import LEDS, BoardSettings, BoardShell, machine_signature
from esca.accelerator.rtl.modules import place


class BoardCore(wiring.Component):
    """``machine``, a :class:`esca.accelerator.rtl.top.Top`, in its :class:`BoardShell`, whose other
    ports these are.
    """

    def __init__(self, machine: wiring.Component, settings: BoardSettings) -> None:
        self.inside, self.settings = machine, settings
        super().__init__(
            {
                "rx": In(1, init=1),
                "tx": Out(1, init=1),
                "pins": Out(SdramPins(settings.part)),
                "leds": Out(LEDS),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Two modules, and wires between them."""
        m, inside = Module(), self.inside
        machine = place(m, platform, "machine", "machine", lambda: inside)
        shell: Any = place(m, platform, "shell", "shell", BoardShell, inside, self.settings)
        signature = machine_signature(inside)
        pairs = zip(signature.flatten(machine), signature.flatten(shell.machine), strict=True)
        for (_, member, its), (_, _, mine) in pairs:
            source, target = (its, mine) if member.flow == Out else (mine, its)
            m.d.comb += Value.cast(target).eq(Value.cast(source))
        m.d.comb += [
            shell.rx.eq(self.rx),
            self.tx.eq(shell.tx),
            self.leds.eq(shell.leds),
        ]
        wiring.connect(m, wiring.flipped(self.pins), shell.pins)
        return m


def board_settings(
    config: AcceleratorConfig, part: SdramPart, clock_hertz: float, divisor: int
) -> BoardSettings:
    """For the machine of a configuration."""
    known = bytes.fromhex(config_hash(config))[:CONFIG_BYTES]
    return BoardSettings(part, clock_hertz, divisor, known)
