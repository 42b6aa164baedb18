"""``esca rtl``: the accelerator's hardware, from a configuration."""

from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Annotated, cast

import typer

from esca.accelerator.check import held_out_codes, random_codes
from esca.accelerator.config import config_hash, load_config, preset_names
from esca.avatars import AvatarConfig, Variant, load_avatar
from esca.captures.reader import open_capture
from esca.cli.console import Json, emit, progress, say
from esca.errors import EscaError
from esca.runtime import load_artifact
from esca.runtime.extra import needed

app = typer.Typer(
    no_args_is_help=True, help="The accelerator in hardware, from the same configuration."
)

DEFAULT = "ecp5-8x8"

Preset = Annotated[str, typer.Argument(help=f"{', '.join(preset_names())}, or a YAML file.")]
PART_NAMES = "top, or one of path, array, accumulators, drain, lane alone"
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


@app.command("implement")
def implement_command(
    preset: Preset = DEFAULT,
    part: Part = "top",
    device: Annotated[str, typer.Option(help="ECP5 25k, 45k or 85k.")] = "85k",
    mhz: Annotated[float, typer.Option(help="Clock that the tools aim at.")] = 150.0,
    seed: Annotated[
        list[int] | None, typer.Option(help="Of placement; repeat. Default: 1, 2, 3.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Map, place and route for an ECP5 with Yosys and nextpnr; takes minutes.

    The part stands between registers, so that pins are not timed. JSON keys: `config name device
    used available box_registers fmax_mhz` (best seed) and `placed`, each `seed fmax_mhz
    critical_path`.
    """
    needed("amaranth", "rtl")
    from esca.accelerator.rtl.implement import implement
    from esca.accelerator.rtl.implementation_table import (
        implementation_data,
        implementation_text,
    )
    from esca.accelerator.rtl.parts import part_of_machine

    config = load_config(preset)
    component = part_of_machine(config, part)
    with progress("Implementing") as update:
        seeds, flat = tuple(seed or (1, 2, 3)), part != "top"
        made = implement(component, part, device, mhz * 1e6, seeds, flat, update)
    emit({"config": config.name} | implementation_data(made), as_json)
    say(f"{config.name}, {implementation_text(made)}", as_json)


@app.command("gates")
def gates_command(
    preset: Preset = DEFAULT,
    part: Annotated[str, typer.Option(help=f"{PART_NAMES}.")] = "path",
    least: Annotated[float, typer.Option(help="Leave out what is a smaller share.")] = 0.01,
    as_json: Json = False,
) -> None:
    """Count gates and transistors of a part, and what the input muxes add to it.

    Generic gates of static CMOS; memories in bits. Beside it the same part is counted with
    `array.mux_width` 1, where no inputs are combined. JSON keys: `config part transistors
    transistors_without_muxes` and `modules`, each `depth kind number gates flip_flops memory_bits
    transistors`.
    """
    needed("amaranth", "rtl")
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
    emit(data | {"transistors_without_muxes": without, "modules": gates_data(rows)}, as_json)
    say(f"{config.name}, {part}\n{gates_text(rows, without)}", as_json)


@app.command("run")
def run_command(
    artifact: Annotated[Path, typer.Argument(help="Artifact of `esca quantize`.")],
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
    as_json: Json = False,
) -> None:
    """Run the texture decoder on the compiled hardware, and hold it against simulator and runtime.

    Needs a C++ compiler. Exit code 1 where anything differs. JSON keys: `config passed` and
    `frames`, each `passed values different jobs late starved alarms cycles seconds`: `late` counts
    the instructions, by queue, that did not start in the simulator's cycle.
    """
    needed("amaranth", "rtl")
    from esca.accelerator.rtl.frames import check_frames, frame_data

    if (capture is None) != (checkpoint is None):
        raise EscaError("rtl: expected --capture and --checkpoint together, or neither")
    config, quantized = load_config(preset), load_artifact(artifact).quantized
    if capture is None or checkpoint is None:
        feeds = random_codes(quantized, frames)
    else:
        feeds = held_out_codes(load_avatar(checkpoint), open_capture(capture), frames)
    with progress("Running") as update:
        checks = check_frames(quantized, config, feeds, stalls, update)
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
        which = (avatar, texture, part, layer)
        _verify_layers(preset or DEFAULT, which, bits or ["w8a8"], seed, as_json)
        return
    if bits is not None:
        raise EscaError("rtl: --bits goes with --avatar")
    from esca.accelerator.rtl.coverage import coverage, coverage_table, holes
    from esca.accelerator.rtl.engine_records import PARTS
    from esca.accelerator.rtl.random_programs import random_programs, small_config
    from esca.accelerator.rtl.verify import Machine, verify

    config = small_config() if preset is None else load_config(preset)
    with progress("Building") as update:
        machine = Machine(config, parts=PARTS if preset is None else ())
        update(1, 1)
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


def _verify_layers(
    preset: str, which: tuple[str, int, str, str], bits: list[str], seed: int, as_json: bool
) -> None:
    from esca.accelerator.rtl.engine_records import PARTS
    from esca.accelerator.rtl.layer_checks import (
        LayerCheck,
        LayerChecks,
        layer_data,
        layer_line,
        layers_table,
    )
    from esca.accelerator.rtl.random_avatars import random_avatar
    from esca.accelerator.rtl.verify import Machine

    variant, texture, part, pattern = which
    config = load_config(preset)
    made = AvatarConfig(cast(Variant, variant), texture)
    with progress("Building") as update:
        machine = Machine(config, parts=PARTS if part == "decoder" else ())
        update(1, 1)
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
