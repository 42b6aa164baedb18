"""What is in a capture, and what is missing or broken: every finding, not the first one."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from esca.captures.check_segment import Expected, SegmentCheck
from esca.captures.frames import by_segment, ordered, parse_frame_list
from esca.captures.krt import parse_krt
from esca.captures.layout import FrameId, Layout, stems
from esca.captures.obj import read_obj
from esca.captures.plain import read_text, read_variance
from esca.captures.problems import Problem, Problems
from esca.captures.reader import first_obj, photo_size, read_map, read_texture, read_vertex_mean
from esca.captures.rig import Rig, rig_of
from esca.errors import EscaError

_LINES = 10
"""Wrong lines of one text file that are told one by one."""


@dataclass(frozen=True)
class CaptureReport:
    """What a capture holds. Counts of what could not be read are None.

    ``segments``: listed frames of each. ``samples``: pairs of frame and camera that can be used.
    ``dropped_frames``: frame numbers skipped inside segments. ``frames_without_samples``: listed,
    but with no usable texture. ``dropped_samples``: cameras missing from frames that have others.
    ``photos``: files (0 where the capture has none). ``deep``: whether every image was decoded.
    """

    root: str
    subject: str
    rig: Rig
    cameras: tuple[str, ...]
    segments: dict[str, int]
    frames: int
    samples: int
    dropped_frames: int
    frames_without_samples: int
    dropped_samples: int
    texture_size: int | None
    vertices: int | None
    triangles: int | None
    photos: int
    regions: tuple[str, ...]
    loss_weight: bool
    audio: int
    deep: bool
    problems: tuple[Problem, ...]

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The findings that break reading."""
        return tuple(problem for problem in self.problems if problem.severity == "error")

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON, with ``ok``: whether there are no errors."""
        return {**asdict(self), "ok": not self.errors}


def check_capture(
    root: Path | str, *, deep: bool = False, progress: Callable[[int, int], None] | None = None
) -> CaptureReport:
    """Look at a capture: all file names, all meshes, and a few images of every segment.

    ``deep`` decodes every image. ``progress(done, total)`` counts segments. ``EscaError`` only
    where there is no folder at all.
    """
    layout = Layout(Path(root))
    if not layout.root.is_dir():
        raise EscaError(f"{root}: no such folder, expected a capture")
    problems = Problems(layout.root)
    frames = _frames(layout, problems)
    cameras = _cameras(layout, problems)
    texture_size, vertex_values = _statistics(layout, problems)
    vertices, triangles = _topology(layout, frames, vertex_values, problems)
    expected = Expected(
        cameras=cameras,
        vertex_values=vertex_values,
        texture_size=texture_size,
        photo_size=photo_size(layout, frames),
        has_photos=layout.photos.is_dir(),
    )
    checks = []
    segments = by_segment(frames)
    for done, members in enumerate(segments.values(), start=1):
        checks.append(SegmentCheck())
        checks[-1].run(layout, members, expected, problems, deep)
        if progress is not None:
            progress(done, len(segments))
    regions = tuple(sorted(stems(layout.regions, ".png")))
    _maps(layout, regions, texture_size, problems)
    _strays(layout, set(segments), problems)
    samples = sum(check.samples for check in checks)
    if frames and cameras and not samples:
        problems.add("error", layout.textures, "no frame has both an average and a camera texture")
    return CaptureReport(
        root=str(root),
        subject=layout.subject,
        rig=rig_of(cameras),
        cameras=cameras,
        segments={segment: len(members) for segment, members in segments.items()},
        frames=len(frames),
        samples=samples,
        dropped_frames=sum(check.dropped_frames for check in checks),
        frames_without_samples=sum(check.frames_without_samples for check in checks),
        dropped_samples=sum(check.dropped_samples for check in checks),
        texture_size=texture_size,
        vertices=vertices,
        triangles=triangles,
        photos=sum(check.photos for check in checks),
        regions=regions,
        loss_weight=layout.loss_weight.is_file(),
        audio=len(stems(layout.audio, ".wav")),
        deep=deep,
        problems=tuple(problems.found),
    )


def _frames(layout: Layout, problems: Problems) -> tuple[FrameId, ...]:
    text = problems.attempt(read_text, layout.frame_list)
    listed, wrong = parse_frame_list(text) if text is not None else ((), ())
    _tell_lines(layout.frame_list, wrong, problems)
    frames = ordered(listed)
    if len(frames) < len(listed):
        problems.add("warning", layout.frame_list, f"{len(listed) - len(frames)} repeated lines")
    if len(frames) == 1:
        problems.add(
            "warning", layout.frame_list, "one frame only: the dataset's own reader needs two"
        )
    return frames


def _cameras(layout: Layout, problems: Problems) -> tuple[str, ...]:
    text = problems.attempt(read_text, layout.krt)
    cameras, wrong = parse_krt(text) if text is not None else ((), ())
    _tell_lines(layout.krt, wrong, problems)
    return tuple(camera.id for camera in cameras)


def _tell_lines(path: Path, wrong: Sequence[str], problems: Problems) -> None:
    for message in wrong[:_LINES]:
        problems.add("error", path, message)
    if len(wrong) > _LINES:
        problems.add("error", path, f"{len(wrong) - _LINES} more lines like these")


def _statistics(layout: Layout, problems: Problems) -> tuple[int | None, int | None]:
    """Texture size and number of vertex values."""
    mean = problems.attempt(read_texture, layout.texture_mean)
    vertices = problems.attempt(read_vertex_mean, layout.vertex_mean)
    for path in (layout.texture_variance, layout.vertex_variance):
        problems.attempt(read_variance, path)
    return None if mean is None else len(mean), None if vertices is None else vertices.size


def _topology(
    layout: Layout, frames: Sequence[FrameId], values: int | None, problems: Problems
) -> tuple[int | None, int | None]:
    """Vertices and triangles of the first obj."""
    if not frames:
        return None, None
    path = problems.attempt(lambda _: first_obj(layout, frames), layout.meshes)
    mesh = None if path is None else problems.attempt(read_obj, path)
    if path is None or mesh is None:
        return (None if values is None else values // 3), None
    vertices, topology = mesh
    if values not in (None, vertices.size):
        problems.add(
            "error", path, f"has {len(vertices)} vertices, but vert_mean.bin holds {values} values"
        )
    return len(vertices), len(topology.faces)


def _maps(layout: Layout, regions: Sequence[str], size: int | None, problems: Problems) -> None:
    if size is None:
        return
    for name in regions:
        problems.attempt(read_map, layout.region(name), size)
    if layout.loss_weight.is_file():
        problems.attempt(read_map, layout.loss_weight, size)


def _strays(layout: Layout, segments: set[str], problems: Problems) -> None:
    strays = sorted(path.name for path in layout.root.iterdir() if path.name not in layout.entries)
    problems.several("warning", layout.root, "entries do not belong to the format", strays)
    for folder in (layout.meshes, layout.textures, layout.photos):
        if folder.is_dir():
            others = sorted({path.name for path in folder.iterdir()} - segments)
            problems.several("warning", folder, "entries are no listed segment", others)
