"""``esca rtl emit``, ``draw``, ``implement``, ``gates``: what a configuration's hardware is."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from esca.accelerator.config import config_hash, load_config, preset_names
from esca.cli.console import Json, emit, err, progress, say
from esca.runtime.extra import needed

DEFAULT = "ecp5-8x8"

PRESETS = f"{', '.join(preset_names())}, or a YAML file."
PART_NAMES = "top, or one of path, array, accumulators, drain, lane alone"

Preset = Annotated[str, typer.Argument(help=PRESETS)]
Part = Annotated[str, typer.Option(help=f"{PART_NAMES}.")]


def emit_command(
    out: Annotated[Path, typer.Option(help="Verilog file to write.")],
    preset: Preset = DEFAULT,
    part: Part = "top",
    as_json: Json = False,
) -> None:
    """Write plain Verilog: the same text, by hash, for the same configuration and tools.

    JSON keys: `config config_sha256 part verilog_sha256 lines`.
    """
    needed("amaranth", "rtl")
    from esca.accelerator.rtl.emit import emit_verilog
    from esca.accelerator.rtl.parts import part_of_machine

    config = load_config(preset)
    digest = config_hash(config)
    about = f"{part} of {config.name}, configuration {digest}"
    found = emit_verilog(part_of_machine(config, part), f"esca_{part}", out, about)
    lines = len(out.read_text().splitlines())
    said = {
        "config": config.name,
        "config_sha256": digest,
        "part": part,
        "verilog_sha256": found,
        "lines": lines,
    }
    emit(said, as_json)
    say(f"{out}: {lines:,} lines, sha256 {found}", as_json)


def draw_command(
    out: Annotated[Path, typer.Option(help="Folder for machine.svg and way.svg.")],
    preset: Preset = DEFAULT,
    as_json: Json = False,
) -> None:
    """Draw the machine of a configuration: its blocks, and a unit's way through them in cycles.

    JSON keys: `config machine way`, the files.
    """
    needed("amaranth", "rtl")
    from esca.accelerator.rtl.blocks import blocks, unit_stages, wires
    from esca.report.accelerator.machine import machine_picture, way_picture

    config = load_config(preset)
    machine, way = out / "machine.svg", out / "way.svg"
    made, ways, stages = blocks(config), wires(config), unit_stages(config)
    out.mkdir(parents=True, exist_ok=True)
    machine_picture(config.name, made, ways, machine)
    way_picture(config.name, stages, way)
    emit({"config": config.name, "machine": str(machine), "way": str(way)}, as_json)
    say(f"{machine}, {way}", as_json)


def implement_command(
    preset: Preset = DEFAULT,
    part: Part = "top",
    device: Annotated[str, typer.Option(help="ECP5 25k, 45k or 85k.")] = "85k",
    mhz: Annotated[float, typer.Option(help="Clock that the tools aim at.")] = 150.0,
    speed: Annotated[int, typer.Option(help="Speed grade: 6, 7 or 8.")] = 6,
    seed: Annotated[
        list[int] | None, typer.Option(help="Of placement; repeat. Default: 1, 2, 3.")
    ] = None,
    mux_width: Annotated[
        int | None,
        typer.Option(help="Also with so many inputs a row of the array: 1, none are combined."),
    ] = None,
    minutes: Annotated[
        float, typer.Option(help="Of a seed, at most; one that takes longer is left out.")
    ] = 240.0,
    placed: Annotated[
        bool, typer.Option("--placed", help="Place alone: the clock is estimated from distances.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Map, place and route for an ECP5 with Yosys and nextpnr; minutes, or hours for all of it.

    The part stands between registers, so that pins are not timed, and has no reset. Each seed's
    clock is told on standard error as it comes. JSON keys:
    `config name device speed used available box_registers absorbed routed unfinished` (seeds)
    `fmax_mhz` (best seed) `least_fmax_mhz` (worst) and `placed`, each `seed fmax_mhz
    critical_path`; with --mux-width `other`, the same of the other machine.
    """
    needed("amaranth", "rtl")
    from esca.accelerator.rtl.implement import Placed, implement
    from esca.accelerator.rtl.implementation_table import (
        implementation_data,
        implementation_text,
        mux_text,
    )
    from esca.accelerator.rtl.parts import mapped_flat, part_of_machine

    config = load_config(preset)
    configs = [config]
    if mux_width is not None:
        configs.append(replace(config, array=replace(config.array, mux_width=mux_width)))
    made = []

    def finished(one: Placed) -> None:
        err.print(f"seed {one.seed}: {one.fmax_hertz / 1e6:.1f} MHz", highlight=False)

    for one in configs:
        component, flat = part_of_machine(one, part), mapped_flat(part)
        with progress("Implementing") as update:
            seeds = tuple(seed or (1, 2, 3))
            made.append(
                implement(
                    component,
                    part,
                    device,
                    mhz * 1e6,
                    seeds,
                    speed,
                    flat,
                    not placed,
                    update,
                    finished,
                    60 * minutes,
                )
            )
    data = {"config": config.name} | implementation_data(made[0])
    if mux_width is not None:
        data["other"] = {"mux_width": mux_width} | implementation_data(made[1])
    emit(data, as_json)
    say(f"{config.name}, {implementation_text(made[0])}", as_json)
    if mux_width is not None:
        labels = (str(config.array.mux_width), str(mux_width))
        say(f"\n{mux_text(made, labels)}", as_json)


def gates_command(
    preset: Preset = DEFAULT,
    part: Annotated[str, typer.Option(help=f"{PART_NAMES}.")] = "path",
    least: Annotated[float, typer.Option(help="Leave out what is a smaller share.")] = 0.01,
    as_json: Json = False,
) -> None:
    """Count gates and transistors of a part, and what the input muxes add to it.

    Generic gates of static CMOS; memories in bits. Beside it the same part is counted with
    `array.mux_width` 1, where no inputs are combined, and with --part top the area model's parts in
    square millimetres. JSON keys: `config part transistors transistors_without_muxes`, `modules`,
    each `depth kind number gates flip_flops memory_bits transistors`, and `parts`, each `part
    hardware counted calibrated`, the last two of the model with its default constants and with
    those calibrated on hardware.
    """
    needed("amaranth", "rtl")
    from esca.accelerator.rtl.calibration import compared_area, compared_data, compared_text
    from esca.accelerator.rtl.gates import count_gates, total, tree
    from esca.accelerator.rtl.implementation_table import gates_data, gates_text
    from esca.accelerator.rtl.parts import part_of_machine

    config = load_config(preset)
    plain = replace(config, array=replace(config.array, mux_width=1))
    with progress("Mapping") as update:
        counts = count_gates(part_of_machine(config, part))
        update(1, 2)
        without = total(count_gates(part_of_machine(plain, part))).transistors
        update(2, 2)
    rows = list(tree(counts, least))
    data = {"config": config.name, "part": part, "transistors": total(counts).transistors}
    parts = compared_area(config, counts) if part == "top" else []
    data |= {"transistors_without_muxes": without, "parts": compared_data(parts)}
    emit(data | {"modules": gates_data(rows)}, as_json)
    say(f"{config.name}, {part}\n{gates_text(rows, without)}", as_json)
    if parts:
        say(f"\n{compared_text(parts, 'mm2')}", as_json)
