"""The training loop, and its checkpoints that a run resumes from bit for bit."""

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from esca.avatars import Avatar, AvatarConfig, build_avatar
from esca.avatars.avatar import LOGSTD_SCALE
from esca.avatars.checkpoint import read_stored
from esca.captures import Capture
from esca.errors import EscaError
from esca.files import written_beside
from esca.training.config import TrainConfig
from esca.training.data import Batch, Statistics, TrainingData
from esca.training.step import Losses, batch_losses

FORMAT = "esca-training-1"
FREE_TO_CHANGE = ("device", "cache", "checkpoint_every")
"""Settings that a resumed run may change; they do not reach the result."""


class Record(NamedTuple):
    """What one step did; ``screen`` is None when that loss is off."""

    step: int
    total: float
    vertices: float
    texture: float
    screen: float | None
    kl: float
    rate: float


class Trainer:
    """An avatar in training.

    Samples, noise and learning rate are functions of the seed and the step's number, so that a
    checkpoint is no more than the avatar, Adam's state and the step. A resumed run ends in the same
    bits on one CPU with one number of threads; CUDA sums gradients in no fixed order.

    Parameters are held ``channels_last``, in which the CPU's convolutions are about twice as fast.
    """

    def __init__(self, capture: Capture, data: TrainingData, config: TrainConfig) -> None:
        self.config = config
        self.data = data
        self.device = _device(config.device)
        self.topology = capture.topology
        self.statistics = Statistics.of(capture, self.device, config.screen, config.texture_size)
        shape = AvatarConfig(
            variant=config.variant,
            texture_size=config.texture_size,
            latent=config.latent,
            vertices=capture.vertex_count,
            cameras=len(capture.cameras),
        )
        avatar = build_avatar(shape, config.seed)
        _start_code_at(avatar, config.first_std)
        avatar.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.avatar = avatar.to(self.device)
        self.optimizer = torch.optim.Adam(self.avatar.parameters(), config.rate, fused=True)
        self.step = 0

    def run(self, until: int) -> Iterator[Record]:
        """Take steps up to and with number ``until``; one record after each.

        EscaError naming the step if its loss is not finite; that step changes nothing.
        """
        with ThreadPoolExecutor(1) as reader:
            ahead = reader.submit(self._read, self.step + 1)
            while self.step < until:
                batch = ahead.result().to(self.device)
                if self.step + 1 < until:
                    ahead = reader.submit(self._read, self.step + 2)
                yield self._take(batch)

    def _read(self, step: int) -> Batch:
        return self.data.batch(self.data.picks(self.config.seed, step, self.config.batch))

    def _take(self, batch: Batch) -> Record:
        step, config = self.step + 1, self.config
        rate = config.rate_at(step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        losses = batch_losses(
            self.avatar, batch, self.statistics, self.topology, config, self._noise(step)
        )
        record = _record(step, losses, rate)
        if not math.isfinite(record.total):
            raise EscaError(
                f"training: the loss is {record.total} at step {step}, expected a finite value; "
                f"a rate below {config.rate:g} may help"
            )
        self.optimizer.zero_grad()
        losses.total.backward()
        torch.nn.utils.clip_grad_norm_(self.avatar.parameters(), config.clip)
        self.optimizer.step()
        self.step = step
        return record

    def _noise(self, step: int) -> Tensor:
        generator = torch.Generator().manual_seed((self.config.seed << 32) + step)
        noise = torch.randn(self.config.batch, self.config.latent, generator=generator)
        return noise.to(self.device)

    def save(self, path: Path) -> None:
        """Write a checkpoint to resume from."""
        with written_beside(path) as beside:
            torch.save(
                {
                    "format": FORMAT,
                    "config": asdict(self.config),
                    "step": self.step,
                    "avatar": self.avatar.state_dict(),
                    "optimizer": self.optimizer.state_dict(),
                },
                beside,
            )

    def restore(self, path: Path) -> None:
        """Go on from a checkpoint; EscaError if it is damaged or of a run with other settings."""
        stored = read_stored(path)
        if not isinstance(stored, dict) or stored.get("format") != FORMAT:
            raise EscaError(f"{path}: expected a training checkpoint ({FORMAT})")
        for field, value in asdict(self.config).items():
            found = stored["config"].get(field)
            if found != value and field not in FREE_TO_CHANGE:
                raise EscaError(
                    f"{path}: {field} is {found!r} in this run, {value!r} asked for; expected the "
                    "same settings to resume"
                )
        expected = self.avatar.state_dict()
        for name, tensor in stored["avatar"].items():
            if name not in expected or tensor.shape != expected[name].shape:
                raise EscaError(
                    f"{path}: {name} is of another avatar, expected the same capture to resume"
                )
        self.avatar.load_state_dict(stored["avatar"])
        self.optimizer.load_state_dict(stored["optimizer"])
        self.step = stored["step"]


def _device(name: str) -> torch.device:
    if name == "cuda" and not torch.cuda.is_available():
        raise EscaError("device: cuda was asked for, but there is no CUDA device")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def _start_code_at(avatar: Avatar, std: float) -> None:
    """Set the bias behind ``logstd`` so that the code's first standard deviation is ``std``."""
    with torch.no_grad():
        avatar.enc.fc.bias[avatar.latent :] = math.log(std) / LOGSTD_SCALE


def _record(step: int, losses: Losses, rate: float) -> Record:
    total, vertices, texture, screen, kl = (
        None if term is None else float(term.detach()) for term in losses
    )
    assert total is not None and vertices is not None and texture is not None and kl is not None
    return Record(step, total, vertices, texture, screen, kl, rate)
