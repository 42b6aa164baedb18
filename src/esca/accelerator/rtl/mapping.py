"""From RTLIL to a netlist of an ECP5's cells."""

import json
from importlib import resources
from pathlib import Path

from esca.accelerator.rtl import floor_plan
from esca.accelerator.rtl.copies import with_copies
from esca.accelerator.rtl.hard_registers import Absorbed, absorb_registers, trim_carries
from esca.accelerator.rtl.local_constants import with_local_constants
from esca.accelerator.rtl.netlist_names import name_cells
from esca.accelerator.rtl.reset_tree import with_reset_tree
from esca.accelerator.rtl.tools import run_yosys

PRODUCTS, MUXES, SUMS = "products.v", "mux4.v", "sums.v"
"""What Yosys maps 4 x 4 products, multiplexers of four inputs and sums to."""

LUTS = "abc -dress -lut 4:5"
"""Two tables and what joins them at most: with functions of six and seven inputs, of four and eight
tables, the same machine takes a tenth more of them.
"""

KEPT = (
    "pe route_lane lane linear_lane slot sub_bank bank centre spread window fetch control dma "
    "linear bank_writes loader ring feed accumulators array path front drain_side top"
)
"""Modules that stand many times, and parts that are small enough to be mapped as one."""


def mapped(folder: Path, top: str, flat: bool, device: str, resets: bool = True) -> Absorbed:
    """Make ``design.json`` of ``design.il``, both in ``folder``; returns which registers went into
    hard blocks. ``flat``: logic is mapped across modules; else modules of :data:`KEPT` are mapped
    once, with what is in them, and where ``device`` is that of :mod:`floor_plan`, hard blocks have
    their places. Without ``resets`` registers begin as the configuration has them.
    EscaError if Yosys fails.
    """
    for name in (PRODUCTS, MUXES, SUMS):
        (folder / name).write_text((resources.files("esca.accelerator.rtl") / name).read_text())
    run_yosys(_commands(top, flat, resets), folder)
    path = folder / "design.json"
    design = json.loads(path.read_text())
    module = design["modules"][top]
    absorbed = absorb_registers(module)
    trim_carries(module)
    # Here and not by Yosys, see `netlist_names`.
    name_cells(module)
    with_reset_tree(module)
    with_copies(module)
    if not flat and device == floor_plan.DEVICE:
        sites = floor_plan.planned(module)
        with_local_constants(module, sites)
        for name, site in sites.items():
            module["cells"][name].setdefault("attributes", {})["BEL"] = site
    path.write_text(json.dumps(design))
    return absorbed


def _commands(top: str, flat: bool, resets: bool) -> tuple[str, ...]:
    """ABC9 takes neither a whole machine nor the names of what it puts back into modules; ABC
    does.
    """
    # Registers without a reset may go into hard blocks, which have none of the same kind.
    no_resets = (f"cd {top}", "delete -port w:rst", "connect -nounset -set rst 1'0", "cd ..")
    before = (
        "read_rtlil design.il",
        f"hierarchy -top {top}",
        f"techmap -map {PRODUCTS}",
        "proc",
        *(() if resets else no_resets),
        # Nobody uses a word that is written in the cycle in which it is read: see `collisions`.
        "setparam -set COLLISION_X_MASK 1'1 t:$memrd_v2 r:CLK_ENABLE=1 %i",
    )
    kept = f"setattr -mod -set keep_hierarchy 1 {KEPT}"
    choices = ("muxcover -mux4", f"techmap -map {MUXES}")
    joined = ("setattr -mod -unset keep_hierarchy *", "flatten", "opt_clean -purge")
    return (
        *before,
        *(() if flat else (kept,)),
        f"synth_ecp5 -top {top} -run begin:map_gates",
        f"techmap -map {SUMS}",
        f"synth_ecp5 -top {top} -run map_gates:map_luts",
        *(() if flat else choices),
        LUTS,
        "clean",
        f"synth_ecp5 -top {top} {'' if flat else '-noflatten '}-run map_cells:check",
        *(() if flat else joined),
        "blackbox =A:whitebox",
        "write_json design.json",
    )
