"""Modules that stand many times in a design are described once, and placed as instances.

Amaranth's own simulator has no instances: without a :class:`Modules` as its platform a design is
one of plain submodules.
"""

from collections.abc import Callable
from typing import Any

from amaranth.hdl import ClockSignal, Instance, Module, ResetSignal, Value
from amaranth.lib import wiring


class Modules:
    """The platform of a design whose modules are described once; ``described`` by name.
    ``simulated``: it will be compiled into a simulation.
    """

    def __init__(self, simulated: bool = False) -> None:
        self.simulated = simulated
        self.described: dict[str, wiring.Component] = {}
        self._made_from: dict[str, tuple[object, ...]] = {}

    def instance(
        self, name: str, kind: str, make: Callable[..., wiring.Component], *arguments: object
    ) -> tuple[Instance, wiring.PureInterface]:
        """An instance of the module ``kind`` and the signals at its ports, called ``name``.
        AssertionError where that kind was described from something else.
        """
        if self._made_from.setdefault(kind, (make, *arguments)) != (make, *arguments):
            raise AssertionError(f"{name}: module {kind!r} was described as another one")
        if kind not in self.described:
            self.described[kind] = make(*arguments)
        signature = self.described[kind].signature
        interface = signature.create(path=(name,))
        ports: dict[str, object] = {}
        for path, member, value in signature.flatten(interface):
            way = "i" if member.flow == wiring.In else "o"
            ports[f"{way}_{'__'.join(map(str, path))}"] = Value.cast(value)
        return Instance(kind, i_clk=ClockSignal(), i_rst=ResetSignal(), **ports), interface


def place(
    m: Module,
    platform: object,
    name: str,
    kind: str,
    make: Callable[..., wiring.Component],
    *arguments: object,
) -> Any:
    """Make what ``make`` makes of ``arguments`` a part of a design; returns its ports.

    ``kind`` names the module that it is an instance of: all of a kind are made from the same.
    """
    if isinstance(platform, Modules):
        m.submodules[name], ports = platform.instance(name, kind, make, *arguments)
        return ports
    component = m.submodules[name] = make(*arguments)
    return component
