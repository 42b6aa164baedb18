"""``esca simulate``: what a frame costs on the accelerator."""

import datetime
import json
from pathlib import Path
from typing import Annotated, Any

import typer

from esca.accelerator import (
    AcceleratorConfig,
    Workload,
    avatar_workload,
    chrome_trace,
    frame_data,
    frame_text,
    load_config,
    preset_names,
    quantized_workload,
    time_workload,
)
from esca.accelerator.check import check_bit_identity, held_out_codes, random_codes
from esca.accelerator.program import is_program, load_program
from esca.avatars import load_avatar
from esca.captures.reader import open_capture
from esca.cli.console import Json, emit, progress, say
from esca.errors import EscaError
from esca.files import written_beside
from esca.report.accelerator import build_accelerator_page, tell
from esca.runtime import load_artifact

DEFAULT_PRESET = "esca-16x16"


def simulate_command(
    artifact: Annotated[
        Path | None,
        typer.Argument(help="Artifact of `esca quantize` or program of `esca compile`."),
    ] = None,
    avatar: Annotated[
        str | None,
        typer.Option(help="Instead of a file, shapes alone: base, res, non, bilinear or warp."),
    ] = None,
    texture: Annotated[
        int | None, typer.Option(help="With --avatar: side of the texture; 1024 if not given.")
    ] = None,
    bits: Annotated[
        str | None, typer.Option(help="With --avatar: bits of convolutions; w4a4 if not given.")
    ] = None,
    part: Annotated[
        str, typer.Option(help="texture, decoder or, with --avatar, encoder.")
    ] = "decoder",
    preset: Annotated[
        str | None,
        typer.Option(
            help=f"{', '.join(preset_names())}, or a YAML file; if not given, that of the "
            f"program, else {DEFAULT_PRESET}."
        ),
    ] = None,
    trace: Annotated[
        Path | None, typer.Option(help="Write the timeline here, in the Chrome trace format.")
    ] = None,
    page: Annotated[
        Path | None, typer.Option(help="Write a page with plots and comparisons here.")
    ] = None,
    execute: Annotated[
        bool,
        typer.Option(
            "--execute",
            help="Also execute an artifact on frames and hold every output integer against the "
            "integer runtime; needs --capture and --checkpoint, or --random-codes.",
        ),
    ] = False,
    capture: Annotated[
        Path | None, typer.Option(help="With --execute: frames of its held-out segments.")
    ] = None,
    checkpoint: Annotated[
        Path | None, typer.Option(help="With --execute: fp32 avatar that encodes the frames.")
    ] = None,
    random: Annotated[
        bool, typer.Option("--random-codes", help="With --execute: normal noise instead of frames.")
    ] = False,
    frames: Annotated[int, typer.Option(help="With --execute: how many frames.")] = 4,
    seed: Annotated[int, typer.Option(help="With --random-codes: seed.")] = 0,
    as_json: Json = False,
) -> None:
    """Time one frame: cycles, utilization, DRAM traffic and energy, by layer.

    JSON keys: `cycles latency_ms useful_utilization occupied_utilization dram_bytes energy_uj` and
    `layers` with the same; with --execute also `bit_identity` (`frames values codes`).
    """
    asked = None if preset is None else load_config(preset)
    if artifact is not None and is_program(artifact):
        if execute:
            raise EscaError("simulate: --execute takes an artifact, which it compiles itself")
        program = load_program(artifact, asked)
        config, workload = program.config, program.workload
    else:
        config = asked or load_config(DEFAULT_PRESET)
        workload = _workload(artifact, avatar, texture, part, bits)
    if execute:
        _check_execution(artifact, part, capture, checkpoint, random)
    frame = time_workload(workload, config)
    if trace is not None:
        with written_beside(trace) as beside:
            beside.write_text(json.dumps(chrome_trace(frame)))
    data = frame_data(frame)
    say(frame_text(frame), as_json)
    if execute:
        assert artifact is not None
        data["bit_identity"] = _execute(artifact, config, capture, checkpoint, frames, seed)
        say(_identity_text(data["bit_identity"]), as_json)
    if page is not None:
        with progress("Comparing") as update:
            story = tell(workload, config, update)
        build_accelerator_page(story, page, datetime.date.today().isoformat())
        say(f"Wrote {page}.", as_json)
    if trace is not None:
        say(f"Wrote {trace}; open it in ui.perfetto.dev or chrome://tracing.", as_json)
    emit(data, as_json)


def _workload(
    artifact: Path | None, avatar: str | None, texture: int | None, part: str, bits: str | None
) -> Workload:
    if (artifact is None) == (avatar is None):
        raise EscaError("simulate: expected either an artifact or --avatar")
    if avatar is not None:
        return avatar_workload(avatar, texture or 1024, part, bits or "w4a4")
    assert artifact is not None
    for name, value in (("--texture", texture), ("--bits", bits)):
        if value is not None:
            raise EscaError(f"simulate: {name} goes with --avatar, {artifact} has its own")
    return quantized_workload(load_artifact(artifact).quantized, artifact.name, part)


def _check_execution(
    artifact: Path | None, part: str, capture: Path | None, checkpoint: Path | None, random: bool
) -> None:
    if artifact is None or part != "decoder":
        raise EscaError("simulate: --execute takes an artifact and its whole decoder")
    if random == (capture is not None) or (capture is None) != (checkpoint is None):
        raise EscaError(
            "simulate: --execute takes its frames from --capture and --checkpoint, or noise with "
            "--random-codes"
        )


def _execute(
    artifact: Path,
    config: AcceleratorConfig,
    capture: Path | None,
    checkpoint: Path | None,
    frames: int,
    seed: int,
) -> dict[str, Any]:
    """Frames, output integers compared, and where the codes are from."""
    quantized = load_artifact(artifact).quantized
    if capture is None or checkpoint is None:
        feeds, codes = random_codes(quantized, frames, seed), f"random codes, seed {seed}"
    else:
        opened = open_capture(capture)
        feeds = held_out_codes(load_avatar(checkpoint), opened, frames)
        codes = f"held-out frames of {opened.root.name}"
    with progress("Executing") as update:
        values = check_bit_identity(quantized, config, feeds, update)
    return {"frames": len(feeds["z"]), "values": values, "codes": codes}


def _identity_text(found: dict[str, Any]) -> str:
    return (
        f"bit-identical to the integer runtime: {found['frames']} frames ({found['codes']}), "
        f"{found['values']:,} output integers compared"
    )
