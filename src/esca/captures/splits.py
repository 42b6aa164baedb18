"""What is trained on and what is kept for testing: camera split files and held-out segments."""

import json
from collections.abc import Collection
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from esca.captures.layout import FrameId
from esca.captures.plain import read_text
from esca.captures.reader import Capture
from esca.errors import EscaError
from esca.files import written_beside


@dataclass(frozen=True)
class CameraSplit:
    """Camera ids to train on, to test on, and to make pictures of.

    They may overlap: published splits train and test on the same cameras, other segments.
    """

    train: tuple[str, ...]
    test: tuple[str, ...]
    visual: tuple[str, ...]


def read_camera_split(path: Path, cameras: Collection[str] | None = None) -> CameraSplit:
    """Read ``{"full": {"train": [...], "test": [...], "visual": [...]}}``.

    ``cameras``: ids of the rig, to which every id must belong. ``EscaError`` names the field.
    """
    path = Path(path)
    try:
        content = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise EscaError(f"{path}: not JSON ({error})") from error
    full = content.get("full") if isinstance(content, dict) else None
    if not isinstance(full, dict):
        raise EscaError(f'{path}: expected {{"full": {{"train": [], "test": [], "visual": []}}}}')
    lists = {field.name: _ids(path, field.name, full) for field in fields(CameraSplit)}
    for name, ids in lists.items():
        unknown = [id for id in ids if cameras is not None and id not in cameras]
        if unknown:
            raise EscaError(f"{path}: full.{name} names camera {unknown[0]!r}, not in the rig")
    return CameraSplit(**lists)


def _ids(path: Path, name: str, full: dict[str, object]) -> tuple[str, ...]:
    ids = full.get(name)
    if not isinstance(ids, list) or not all(isinstance(id, str) for id in ids):
        raise EscaError(f"{path}: full.{name}: expected a list of camera ids, as strings")
    if len(set(ids)) != len(ids):
        twice = next(id for id in ids if ids.count(id) > 1)
        raise EscaError(f"{path}: full.{name} names camera {twice!r} twice")
    if not ids and name != "visual":
        raise EscaError(f"{path}: full.{name} is empty, expected at least one camera id")
    return tuple(ids)


def write_camera_split(path: Path, split: CameraSplit) -> None:
    """Write a camera split file."""
    with written_beside(Path(path)) as beside:
        beside.write_text(json.dumps({"full": asdict(split)}, indent=2) + "\n", encoding="utf-8")


def split_segments(capture: Capture) -> tuple[tuple[FrameId, ...], tuple[FrameId, ...]]:
    """Frames to train on and held-out frames, by the rig's held-out segment prefixes.

    Either may be empty: a capture without such a segment holds out nothing.
    """
    held = capture.held_out_prefixes
    return (
        tuple(f for f in capture.frames if not f.segment.startswith(held)),
        tuple(f for f in capture.frames if f.segment.startswith(held)),
    )
