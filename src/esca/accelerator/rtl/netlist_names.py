"""Names for the cells of a mapped netlist: a critical path is told in the design's words."""

from typing import Any


def name_cells(module: dict[str, Any]) -> None:
    """Name each cell of a module (Yosys' JSON) that has no name of its own after the signal that it
    drives, in place; cells in the midst of an expression stay as they are.

    Yosys does this too (``autoname``), in a time that grows with the square of the design.
    """
    names: dict[Any, str] = {}
    for name, net in module["netnames"].items():
        if net["hide_name"]:
            continue
        for bit in net["bits"]:
            if bit not in names or len(name) < len(names[bit]):
                names[bit] = name
    named: dict[str, Any] = {}
    for old, cell in module["cells"].items():
        outputs = [
            names[bit]
            for port, bits in cell["connections"].items()
            if cell["port_directions"][port] == "output"
            for bit in bits
            if bit in names
        ]
        name = f"{outputs[0]}_{cell['type']}" if cell["hide_name"] and outputs else old
        if name in named:
            name = f"{name}_{len(named)}"
        named[name] = cell
    module["cells"] = named
