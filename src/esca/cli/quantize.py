"""``esca quantize``: a float avatar to an integer artifact."""

from pathlib import Path
from typing import Annotated

import typer

from esca.avatars import load_avatar
from esca.captures.reader import open_capture
from esca.cli.console import Json, emit, progress, say
from esca.cli.protocol import CalibrationFrames, Regions, Seed
from esca.quantization.calibration import CalibrationConfig, calibrate
from esca.quantization.recipe import load_recipe, recipe_names
from esca.runtime.artifact import artifact_bytes, load_artifact, quantized_artifact, save_artifact


def quantize_command(
    capture: Annotated[Path, typer.Argument(help="Capture to calibrate on.")],
    avatar: Annotated[Path, typer.Argument(help="Checkpoint: .pth or .safetensors.")],
    out: Annotated[Path, typer.Argument(help="Artifact to write, by convention *.esca.")],
    recipe: Annotated[
        str, typer.Option(help=f"{', '.join(recipe_names())}, or a YAML file.")
    ] = "ffas-uv",
    bits: Annotated[
        str | None, typer.Option(help="Bits of the convolutions, such as w4a4 or w8a8.")
    ] = None,
    frames: CalibrationFrames = 64,
    regions: Regions = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Quantize an avatar's decoder to true integers.

    A recipe that distills keeps its state beside OUT (`*.lesson`): the same command goes on where
    an interrupted one stopped.

    JSON keys: `path recipe bits file_bytes bytes` (by part) `calibration_frames`.
    """
    chosen = load_recipe(recipe, bits)
    config = CalibrationConfig(frames=frames, seed=seed, regions=regions)
    opened = open_capture(capture)
    with progress("Calibrating") as update:
        calibration = calibrate(load_avatar(avatar), opened, config, update, [chosen])
    with progress("Quantizing") as update:
        lesson = out.with_name(f"{out.name}.lesson")
        artifact = quantized_artifact(calibration, chosen, avatar, opened.root.name, update, lesson)
    save_artifact(artifact, out)
    parts = artifact_bytes(load_artifact(out).quantized)
    emit(
        {
            "path": str(out),
            "recipe": chosen.name,
            "bits": chosen.label,
            "file_bytes": out.stat().st_size,
            "bytes": parts,
            "calibration_frames": calibration.statistics.frames,
        },
        as_json,
    )
    say(
        f"Wrote {out}: {chosen.name} {chosen.label}, {out.stat().st_size / 1e6:.2f} MB "
        f"({', '.join(f'{name} {size / 1e6:.2f}' for name, size in parts.items())}).",
        as_json,
    )
