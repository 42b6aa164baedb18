"""What Yosys leaves to do in a netlist of an ECP5.

Registers go into the hard blocks they stand at: Yosys leaves those of ECP5's block RAMs and
multipliers empty, and their delays without registers are near the whole of a cycle at 150 MHz.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Cell = dict[str, Any]
Bit = int | str
"""A net's number, or the constant ``0``, ``1`` or ``x``."""

FLIP_FLOP = "TRELLIS_FF"
_DSP_INPUTS = ("A", "B")


@dataclass(frozen=True)
class Absorbed:
    """How many ports of block RAMs and of multipliers took the registers behind them, and how many
    multipliers those before them.
    """

    ram_outputs: int
    dsp_outputs: int
    dsp_inputs: int


def trim_carries(module: dict[str, Any]) -> int:
    """Take the carry that nobody takes from the last cell of each chain, in place; returns how many
    chains. nextpnr would bring it out of the chain, by a cell of its own. It asks for both carries
    of each cell, connected or not.
    """
    loads, trimmed = _Nets(module).loads, 0
    for cell in module["cells"].values():
        if cell["type"] != "CCU2C":
            continue
        for port, way in (("CIN", "input"), ("COUT", "output")):
            cell["connections"].setdefault(port, ["x"])
            cell["port_directions"][port] = way
        (out,) = cell["connections"]["COUT"]
        if out != "x" and not loads[out]:
            cell["connections"]["COUT"] = ["x"]
            trimmed += 1
    return trimmed


def absorb_registers(module: dict[str, Any]) -> Absorbed:
    """Move flip-flops of a mapped module (Yosys' JSON) into hard blocks, in place.

    Behind an output, where nothing but one flip-flop a bit takes it; before both operands of a
    multiplier, where all bits are constants or of flip-flops. Of one port all have one enable. No
    flip-flop with a reset is moved, or one that begins with 1: what the module does stays the same.
    """
    nets = _Nets(module)
    rams = dsps = inputs = 0
    for cell in [*nets.cells.values()]:
        if cell["type"] in ("DP16KD", "PDPW16KD"):
            rams += sum(_behind_ram(nets, cell, port) for port in _ram_ports(cell))
    for cell in [*nets.cells.values()]:
        if cell["type"] == "MULT18X18D":
            dsps += _behind_dsp(nets, cell)
            inputs += _before_dsp(nets, cell)
    return Absorbed(rams, dsps, inputs)


class _Nets:
    """Cells of a module; who drives a net, and how many take it."""

    def __init__(self, module: dict[str, Any]) -> None:
        self.cells: dict[str, Cell] = module["cells"]
        self.loads: Counter[Bit] = Counter()
        self.taken_by: dict[Bit, str] = {}
        self.flip_flop: dict[Bit, str] = {}
        for port in module["ports"].values():
            if port["direction"] != "input":
                self.loads.update(port["bits"])
        for name, cell in self.cells.items():
            for port, bits in cell["connections"].items():
                if cell["port_directions"][port] == "input":
                    self.loads.update(bits)
                    self.taken_by.update(dict.fromkeys(bits, name))
            if cell["type"] == FLIP_FLOP:
                self.flip_flop[cell["connections"]["Q"][0]] = name

    def behind(self, bit: Bit) -> Cell | None:
        """The flip-flop that alone takes what a bit carries."""
        taker = self.cells.get(self.taken_by.get(bit, ""))
        if self.loads[bit] != 1 or taker is None or taker["type"] != FLIP_FLOP:
            return None
        return taker if taker["connections"]["DI"] == [bit] else None

    def before(self, bit: Bit) -> Cell | None:
        """The flip-flop that a bit comes from."""
        return self.cells.get(self.flip_flop.get(bit, ""))

    def replaces(self, cell: Cell, port: str, bit: Bit) -> None:
        """A port's input is another one from now on; a flip-flop that nobody takes goes."""
        old = cell["connections"][port][0]
        cell["connections"][port] = [bit]
        self.loads[old] -= 1
        self.loads[bit] += 1
        if not self.loads[old] and old in self.flip_flop:
            self.removed(self.flip_flop[old])

    def removed(self, name: str) -> None:
        """Take a flip-flop out."""
        cell = self.cells.pop(name)
        for port, bits in cell["connections"].items():
            if cell["port_directions"][port] == "input":
                self.loads.subtract(bits)

    def name_of(self, flip_flop: Cell) -> str:
        """A flip-flop's name."""
        return self.flip_flop[flip_flop["connections"]["Q"][0]]


def _behind_ram(nets: _Nets, cell: Cell, port: Mapping[str, str]) -> bool:
    outputs = [*_numbered(cell, port["data"])]
    found = _behind(nets, cell, outputs)
    if found is None or cell["connections"][port["reset"]] != ["0"]:
        return False
    clock, enable = _taken(nets, cell, outputs, found)
    if cell["connections"][port["clock"]] != [clock]:
        raise AssertionError("a block RAM and the registers behind it have two clocks")
    cell["parameters"][port["mode"]] = "OUTREG"
    cell["connections"][port["enable"]] = [enable]
    return True


def _ram_ports(cell: Cell) -> Iterator[Mapping[str, str]]:
    """Names of what belongs to each port that reads."""
    if cell["type"] == "PDPW16KD":
        yield {"data": "DO", "mode": "REGMODE", "enable": "OCER", "reset": "RST", "clock": "CLKR"}
        return
    for side in "AB":
        yield {
            "data": f"DO{side}",
            "mode": f"REGMODE_{side}",
            "enable": f"OCE{side}",
            "reset": f"RST{side}",
            "clock": f"CLK{side}",
        }


def _behind_dsp(nets: _Nets, cell: Cell) -> bool:
    outputs = [*_numbered(cell, "P")]
    found = _behind(nets, cell, outputs)
    if found is None:
        return False
    clock, enable = _taken(nets, cell, outputs, found)
    _dsp_register(cell, "OUTPUT", 2, clock, enable)
    return True


def _before_dsp(nets: _Nets, cell: Cell) -> bool:
    sides: list[tuple[Bit, Bit]] = []
    for side in _DSP_INPUTS:
        bits = [cell["connections"][port][0] for port in _numbered(cell, side)]
        flip_flops = [nets.before(bit) for bit in bits if bit not in ("0", "1", "x")]
        clocking = _common(flip_flops)
        if clocking is None or "1" in bits:
            return False
        sides.append(clocking)
    for number, (side, (clock, enable)) in enumerate(zip(_DSP_INPUTS, sides, strict=True)):
        for port in _numbered(cell, side):
            flip_flop = nets.before(cell["connections"][port][0])
            if flip_flop is not None:
                nets.replaces(cell, port, flip_flop["connections"]["DI"][0])
        _dsp_register(cell, f"INPUT{side}", number, clock, enable)
    return True


def _dsp_register(cell: Cell, register: str, number: int, clock: Bit, enable: Bit) -> None:
    cell["parameters"] |= {
        f"REG_{register}_CLK": "CLK0",
        f"REG_{register}_CE": f"CE{number}",
        f"REG_{register}_RST": f"RST{number}",
    }
    for port, bit in (("CLK0", clock), (f"CE{number}", enable), (f"RST{number}", "0")):
        cell["connections"][port] = [bit]
        cell["port_directions"][port] = "input"


def _behind(nets: _Nets, cell: Cell, outputs: Sequence[str]) -> dict[str, Cell] | None:
    """The flip-flop behind each of the outputs that anybody takes; None where they do not fit."""
    used = [port for port in outputs if nets.loads[cell["connections"][port][0]]]
    found = {port: nets.behind(cell["connections"][port][0]) for port in used}
    if _common(found.values()) is None:
        return None
    return {port: one for port, one in found.items() if one is not None}


def _taken(
    nets: _Nets, cell: Cell, outputs: Sequence[str], found: Mapping[str, Cell]
) -> tuple[Bit, Bit]:
    """Outputs drive what their flip-flops drove; returns clock and enable."""
    clocking = _common(found.values())
    if clocking is None:
        raise AssertionError("registers behind a hard block do not fit")
    for port, flip_flop in found.items():
        cell["connections"][port] = flip_flop["connections"]["Q"]
        nets.removed(nets.name_of(flip_flop))
    return clocking


def _common(flip_flops: Iterable[Cell | None]) -> tuple[Bit, Bit] | None:
    """Clock and enable that flip-flops share; None where they do not, or cannot be moved."""
    clocks: set[tuple[Bit, Bit]] = set()
    for one in flip_flops:
        if one is None:
            return None
        wires, settings = one["connections"], one["parameters"]
        enable = settings.get("CEMUX", "CE").strip()
        resets = wires.get("LSR", ["0"]) != ["0"]
        if resets or settings.get("REGSET") != "RESET" or settings.get("CLKMUX", "CLK") != "CLK":
            return None
        clocks.add((wires["CLK"][0], "1" if enable == "1" else wires["CE"][0]))
    return clocks.pop() if len(clocks) == 1 else None


def _numbered(cell: Cell, prefix: str) -> Iterator[str]:
    """Connected ports of a prefix and a number."""
    for port in cell["connections"]:
        if port.startswith(prefix) and port[len(prefix) :].isdecimal():
            yield port
