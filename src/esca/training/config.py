"""How to train, as data, and the learning rate that follows from it."""

import math
from dataclasses import dataclass
from typing import Literal

from esca.avatars import Variant
from esca.errors import EscaError

FINAL_RATE = 0.01
"""Part of ``rate`` that the cosine schedule ends at."""


@dataclass(frozen=True)
class TrainConfig:
    """Settings of one training run; EscaError for a value outside its range.

    ``variant``, ``texture_size``, ``latent``: the avatar's shape; vertices and cameras come from
    the capture. ``steps``: optimizer steps in all. ``batch``: samples a step. ``rate``: Adam's
    learning rate; the default suits short runs, MultiFace takes 3e-4 for long ones.
    ``schedule``: ``cosine`` rises over ``warmup`` steps and falls to 1% at the last, which short
    runs need; ``constant`` only rises. ``clip``: largest norm of the gradient. ``seed``: first
    values, samples and noise.

    ``vertex_weight``, ``texture_weight``, ``screen_weight``, ``kl_weight``: of the four losses.
    ``screen_scale``: size of the pictures that the screen loss compares, as a part of the photo's;
    0 turns the screen loss off, and then no photos are read.
    ``first_std``: standard deviation of the code that training starts from. MultiFace starts from
    1, at which the noise drowns the code at first; short runs need less.

    ``device``: ``auto`` (CUDA where there is one), ``cpu`` or ``cuda``. ``cache``: keep textures in
    memory, 3 T^2 bytes each, once they have been read. ``checkpoint_every``: in steps.
    """

    variant: Variant = "base"
    texture_size: int = 512
    latent: int = 128
    steps: int = 2000
    batch: int = 4
    rate: float = 3e-3
    schedule: Literal["cosine", "constant"] = "cosine"
    warmup: int = 50
    clip: float = 1.0
    seed: int = 0
    vertex_weight: float = 1.0
    texture_weight: float = 1.0
    screen_weight: float = 1.0
    kl_weight: float = 0.01
    screen_scale: float = 0.125
    first_std: float = 0.1
    device: Literal["auto", "cpu", "cuda"] = "auto"
    cache: bool = True
    checkpoint_every: int = 500

    def __post_init__(self) -> None:
        for field in ("steps", "batch", "checkpoint_every"):
            self._need(field, getattr(self, field) >= 1, "at least 1")
        for field in ("rate", "clip", "first_std"):
            self._need(field, 0 < getattr(self, field) < math.inf, "a number above 0")
        self._need("seed", self.seed >= 0, "0 or more")
        for field in ("vertex_weight", "texture_weight", "screen_weight", "kl_weight", "warmup"):
            self._need(field, 0 <= getattr(self, field) < math.inf, "0 or more")
        self._need("screen_scale", 0 <= self.screen_scale <= 1, "a number from 0 to 1")
        self._need("schedule", self.schedule in ("cosine", "constant"), "cosine or constant")
        self._need("device", self.device in ("auto", "cpu", "cuda"), "auto, cpu or cuda")

    def _need(self, field: str, met: bool, expected: str) -> None:
        if not met:
            raise EscaError(f"{field}: expected {expected}, got {getattr(self, field)!r}")

    @property
    def screen(self) -> bool:
        """Whether the screen loss takes part."""
        return self.screen_scale > 0 and self.screen_weight > 0

    def rate_at(self, step: int) -> float:
        """Learning rate of a step, the first of which is 1."""
        rise = min(1.0, step / (self.warmup + 1))
        if self.schedule == "constant":
            return self.rate * rise
        done = max(0, step - self.warmup) / max(1, self.steps - self.warmup)
        fall = (1 + math.cos(math.pi * min(1.0, done))) / 2
        return self.rate * rise * (FINAL_RATE + (1 - FINAL_RATE) * fall)
