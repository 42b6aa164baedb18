"""``esca rtl``: the accelerator's hardware, from a configuration."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from esca.accelerator.check import held_out_codes, random_codes
from esca.accelerator.config import AcceleratorConfig, config_hash, load_config, preset_names
from esca.avatars import AvatarConfig, Variant, load_avatar
from esca.captures.reader import open_capture
from esca.cli.console import Json, emit, progress, say
from esca.cli.rtl_board import board_command, host_command
from esca.errors import EscaError
from esca.quantization.quantize import QuantizedGraph
from esca.runtime import load_artifact
from esca.runtime.extra import needed

if TYPE_CHECKING:
    from torch import Tensor

    from esca.accelerator.rtl.verify import Machine

app = typer.Typer(
    no_args_is_help=True, help="The accelerator in hardware, from the same configuration."
)

app.command("board")(board_command)
app.command("host")(host_command)

DEFAULT = "ecp5-8x8"

Preset = Annotated[str, typer.Argument(help=f"{', '.join(preset_names())}, or a YAML file.")]
PART_NAMES = "top, or one of path, array, accumulators, drain, lane alone"
Simulated = Annotated[
    str, typer.Option("--simulator", help="cxxrtl, or verilator (5 or later; quicker).")
]
Unknown = Annotated[
    int | None,
    typer.Option(help="Verilator alone: memories and registers begin with random bits, by seed."),
]
Part = Annotated[str, typer.Option(help=f"{PART_NAMES}.")]


@app.command("emit")
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


@app.command("draw")
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


@app.command("implement")
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
    placed: Annotated[
        bool, typer.Option("--placed", help="Place alone: the clock is estimated from distances.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Map, place and route for an ECP5 with Yosys and nextpnr; minutes, or hours for all of it.

    The part stands between registers, so that pins are not timed, and has no reset. JSON keys:
    `config name device speed used available box_registers absorbed routed fmax_mhz` (best seed)
    `least_fmax_mhz` (worst) and `placed`, each `seed fmax_mhz critical_path`; with --mux-width
    `other`, the same of the other machine.
    """
    needed("amaranth", "rtl")
    from esca.accelerator.rtl.implement import implement
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
    for one in configs:
        component, flat = part_of_machine(one, part), mapped_flat(part)
        with progress("Implementing") as update:
            seeds = tuple(seed or (1, 2, 3))
            made.append(
                implement(
                    component, part, device, mhz * 1e6, seeds, speed, flat, not placed, update
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


@app.command("gates")
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


@app.command("run")
def run_command(
    artifact: Annotated[Path | None, typer.Argument(help="Artifact of `esca quantize`.")] = None,
    preset: Annotated[
        str, typer.Option(help=f"{', '.join(preset_names())}, or a YAML file.")
    ] = DEFAULT,
    capture: Annotated[
        Path | None, typer.Option(help="Frames of its held-out segments; else random codes.")
    ] = None,
    checkpoint: Annotated[
        Path | None, typer.Option(help="With --capture: fp32 avatar that encodes the frames.")
    ] = None,
    frames: Annotated[int, typer.Option(help="How many frames.")] = 1,
    stalls: Annotated[
        int | None, typer.Option(help="Stall memory at random, with this seed: data must hold.")
    ] = None,
    avatar: Annotated[
        str | None, typer.Option(help="Instead of an artifact: base, warp .., of random weights.")
    ] = None,
    texture: Annotated[int, typer.Option(help="With --avatar: side of the texture.")] = 256,
    bits: Annotated[
        str, typer.Option(help="With --avatar: w4a8-like, of convolutions, or mixed.")
    ] = "w8a8",
    simulator: Simulated = "cxxrtl",
    unknown: Unknown = None,
    as_json: Json = False,
) -> None:
    """Run the texture decoder on the compiled hardware, and hold it against simulator and runtime.

    Needs a C++ compiler. Exit code 1 where anything differs. JSON keys: `config passed` and
    `frames`, each `passed values different jobs late starved alarms cycles seconds`: `late` counts
    the instructions, by queue, that did not start in the simulator's cycle.
    """
    needed("amaranth", "rtl")
    from esca.accelerator.rtl.frames import check_frames, frame_data

    if (artifact is None) == (avatar is None):
        raise EscaError("rtl: expected an artifact or --avatar")
    config = load_config(preset)
    if artifact is not None:
        quantized = load_artifact(artifact).quantized
    else:
        from esca.accelerator.rtl.random_avatars import random_avatar

        quantized = random_avatar(AvatarConfig(cast(Variant, avatar), texture), bits)
    feeds = _frames_fed(quantized, capture, checkpoint, frames)
    machine = _built(config, simulator, unknown)
    with progress("Running") as update:
        checks = check_frames(quantized, feeds, machine, stalls, update)
    passed = all(check.passed for check in checks)
    data = [frame_data(check) for check in checks]
    emit({"config": config.name, "passed": passed, "frames": data}, as_json)
    for number, one in enumerate(data):
        say(
            f"frame {number}: {one['different']:,} of {one['values']:,} integers differ; "
            f"{sum(one['late'].values()):,} of {sum(one['jobs'].values()):,} instructions start "
            f"in another cycle; {one['cycles']:,} cycles in {one['seconds']:.0f} s",
            as_json,
        )
    if not passed:
        raise typer.Exit(1)


@app.command("power")
def power_command(
    artifact: Annotated[Path, typer.Argument(help="Artifact of `esca quantize`.")],
    preset: Annotated[
        str, typer.Option(help=f"{', '.join(preset_names())}, or a YAML file.")
    ] = DEFAULT,
    capture: Annotated[
        Path | None, typer.Option(help="A frame of its held-out segments; else a random code.")
    ] = None,
    checkpoint: Annotated[
        Path | None, typer.Option(help="With --capture: fp32 avatar that encodes the frame.")
    ] = None,
    node: Annotated[int | None, typer.Option(help="45, 28 or 7 nm; default: the preset's.")] = None,
    as_json: Json = False,
) -> None:
    """Estimate the energy of a frame from what it switches in the hardware's registers.

    The texture decoder runs on the compiled hardware with its registers watched; gates are counted.
    Memories are the energy model's. Needs a C++ compiler. JSON keys: `config node cycles modules
    logic_uj parts model_memory_uj model_dram_uj`, energies as `value low high`; a module has `kind
    number transistors activity pj_a_cycle`, a part `part hardware counted calibrated`, the last two
    of the energy model with its default constants and with those calibrated on hardware.
    """
    needed("amaranth", "rtl")
    from esca.accelerator.rtl.power import frame_power, power_data, power_text

    config, quantized = load_config(preset), load_artifact(artifact).quantized
    feeds = _frames_fed(quantized, capture, checkpoint, 1)
    with progress("Counting, building, running") as update:
        found = frame_power(quantized, config, feeds, node, update)
    emit(power_data(found), as_json)
    say(power_text(found), as_json)


@app.command("verify")
def verify_command(
    programs: Annotated[int, typer.Option(help="How many.")] = 25,
    seed: Annotated[int, typer.Option(help="Of the first program.")] = 0,
    stalls: Annotated[
        bool, typer.Option("--stalls", help="Stall memory at random: only data are compared.")
    ] = False,
    preset: Annotated[
        str | None, typer.Option(help="Preset or YAML file; default: 4 x 4 PEs of all modes.")
    ] = None,
    avatar: Annotated[
        str | None,
        typer.Option(help="Instead: layers of an avatar (base, warp ..), one by one."),
    ] = None,
    texture: Annotated[int, typer.Option(help="With --avatar: side of the texture.")] = 256,
    part: Annotated[str, typer.Option(help="With --avatar: texture or decoder.")] = "decoder",
    layer: Annotated[str, typer.Option(help="With --avatar: layers to run, a pattern.")] = "*",
    bits: Annotated[
        list[str] | None,
        typer.Option(help="With --avatar: w4a8-like, of convolutions, or mixed; repeat."),
    ] = None,
    simulator: Simulated = "cxxrtl",
    unknown: Unknown = None,
    as_json: Json = False,
) -> None:
    """Run random programs on the compiled hardware and the simulator, and say what they covered.

    With --avatar each layer of a decoder of random weights, from random integers. Needs a C++
    compiler. Exit code 1 where outputs differ, instructions start in another cycle, an alarm is
    raised or a layer is refused. JSON keys: `config passed programs coverage holes`, with --avatar
    `config passed layers`, each `bits layer values passed refused equal late jobs alarms cycles
    seconds`.
    """
    needed("amaranth", "rtl")
    if avatar is not None:
        if stalls:
            raise EscaError("rtl: --stalls goes with random programs, not with --avatar")
        from esca.accelerator.rtl.engine_records import PARTS

        parts = PARTS if part == "decoder" else ()
        machine = _built(load_config(preset or DEFAULT), simulator, unknown, parts)
        which = (avatar, texture, part, layer)
        _verify_layers(machine, which, bits or ["w8a8"], seed, as_json)
        return
    if bits is not None:
        raise EscaError("rtl: --bits goes with --avatar")
    from esca.accelerator.rtl.coverage import coverage, coverage_table, holes
    from esca.accelerator.rtl.engine_records import PARTS
    from esca.accelerator.rtl.random_programs import random_programs, small_config
    from esca.accelerator.rtl.verify import verify

    config = small_config() if preset is None else load_config(preset)
    machine = _built(config, simulator, unknown, PARTS if preset is None else ())
    ran, rows = [], []
    with progress("Running") as update:
        for one in islice(random_programs(config, seed), programs):
            found = verify(machine, one.program, one.feeds, one.seed if stalls else None)
            ran.append(one.program)
            rows.append(
                {
                    "seed": one.seed,
                    "passed": found.passed,
                    "different": list(found.different),
                    "jobs": sum(found.jobs.values()),
                    "late": found.late,
                    "starved": found.run.starved,
                    "alarms": found.run.alarms,
                    "cycles": found.run.cycles,
                }
            )
            update(len(rows), programs)
    counts = coverage(ran)
    failed = [row for row in rows if not row["passed"]]
    emit(
        {
            "config": config.name,
            "passed": not failed,
            "programs": rows,
            "coverage": {f"{group}: {point}": n for (group, point), n in sorted(counts.items())},
            "holes": [list(hole) for hole in holes(counts)],
        },
        as_json,
    )
    say(coverage_table(counts), as_json)
    say(f"{len(rows) - len(failed)} of {len(rows)} programs passed", as_json)
    for row in failed:
        say(f"  seed {row['seed']}: {row}", as_json)
    if failed:
        raise typer.Exit(1)


def _frames_fed(
    quantized: QuantizedGraph, capture: Path | None, checkpoint: Path | None, frames: int
) -> "Mapping[str, Tensor]":
    """Inputs of held-out frames, or random ones."""
    if (capture is None) != (checkpoint is None):
        raise EscaError("rtl: expected --capture and --checkpoint together, or neither")
    if capture is None or checkpoint is None:
        return random_codes(quantized, frames)
    return held_out_codes(load_avatar(checkpoint), open_capture(capture), frames)


def _built(
    config: AcceleratorConfig,
    simulator: str,
    unknown: int | None,
    parts: Collection[str] = (),
) -> "Machine":
    from esca.accelerator.rtl.compiled import compiled
    from esca.accelerator.rtl.verify import Build, Machine
    from esca.accelerator.rtl.verilated import verilated

    builds: dict[str, Build] = {
        "cxxrtl": compiled,
        "verilator": partial(verilated, unknown=unknown),
    }
    if simulator not in builds:
        raise EscaError(f"rtl: simulator {simulator!r}, expected {' or '.join(builds)}")
    if unknown is not None and simulator != "verilator":
        raise EscaError("rtl: --unknown goes with --simulator verilator")
    with progress("Building") as update:
        machine = Machine(config, parts=parts, build=builds[simulator])
        update(1, 1)
    return machine


def _verify_layers(
    machine: "Machine", which: tuple[str, int, str, str], bits: list[str], seed: int, as_json: bool
) -> None:
    from esca.accelerator.rtl.layer_checks import (
        LayerCheck,
        LayerChecks,
        layer_data,
        layer_line,
        layers_table,
    )
    from esca.accelerator.rtl.random_avatars import random_avatar

    variant, texture, part, pattern = which
    config = machine.config
    made = AvatarConfig(cast(Variant, variant), texture)
    checks: list[LayerCheck] = []
    layers = LayerChecks(machine, part, seed)
    for name in bits:
        for check in layers.run(random_avatar(made, name, seed), name, pattern):
            checks.append(check)
            say(f"{name} {check.layer}: {layer_line(check)}", as_json)  # one may take minutes
    passed = all(check.passed for check in checks)
    rows = [layer_data(check) for check in checks]
    emit({"config": config.name, "passed": passed, "layers": rows}, as_json)
    say(layers_table(checks), as_json)
    if not passed:
        raise typer.Exit(1)
