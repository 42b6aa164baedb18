"""Energy and area constants of a process: data with units, sources and uncertainty.

A table is a YAML file (`technologies/`). Figures that are not cited for a node are derived by the
rule the table names and marked so.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass as plain_dataclass
from functools import cache, reduce
from importlib import resources
from math import exp, isfinite, log
from operator import add
from typing import Annotated, Literal, Self, TypeVar, get_args

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from esca.accelerator.config import Node
from esca.errors import EscaError
from esca.settings import STRICT, Settings

NODES: tuple[Node, ...] = get_args(Node)

Name = TypeVar("Name", bound=str)

_Figure = Annotated[float, Field(gt=0)]


@plain_dataclass(frozen=True)
class Estimate:
    """A figure with its bounds; sums and multiples keep bounds as if all errors went one way."""

    value: float
    low: float
    high: float

    def __add__(self, other: "Estimate") -> "Estimate":
        return Estimate(self.value + other.value, self.low + other.low, self.high + other.high)

    def __mul__(self, factor: float) -> "Estimate":
        return Estimate(self.value * factor, self.low * factor, self.high * factor)

    __rmul__ = __mul__


NOTHING = Estimate(0.0, 0.0, 0.0)


def sum_of(estimates: Iterable[Estimate]) -> Estimate:
    """Sum of estimates, bounds added."""
    return reduce(add, estimates, NOTHING)


@dataclass(frozen=True, config=STRICT)
class Constant:
    """One constant: ``at`` cited figures by node in nm, ``low`` and ``high`` factors on them.

    ``follows``: the constant whose ratio between nodes is taken where only one node is cited.
    """

    unit: Annotated[str, Field(min_length=1)]
    at: Annotated[dict[Node, _Figure], Field(min_length=1)]
    low: Annotated[float, Field(gt=0, le=1)]
    high: Annotated[float, Field(ge=1)]
    source: Annotated[str, Field(min_length=1)]
    follows: str | None = None

    @model_validator(mode="after")
    def _known_everywhere(self) -> Self:
        if len(self.at) == 1 and self.follows is None:
            raise ValueError("one node is cited, expected `follows` to say how others derive")
        if not all(isfinite(figure) for figure in self.at.values()):
            raise ValueError("a figure is not finite")
        return self


@dataclass(frozen=True, config=STRICT)
class EnergyConstants:
    """Energies; units stand with each."""

    add_8bit: Constant
    add_32bit: Constant
    multiply_8bit: Constant
    sram_8_kb: Constant
    sram_32_kb: Constant
    sram_1_mb: Constant
    dram: Constant
    nand2: Constant
    flip_flop: Constant


@dataclass(frozen=True, config=STRICT)
class AreaConstants:
    """Areas; units stand with each."""

    nand2: Constant
    xor2: Constant
    flip_flop: Constant
    sram_bit: Constant
    sram_overhead: Constant


@dataclass(frozen=True, config=STRICT)
class Factor:
    """What hardware takes over what is counted; ``low`` and ``high``: factors on that."""

    value: Annotated[float, Field(ge=0)]
    low: Annotated[float, Field(gt=0, le=1)] = 1.0
    high: Annotated[float, Field(ge=1)] = 1.0

    def of(self, counted: Estimate) -> Estimate:
        """What hardware takes where ``counted`` is counted."""
        whole = counted * self.value
        return Estimate(whole.value, whole.low * self.low, whole.high * self.high)


_AS_COUNTED, _NONE = Factor(1.0), Factor(0.0)


@dataclass(frozen=True, config=STRICT)
class Hardware:
    """What built hardware corrects. Area of the logic of ``array``, ``epilogue`` and ``linear``
    engine; ``control``: everything that nothing counts (addresses and ways of operands, feeds,
    queues, DMA), over these three.

    ``clocked``: energy of epilogue, linear engine and control in every cycle, whether they work or
    not: clocks of a flip-flop that the area of a NAND2 costs. 0: what is counted for the first two.
    """

    array: Factor = _AS_COUNTED
    epilogue: Factor = _AS_COUNTED
    linear: Factor = _AS_COUNTED
    control: Factor = _NONE
    clocked: Factor = _NONE

    def area(self, counted: Mapping[Name, Estimate]) -> dict[Name | str, Estimate]:
        """Logic by block, and its control."""
        made: dict[Name | str, Estimate] = {
            name: self._of(name).of(one) if name in CORRECTED else one
            for name, one in counted.items()
        }
        return made | {"control": self.control.of(sum_of(made[name] for name in CORRECTED))}

    def _of(self, name: str) -> Factor:
        match name:
            case "epilogue":
                return self.epilogue
            case "linear":
                return self.linear
        return self.array


CORRECTED = ("multipliers", "adders", "mux", "registers", "epilogue", "linear")
"""Blocks whose logic is corrected; the first four are the array's."""

CLOCKED: tuple[Literal["epilogue", "linear", "control"], ...] = ("epilogue", "linear", "control")
"""Parts that take their energy in every cycle, where that is known."""

AS_COUNTED = Hardware()


@dataclass(frozen=True, config=STRICT)
class TechnologyTable:
    """All constants of a process family, and what built hardware corrects."""

    name: Annotated[str, Field(min_length=1)]
    energy: EnergyConstants
    area: AreaConstants
    hardware: Hardware = AS_COUNTED

    @model_validator(mode="after")
    def _followed(self) -> Self:
        for group in (self.energy, self.area):
            for name, constant in vars(group).items():
                leader = constant.follows
                if leader is None:
                    continue
                other = vars(group).get(leader)
                if other is None or other.follows is not None:
                    raise ValueError(f"{name} follows {leader}, which has no figures of its own")
        return self


_TABLE = Settings(
    TechnologyTable, "technology", resources.files("esca.accelerator") / "technologies"
)


@cache
def load_technology(name_or_path: str) -> TechnologyTable:
    """A shipped table by name, or a YAML file; EscaError names the file and the field."""
    return _TABLE.load(name_or_path, "technology.constants")


def parse_technology(text: str, source: str) -> TechnologyTable:
    """A table from YAML text; errors name ``source`` and the field."""
    return _TABLE.parse(text, source)


def technology_hash(table: TechnologyTable) -> str:
    """SHA-256 of the table's canonical JSON, as hex digits."""
    return _TABLE.digest(table)


def is_derived(constant: Constant, node: Node) -> bool:
    """Whether the figure at ``node`` is not cited but follows from others."""
    return node not in constant.at


def figure(group: EnergyConstants | AreaConstants, name: str, node: Node) -> Estimate:
    """A constant at a node, with its bounds; EscaError for an unknown one."""
    constant = vars(group).get(name)
    if not isinstance(constant, Constant):
        raise EscaError(f"technology: no constant {name!r}, expected {', '.join(vars(group))}")
    value = _at(group, constant, node)
    return Estimate(value, value * constant.low, value * constant.high)


def _at(group: EnergyConstants | AreaConstants, constant: Constant, node: Node) -> float:
    if node in constant.at:
        return constant.at[node]
    if constant.follows is not None:
        leader: Constant = vars(group)[constant.follows]
        nearest = min(constant.at, key=lambda cited: abs(log(cited / node)))
        return constant.at[nearest] * _at(group, leader, node) / _at(group, leader, nearest)
    cited = sorted(constant.at, key=lambda cited: abs(log(cited / node)))[:2]
    return _power_law(node, cited[0], constant.at[cited[0]], cited[1], constant.at[cited[1]])


def _power_law(x: float, x0: float, y0: float, x1: float, y1: float) -> float:
    """The power law through two points, at ``x``."""
    return exp(log(y0) + (log(y1) - log(y0)) * (log(x) - log(x0)) / (log(x1) - log(x0)))


_SRAM_SIZES = ((8 * 1024, "sram_8_kb"), (32 * 1024, "sram_32_kb"), (1024 * 1024, "sram_1_mb"))
SMALLEST_BANK, LARGEST_BANK = 1024, 4 * 1024 * 1024


class Energies:
    """What one operation costs at a node, in pJ, with bounds."""

    def __init__(self, table: TechnologyTable, node: Node) -> None:
        self._group, self._node = table.energy, node

    def _of(self, name: str) -> Estimate:
        return figure(self._group, name, self._node)

    def multiply(self, bits_a: int, bits_b: int) -> Estimate:
        """An integer multiplication: as the product of the bits, from 8 x 8.

        The rule gives 3.2 pJ for 32 x 32 bits at 45 nm, where Horowitz has 3.1.
        """
        return self._of("multiply_8bit") * (bits_a * bits_b / 64)

    def add(self, bits: int) -> Estimate:
        """An integer addition: on the line through 8 and 32 bits; below 8 bits in proportion."""
        small, large = self._of("add_8bit"), self._of("add_32bit")
        if bits < 8:
            return small * (bits / 8)
        share = (bits - 8) / 24
        return small * (1 - share) + large * share if bits <= 32 else large * (bits / 32)

    def sram(self, bank_bytes: float, buffer: str) -> Estimate:
        """One byte read from or written to a bank: a power law between the cited sizes.

        EscaError names ``buffer`` where a bank is outside 1 KB to 4 MB.
        """
        if not SMALLEST_BANK <= bank_bytes <= LARGEST_BANK:
            raise EscaError(
                f"{buffer}: banks of {bank_bytes:.0f} bytes, the energy model knows "
                f"{SMALLEST_BANK} to {LARGEST_BANK}"
            )
        (x0, low), (x1, high) = _SRAM_SIZES[:2] if bank_bytes <= 32768 else _SRAM_SIZES[1:]
        a, b = self._of(low), self._of(high)
        pairs = ((a.value, b.value), (a.low, b.low), (a.high, b.high))
        return Estimate(*(_power_law(bank_bytes, x0, p, x1, q) for p, q in pairs)) * (1 / 8)

    def dram(self) -> Estimate:
        """One byte to or from DRAM."""
        return self._of("dram") * 8

    def register(self) -> Estimate:
        """One bit of a register clocked once."""
        return self._of("flip_flop")

    def choose(self) -> Estimate:
        """One bit through one 2:1 multiplexer: three NAND2, half of which toggle."""
        return self._of("nand2") * 1.5
