"""A whole training run in a folder: avatar, log and checkpoint."""

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path

from esca.avatars import Avatar, save_avatar
from esca.captures import Capture
from esca.errors import EscaError
from esca.files import written_beside
from esca.training.config import TrainConfig
from esca.training.data import TrainingData
from esca.training.trainer import Trainer

AVATAR = "avatar.pth"
LOG = "log.jsonl"
CHECKPOINT = "checkpoint.pt"


def train(
    capture: Capture,
    config: TrainConfig,
    folder: Path | str,
    *,
    cameras: Iterable[str] | None = None,
    resume: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Avatar:
    """Train on the capture's training segments; returns the avatar on the CPU.

    ``cameras``: ids to train on (default all). Writes into ``folder``: ``avatar.pth`` at the end,
    in the public form; ``checkpoint.pt`` every ``config.checkpoint_every`` steps and at the end;
    ``log.jsonl``, first the settings (``screen`` says whether the screen loss took part), then a
    line a step with its losses, learning rate and seconds since the run began or was resumed.
    With ``resume`` the run goes on from ``checkpoint.pt``. EscaError if there already is one
    without ``resume`` or none with it, and for everything that the capture or the settings miss.
    """
    folder = Path(folder)
    checkpoint, log = folder / CHECKPOINT, folder / LOG
    if resume and not checkpoint.is_file():
        raise EscaError(f"{checkpoint}: no such checkpoint to resume from")
    if not resume and checkpoint.exists():
        raise EscaError(f"{checkpoint}: a run is here already, expected resume or a new folder")
    scale = config.screen_scale if config.screen else 0.0
    data = TrainingData(capture, cameras, scale, config.cache)
    trainer = Trainer(capture, data, config)
    if resume:
        trainer.restore(checkpoint)
    folder.mkdir(parents=True, exist_ok=True)
    _begin_log(log, config, trainer.step)
    began = time.monotonic()
    with log.open("a", encoding="utf-8") as stream:
        for record in trainer.run(config.steps):
            line = {**record._asdict(), "seconds": round(time.monotonic() - began, 3)}
            stream.write(json.dumps(line) + "\n")
            if record.step % config.checkpoint_every == 0 or record.step == config.steps:
                stream.flush()
                trainer.save(checkpoint)
            if progress is not None:
                progress(record.step, config.steps)
    avatar = trainer.avatar.cpu()
    save_avatar(avatar, folder / AVATAR)
    return avatar


def _begin_log(log: Path, config: TrainConfig, step: int) -> None:
    """A fresh log, or one without the steps that come after ``step`` and are to be taken again."""
    lines = log.read_text("utf-8").splitlines() if step and log.is_file() else []
    first = json.dumps({"config": asdict(config), "screen": config.screen})
    kept = [line for line in lines[1:] if json.loads(line)["step"] <= step]
    with written_beside(log) as beside:
        beside.write_text("\n".join([first, *kept]) + "\n", encoding="utf-8")
