"""The list of a capture's frames: ``frame_list.txt``."""

from collections.abc import Iterable
from pathlib import Path

from esca.captures.layout import FrameId
from esca.captures.plain import read_text
from esca.errors import EscaError


def parse_frame_list(text: str) -> tuple[tuple[FrameId, ...], tuple[str, ...]]:
    """Frames in file order, repetitions kept, and one message for each line that is wrong."""
    frames, problems = [], []
    for number, line in enumerate(text.splitlines(), start=1):
        match line.split():
            case []:
                continue
            case [segment, frame] if frame.isdecimal():
                frames.append(FrameId(segment, frame))
            case _:
                problems.append(f"line {number}: {line[:60]!r}, expected 'SEGMENT 000102'")
    if not frames and not problems:
        problems.append("holds no frames")
    return tuple(frames), tuple(problems)


def ordered(frames: Iterable[FrameId]) -> tuple[FrameId, ...]:
    """Each frame once: segments by name, frames inside a segment by number.

    The files on disk are unsorted and their order means nothing, so sorting gives two lists with
    the same lines the same frames.
    """
    return tuple(sorted(set(frames), key=lambda f: (f.segment, int(f.frame), f.frame)))


def read_frame_list(path: Path) -> tuple[FrameId, ...]:
    """Frames in the order of ``ordered``. ``EscaError`` at the first wrong line."""
    frames, problems = parse_frame_list(read_text(path))
    if problems:
        raise EscaError(f"{path}: {problems[0]}")
    return ordered(frames)


def write_frame_list(path: Path, frames: Iterable[FrameId]) -> None:
    """Write ``SEGMENT FRAME`` lines in the given order."""
    path.write_text("".join(f"{f.segment} {f.frame}\n" for f in frames), encoding="utf-8")


def by_segment(frames: Iterable[FrameId]) -> dict[str, tuple[FrameId, ...]]:
    """Frames of each segment, both in the given order."""
    groups: dict[str, list[FrameId]] = {}
    for frame in frames:
        groups.setdefault(frame.segment, []).append(frame)
    return {segment: tuple(members) for segment, members in groups.items()}
