"""What one segment of a capture holds, and what of it is missing or broken."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from esca.captures.layout import AVERAGE, FrameId, Layout, stems
from esca.captures.plain import read_float32, read_numbers, read_png
from esca.captures.problems import Problems
from esca.captures.reader import read_texture

_LOOKED_AT = 3
"""Images of a kind decoded in each segment, unless every one is asked for."""


@dataclass(frozen=True)
class Expected:
    """What the capture's own head files promise; None where they could not be read."""

    cameras: tuple[str, ...]
    vertex_values: int | None
    texture_size: int | None
    photo_size: tuple[int, int]
    has_photos: bool


@dataclass
class SegmentCheck:
    """Counts of one segment: ``samples``, ``photos`` and dropped ones."""

    samples: int = 0
    photos: int = 0
    dropped_frames: int = 0
    dropped_samples: int = 0
    frames_without_samples: int = 0
    _seen: dict[str, set[str]] = field(default_factory=dict)

    def run(
        self,
        layout: Layout,
        frames: Sequence[FrameId],
        expected: Expected,
        problems: Problems,
        deep: bool,
    ) -> None:
        """Look at every file name, every mesh, and at a few images (``deep``: at all)."""
        segment = frames[0].segment
        self.dropped_frames = dropped(frames)
        self._list(layout, segment, expected, problems)
        self._count(layout, frames, expected, problems)
        self._meshes(layout, frames, expected, problems)
        self._textures(layout, frames, expected, problems, deep)
        if expected.has_photos:
            self._photos(layout, frames, expected, problems, deep)

    def _list(self, layout: Layout, segment: str, expected: Expected, problems: Problems) -> None:
        folder = layout.textures / segment
        for camera in (AVERAGE, *expected.cameras):
            self._seen[camera] = stems(folder / camera, ".png")
        present = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
        strays = sorted(present - {AVERAGE, *expected.cameras})
        problems.several("warning", folder, "entries that are no camera of the KRT", strays)

    def _count(
        self, layout: Layout, frames: Sequence[FrameId], expected: Expected, problems: Problems
    ) -> None:
        average, headless = self._seen[AVERAGE], []
        for _, frame in frames:
            views = sum(frame in self._seen[camera] for camera in expected.cameras)
            if frame in average and views:
                self.samples += views
                self.dropped_samples += len(expected.cameras) - views
                continue
            self.frames_without_samples += 1
            if views:
                headless.append(frame)
        folder = layout.texture_folder(frames[0].segment, AVERAGE)
        problems.several(
            "warning", folder, "frames have camera textures but no average", headless, len(frames)
        )

    def _meshes(
        self, layout: Layout, frames: Sequence[FrameId], expected: Expected, problems: Problems
    ) -> None:
        folder = layout.mesh_folder(frames[0].segment)
        binaries, objs = stems(folder, ".bin"), stems(folder, ".obj")
        empty, bare = [], []
        for frame in frames:
            if frame.frame in binaries:
                problems.attempt(read_float32, layout.vertices(frame), expected.vertex_values)
                problems.attempt(read_numbers, layout.transform(frame), (3, 4))
                if frame.frame not in objs:
                    bare.append(frame.frame)
            elif any(frame.frame in names for names in self._seen.values()):
                problems.add("error", layout.vertices(frame), "missing, but the frame has textures")
            else:
                empty.append(frame.frame)
        total = len(frames)
        problems.several("warning", folder, "listed frames have no data", empty, total)
        problems.several(
            "warning", folder, "frames have no obj, which the dataset's own reader may want", bare
        )
        unlisted = sorted(binaries - {frame.frame for frame in frames})
        problems.several("warning", folder, "meshes are not in the frame list", unlisted)

    def _textures(
        self,
        layout: Layout,
        frames: Sequence[FrameId],
        expected: Expected,
        problems: Problems,
        deep: bool,
    ) -> None:
        average = [
            layout.texture(frame, AVERAGE) for frame in frames if frame.frame in self._seen[AVERAGE]
        ]
        others = [
            layout.texture(frame, camera)
            for frame in frames
            for camera in expected.cameras
            if frame.frame in self._seen[camera]
        ]
        for path in (*looked_at(average, deep), *looked_at(others, deep)):
            problems.attempt(read_texture, path, expected.texture_size)

    def _photos(
        self,
        layout: Layout,
        frames: Sequence[FrameId],
        expected: Expected,
        problems: Problems,
        deep: bool,
    ) -> None:
        segment = frames[0].segment
        paths = []
        for camera in expected.cameras:
            there = stems(layout.photo_folder(segment, camera), ".png")
            wanted = [f.frame for f in frames if f.frame in self._seen[camera]]
            problems.several(
                "warning",
                layout.photo_folder(segment, camera),
                "textures have no photo",
                [frame for frame in wanted if frame not in there],
                len(wanted),
            )
            paths += [layout.photo(f, camera) for f in frames if f.frame in there]
        self.photos = len(paths)
        for path in looked_at(paths, deep):
            photo = problems.attempt(read_png, path)
            if photo is not None and photo.shape[:2] != expected.photo_size:
                rows, columns = photo.shape[:2]
                problems.add(
                    "error", path, f"{rows} x {columns} pixels, expected {expected.photo_size}"
                )


def dropped(frames: Sequence[FrameId]) -> int:
    """Frame numbers missing between the first and the last, at the segment's most common step."""
    numbers = [int(frame.frame) for frame in frames]
    steps = [b - a for a, b in pairwise(numbers) if b > a]
    if not steps:
        return 0
    usual = Counter(steps).most_common(1)[0][0]
    return sum(max(round(step / usual) - 1, 0) for step in steps)


def looked_at(paths: Sequence[Path], deep: bool) -> Sequence[Path]:
    """All paths, or the first, the middle and the last."""
    if deep or len(paths) <= _LOOKED_AT:
        return paths
    last = len(paths) - 1
    return [paths[index * last // (_LOOKED_AT - 1)] for index in range(_LOOKED_AT)]
