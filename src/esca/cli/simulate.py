"""``esca simulate``: what a frame costs on the accelerator."""

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
from esca.cli.console import Json, emit, say
from esca.errors import EscaError
from esca.files import written_beside
from esca.runtime import load_artifact


def simulate_command(
    artifact: Annotated[
        Path | None, typer.Argument(help="Artifact of `esca quantize`; or give --avatar.")
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
    as_json: Json = False,
) -> None:
    """Time one frame: cycles, utilization and DRAM traffic, by layer.

    JSON keys: `cycles latency_ms useful_utilization occupied_utilization dram_bytes` and `layers`
    with the same.
    """
    frame = time_workload(_workload(artifact, avatar, texture, part, bits), load_config(preset))
    if trace is not None:
        with written_beside(trace) as beside:
            beside.write_text(json.dumps(chrome_trace(frame)))
    emit(frame_data(frame), as_json)
    say(frame_text(frame), as_json)


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
