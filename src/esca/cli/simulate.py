"""``esca simulate``: what a frame costs on the accelerator."""

import datetime
import json
from pathlib import Path
from typing import Annotated

import typer

from esca.accelerator import (
    Workload,
    avatar_workload,
    chrome_trace,
    frame_data,
    frame_text,
    load_config,
    quantized_workload,
    time_workload,
)
from esca.accelerator.check import check_bit_identity
from esca.accelerator.program import is_program, load_program
from esca.cli.console import Json, emit, progress, say
from esca.errors import EscaError
from esca.files import written_beside
from esca.report.accelerator import build_accelerator_page, tell
from esca.runtime import load_artifact


def simulate_command(
    artifact: Annotated[
        Path | None,
        typer.Argument(help="Artifact, or program of `esca compile`; or give --avatar."),
    ] = None,
    avatar: Annotated[
        str | None, typer.Option(help="Shapes alone: base, res, non, bilinear or warp.")
    ] = None,
    texture: Annotated[int, typer.Option(help="With --avatar: side of the texture.")] = 1024,
    part: Annotated[str, typer.Option(help="texture, decoder or encoder.")] = "decoder",
    bits: Annotated[str, typer.Option(help="With --avatar: bits of convolutions.")] = "w4a4",
    preset: Annotated[str, typer.Option(help="Preset or YAML file.")] = "esca-16x16",
    trace: Annotated[
        Path | None, typer.Option(help="Write the timeline here, in the Chrome trace format.")
    ] = None,
    page: Annotated[
        Path | None, typer.Option(help="Write a page with plots and comparisons here.")
    ] = None,
    execute: Annotated[
        int, typer.Option(help="Also execute this many frames of random codes, bit for bit.")
    ] = 0,
    seed: Annotated[int, typer.Option(help="With --execute: seed of the codes.")] = 0,
    as_json: Json = False,
) -> None:
    """Time one frame: cycles, utilization, DRAM traffic and energy, by layer.

    JSON keys: `cycles latency_ms useful_utilization occupied_utilization dram_bytes energy_uj` and
    `layers` with the same.
    """
    config = load_config(preset)
    if artifact is not None and is_program(artifact):
        workload = load_program(artifact, config).workload
    else:
        workload = _workload(artifact, avatar, texture, part, bits)
    frame = time_workload(workload, config)
    if trace is not None:
        with written_beside(trace) as beside:
            beside.write_text(json.dumps(chrome_trace(frame)))
    emit(frame_data(frame), as_json)
    say(frame_text(frame), as_json)
    if execute:
        if artifact is None or part != "decoder" or is_program(artifact):
            raise EscaError("simulate: --execute takes an artifact and its whole decoder")
        count = check_bit_identity(load_artifact(artifact).quantized, config, execute, seed)
        say(f"bit-identical to the integer runtime over {count} frames", as_json)
    if page is not None:
        with progress("Comparing") as update:
            story = tell(workload, config, update)
        build_accelerator_page(story, page, datetime.date.today().isoformat())
        say(f"Wrote {page}.", as_json)


def _workload(
    artifact: Path | None, avatar: str | None, texture: int, part: str, bits: str
) -> Workload:
    if (artifact is None) == (avatar is None):
        raise EscaError("simulate: expected either an artifact or --avatar")
    if avatar is not None:
        return avatar_workload(avatar, texture, part, bits)
    assert artifact is not None
    if part not in ("texture", "decoder"):
        raise EscaError(f"part: {part!r}, expected texture or decoder, which an artifact holds")
    workload = quantized_workload(load_artifact(artifact).quantized, artifact.name)
    return workload.texture_part() if part == "texture" else workload
