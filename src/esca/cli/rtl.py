"""``esca rtl``: the accelerator's hardware, from a configuration."""

from collections.abc import Collection, Mapping
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from esca.accelerator.check import held_out_codes, random_codes
from esca.accelerator.config import AcceleratorConfig, load_config
from esca.avatars import AvatarConfig, Variant, load_avatar
from esca.captures.reader import open_capture
from esca.cli.console import Json, emit, progress, say
from esca.cli.rtl_board import board_command, host_command
from esca.cli.rtl_machine import (
    DEFAULT,
    PRESETS,
    draw_command,
    emit_command,
    gates_command,
    implement_command,
)
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

for name, command in (
    ("emit", emit_command),
    ("draw", draw_command),
    ("implement", implement_command),
    ("gates", gates_command),
    ("board", board_command),
    ("host", host_command),
):
    app.command(name)(command)

Simulated = Annotated[
    str, typer.Option("--simulator", help="cxxrtl, or verilator (5 or later; quicker).")
]
Unknown = Annotated[
    int | None,
    typer.Option(help="Verilator alone: memories and registers begin with random bits, by seed."),
]


@app.command("run")
def run_command(
    artifact: Annotated[Path | None, typer.Argument(help="Artifact of `esca quantize`.")] = None,
    preset: Annotated[str, typer.Option(help=PRESETS)] = DEFAULT,
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
    preset: Annotated[str, typer.Option(help=PRESETS)] = DEFAULT,
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
    programs: Annotated[int, typer.Option(help="How many.")] = 40,
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
    raised or a layer is refused. JSON keys: `configs passed programs coverage holes`, with --avatar
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
    from esca.accelerator.rtl.random_programs import overlap_config, random_programs, small_config
    from esca.accelerator.rtl.verify import verify

    config = None if preset is None else load_config(preset)
    built = PARTS if config is None else ()
    machines = {
        one.name: _built(one, simulator, unknown, built)
        for one in ((config,) if config else (small_config(), overlap_config()))
    }
    ran, rows = [], []
    with progress("Running") as update:
        for one in islice(random_programs(config, seed), programs):
            machine = machines[one.program.config.name]
            found = verify(machine, one.program, one.feeds, one.seed if stalls else None)
            ran.append(one.program)
            rows.append(
                {
                    "seed": one.seed,
                    "config": one.program.config.name,
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
            "configs": list(machines),
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
