"""``esca train``: an avatar from a capture."""

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from esca.captures.reader import open_capture
from esca.cli.console import Json, emit, progress, say
from esca.training import TrainConfig, train
from esca.training.train import AVATAR, LOG

_DEFAULT = TrainConfig()


def train_command(
    capture: Annotated[Path, typer.Argument(help="Capture to train on (its training segments).")],
    folder: Annotated[Path, typer.Argument(help="Run folder: avatar.pth, checkpoint and log.")],
    variant: Annotated[
        Literal["base", "res", "non", "bilinear", "warp"], typer.Option(help="Architecture.")
    ] = _DEFAULT.variant,
    texture: Annotated[int, typer.Option(help="Texture side; 0 takes the capture's.")] = 0,
    latent: Annotated[int, typer.Option(help="Length of the code.")] = _DEFAULT.latent,
    steps: Annotated[int, typer.Option(help="Optimizer steps in all.")] = _DEFAULT.steps,
    batch: Annotated[int, typer.Option(help="Samples a step.")] = _DEFAULT.batch,
    rate: Annotated[float, typer.Option(help="Adam's learning rate.")] = _DEFAULT.rate,
    screen_scale: Annotated[
        float, typer.Option(help="Size of the photos in the screen loss; 0 turns it off.")
    ] = 0.0,
    camera: Annotated[
        list[str] | None, typer.Option(help="Camera to train on; repeat; default all.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of first values, samples and noise.")] = 0,
    device: Annotated[Literal["auto", "cpu", "cuda"], typer.Option(help="Where.")] = "auto",
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on from the folder's checkpoint, to the same result."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Train an avatar with MultiFace's losses (vertices, texture, screen, KL).

    The screen loss needs photos in the capture. JSON keys: `path variant texture latent steps
    losses` (of the last step) `seconds`.
    """
    opened = open_capture(capture)
    config = TrainConfig(
        variant=variant,
        texture_size=texture or opened.texture_size,
        latent=latent,
        steps=steps,
        batch=batch,
        rate=rate,
        screen_scale=screen_scale,
        seed=seed,
        device=device,
    )
    with progress("Training") as update:
        train(opened, config, folder, cameras=camera, resume=resume, progress=update)
    last = json.loads((folder / LOG).read_text().splitlines()[-1])
    losses = {name: last[name] for name in ("total", "vertices", "texture", "screen", "kl")}
    emit(
        {
            "path": str(folder / AVATAR),
            "variant": variant,
            "texture": config.texture_size,
            "latent": latent,
            "steps": last["step"],
            "losses": losses,
            "seconds": last["seconds"],
        },
        as_json,
    )
    told = ", ".join(f"{name} {value:.4g}" for name, value in losses.items() if value is not None)
    say(f"Wrote {folder / AVATAR} after {last['step']} steps: {told}.", as_json)
