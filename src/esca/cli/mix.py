"""``esca mix``: 4 and 8 bits mixed so that the picture loses least under a budget."""

from pathlib import Path
from typing import Annotated, get_args

import typer

from esca.accelerator import graph_workload, load_config, preset_names
from esca.accelerator.layer_cost import latency_cost
from esca.cli.console import Json, emit, progress, say
from esca.cli.protocol import (
    CalibrationFrames,
    Crop,
    Display,
    Frames,
    Regions,
    Scale,
    Seed,
    View,
    protocol_of,
)
from esca.errors import EscaError
from esca.quantization.calibration import CalibrationConfig
from esca.quantization.recipe import load_recipe
from esca.study import mix
from esca.study.mixed import COSTS, CostName, mixed_data


def mix_command(
    capture: Annotated[Path, typer.Argument(help="Capture to calibrate and judge on.")],
    avatar: Annotated[Path, typer.Argument(help="Checkpoint: .pth or .safetensors.")],
    folder: Annotated[Path, typer.Option("--out", help="Folder of recipe and front.")],
    budget: Annotated[
        float, typer.Option(help="Cost against that of all convolutions at w4a4.")
    ] = 1.5,
    cost: Annotated[
        str,
        typer.Option(
            help="macs (1 at 4 x 4 bits, 2 at 4 x 8, 4 at 8 x 8), bytes, or latency on --preset."
        ),
    ] = "macs",
    preset: Annotated[
        str, typer.Option(help=f"Accelerator: {', '.join(preset_names())}, or a YAML file.")
    ] = "esca-16x16",
    recipe: Annotated[str, typer.Option(help="A recipe by name, or a YAML file.")] = "ffas-uv",
    segments: Annotated[int, typer.Option(help="Training segments to judge on.")] = 3,
    calibration_frames: CalibrationFrames = 64,
    regions: Regions = None,
    seed: Seed = 0,
    crop: Crop = "head",
    view: View = None,
    scale: Scale = 0.5,
    frames: Frames = 8,
    display: Display = "standard_fhd",
    as_json: Json = False,
) -> None:
    """Measure what each layer's bits cost in the picture, and choose them under a budget.

    Only training segments are looked at. Leaves `recipe.yaml` (for `esca quantize --recipe`),
    `front.json` and `front.svg`. JSON keys: `budget units sensitivity front chosen measured`.
    """
    costs = {name: COSTS[name] for name in get_args(CostName)}
    start, accelerator = load_recipe(recipe, "w4a4"), load_config(preset)
    costs["latency"] = lambda graph: latency_cost(graph_workload(graph, start), accelerator)
    if cost not in costs:
        raise EscaError(f"--cost: {cost!r}, expected one of {', '.join(costs)}")
    protocol = protocol_of(view, scale, frames, "fp32", display, False, crop)
    with progress("Probing layers") as update:
        mixed = mix(
            capture,
            avatar,
            start,
            budget,
            folder,
            CalibrationConfig(frames=calibration_frames, seed=seed, regions=regions),
            protocol,
            costs[cost],
            segments,
            progress=update,
        )
    emit(mixed_data(mixed, budget), as_json)
    for name, (spent, loss) in mixed.measured.items():
        say(f"{name:10} cost {spent:.2f}  {loss.psnr:.2f} dB  {loss.jod:.3f} JOD", as_json)
    say(f"Wrote {folder / 'recipe.yaml'}, front.json and front.svg.", as_json)
