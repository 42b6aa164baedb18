"""The subject that comes with esca: a procedural head and an avatar trained on it."""

from datetime import datetime
from pathlib import Path

from esca.captures.layout import capture_name
from esca.errors import EscaError
from esca.subjects.procedural import procedural_subject
from esca.subjects.rig import studio_rig
from esca.subjects.segments import default_segments
from esca.subjects.studio import Progress, RecordConfig, record

SEED = 0
VERTICES = 2400
TEXTURE = 512
CAMERAS = 3
AVATAR = Path(__file__).with_name("avatar.safetensors")
"""Weights in half precision, made by ``make demo-avatar``."""


def demo_avatar() -> Path:
    """The embedded checkpoint."""
    if not AVATAR.is_file():
        raise EscaError(f"{AVATAR}: the embedded avatar is missing, make it with: make demo-avatar")
    return AVATAR


def record_demo(
    folder: Path, frames: int, workers: int | None = None, progress: Progress | None = None
) -> Path:
    """Record the embedded subject into a capture inside ``folder``; returns the capture's root."""
    subject = procedural_subject(SEED, VERTICES)
    root = folder / capture_name(subject.name, datetime(2026, 1, 1))
    config = RecordConfig(
        texture_size=TEXTURE,
        cameras=studio_rig(CAMERAS),
        segments=default_segments(frames, held_out=0.3, seed=SEED),
        workers=workers,
        replace=True,
    )
    record(subject, root, config, progress)
    return root
