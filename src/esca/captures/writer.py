"""Writing captures that the dataset's own reader accepts unchanged."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from esca.captures.frames import by_segment, ordered, write_frame_list
from esca.captures.geometry import Camera, FloatArray, Topology
from esca.captures.krt import write_krt
from esca.captures.layout import AVERAGE, FrameId, Layout, SampleId, stems
from esca.captures.obj import topology_text, vertex_text
from esca.captures.plain import read_float32, write_float32, write_png
from esca.captures.reader import read_texture
from esca.captures.statistics import TextureStatistics, VertexStatistics
from esca.errors import EscaError
from esca.files import written_beside

Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class CaptureWriter:
    """Writes the files of one capture into ``root``; made by ``write_capture``.

    It holds no state, so it may be sent to worker processes and used from threads: calls for
    different files never meet. ``cameras``: in the order that becomes their index, all of one
    image size. ``objs``: "all" writes an obj beside each frame, as the dataset's own reader takes
    the topology from whichever sample it loads first; "first" keeps one a segment and saves about
    as much disk as five times the vertices take, but then only esca reads every sample.
    """

    root: Path
    topology: Topology
    vertex_count: int
    cameras: tuple[Camera, ...]
    texture_size: int
    objs: Literal["all", "first"] = "all"

    @cached_property
    def layout(self) -> Layout:
        """Paths of the capture being written."""
        return Layout(self.root)

    @cached_property
    def _topology_text(self) -> str:
        return topology_text(self.topology)

    @cached_property
    def _sizes(self) -> dict[str, tuple[int, int]]:
        return {camera.id: camera.size for camera in self.cameras}

    def write_frame(
        self, frame: FrameId, vertices: NDArray[np.floating], transform: FloatArray
    ) -> None:
        """One tracked mesh: ``vertices`` (V, 3) mm, ``transform`` (3, 4) head to world."""
        _check_name("segment", frame.segment)
        if not frame.frame.isdecimal():
            raise EscaError(f"frame {frame.frame!r}: expected digits, as in 000102")
        _check_array(f"vertices of {frame}", vertices, (self.vertex_count, 3))
        _check_array(f"transform of {frame}", transform, (3, 4))
        write_float32(self._ready(self.layout.vertices(frame)), vertices)
        rows = (" ".join(repr(float(value)) for value in row) for row in transform)
        self.layout.transform(frame).write_text("".join(f"{row}\n" for row in rows), "utf-8")
        if self.objs == "all":
            self._write_obj(frame, vertices)

    def write_texture(
        self, frame: FrameId | SampleId, camera: str, texture: NDArray[np.uint8]
    ) -> None:
        """One unwrapped texture (T, T, 3) of a camera or of ``AVERAGE``, in array orientation."""
        if camera != AVERAGE:
            self._size_of(camera)
        _check_array("texture", texture, (self.texture_size, self.texture_size, 3), np.uint8)
        write_png(self._ready(self.layout.texture(frame, camera)), texture[::-1])

    def write_photo(self, frame: FrameId | SampleId, camera: str, photo: NDArray[np.uint8]) -> None:
        """One photo (H, W, 3) of the camera's size, as the camera sees it."""
        _check_array("photo", photo, (*self._size_of(camera), 3), np.uint8)
        write_png(self._ready(self.layout.photo(frame, camera)), photo)

    def write_regions(self, regions: Mapping[str, NDArray[np.bool_]]) -> None:
        """Facial regions, (T, T) masks by name, in array orientation."""
        for name, mask in regions.items():
            _check_name("region", name)
            _check_array(f"region {name}", mask, (self.texture_size, self.texture_size), np.bool_)
            path = self._ready(self.layout.region(name))
            write_png(path, mask[::-1].astype(np.uint8) * np.uint8(255))

    def write_loss_weight(self, weight: NDArray[np.floating]) -> None:
        """Loss weights (T, T), not negative, in array orientation; kept relative to their largest.

        Stored in 255 steps, as the format's own map is.
        """
        _check_array("loss weight", weight, (self.texture_size, self.texture_size))
        if weight.min() < 0 or weight.max() <= 0:
            raise EscaError("loss weight: expected values of at least 0, and one above it")
        steps = np.rint(weight / weight.max() * 255).astype(np.uint8)
        write_png(self._ready(self.layout.loss_weight), steps[::-1])

    def write_readme(self, text: str) -> None:
        """What the capture holds, for people."""
        self._ready(self.layout.readme).write_text(text, encoding="utf-8")

    def finish(self, progress: Progress | None = None) -> None:
        """KRT, frame list, means and variances, from the files written so far.

        Frames are read back, so it does not matter which process wrote them; memory does not grow
        with their number. ``write_capture`` calls it. A capture that does not vary at all (a single
        frame) gets the variance 1, as readers divide by its root.
        """
        frames = ordered(
            FrameId(folder.name, name)
            for folder in (self.layout.meshes.iterdir() if self.layout.meshes.is_dir() else ())
            for name in stems(folder, ".bin")
        )
        if not frames:
            raise EscaError("the capture holds no frames, expected at least one tracked mesh")
        textures = TextureStatistics(self.texture_size)
        meshes = VertexStatistics(3 * self.vertex_count)
        done = 0
        for segment, members in by_segment(frames).items():
            seen = stems(self.layout.texture_folder(segment, AVERAGE), ".png")
            for frame in members:
                vertices = read_float32(self.layout.vertices(frame), 3 * self.vertex_count)
                meshes.add(vertices)
                if frame.frame in seen:
                    textures.add(read_texture(self.layout.texture(frame, AVERAGE)))
                if self.objs == "first" and frame == members[0]:
                    self._write_obj(frame, vertices.reshape(-1, 3))
                done += 1
                if progress is not None:
                    progress(done, len(frames))
        write_krt(self.layout.krt, self.cameras)
        write_frame_list(self.layout.frame_list, frames)
        write_png(self.layout.texture_mean, np.rint(textures.mean[::-1]).astype(np.uint8))
        write_float32(self.layout.vertex_mean, meshes.mean)
        for path, variance in (
            (self.layout.texture_variance, textures.variance),
            (self.layout.vertex_variance, meshes.variance),
        ):
            path.write_text(f"{variance or 1.0!r}\n", encoding="utf-8")

    def _write_obj(self, frame: FrameId, vertices: NDArray[np.floating]) -> None:
        text = vertex_text(vertices) + self._topology_text
        self._ready(self.layout.obj(frame)).write_text(text, encoding="utf-8")

    def _size_of(self, camera: str) -> tuple[int, int]:
        if camera not in self._sizes:
            raise EscaError(f"camera {camera!r} is not in the rig that the capture is written with")
        return self._sizes[camera]

    def _ready(self, path: Path) -> Path:
        """The path, its folder made; never brings back a root that was given up."""
        if not self.root.is_dir():
            raise EscaError(f"{self.root}: the capture is not being written any more")
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


@contextmanager
def write_capture(
    target: Path,
    topology: Topology,
    cameras: tuple[Camera, ...],
    texture_size: int,
    *,
    vertex_count: int | None = None,
    objs: Literal["all", "first"] = "all",
    replace: bool = False,
    progress: Progress | None = None,
) -> Iterator[CaptureWriter]:
    """Write a capture beside ``target`` and rename it when the block ends well.

    On the way out ``CaptureWriter.finish(progress)`` runs; after an exception nothing is left. Wait
    for worker processes inside the block. ``vertex_count``: where the mesh has vertices that no
    triangle uses. ``target`` may be an existing capture only if ``replace`` is set, and never
    another folder with something in it.
    """
    layout = Layout(Path(target).resolve())
    if layout.root.exists():
        is_capture = layout.krt.is_file() and layout.frame_list.is_file()
        if not is_capture and (layout.root.is_file() or any(layout.root.iterdir())):
            raise EscaError(f"{target}: exists and is no capture, expected a new or empty folder")
        if is_capture and not replace:
            raise EscaError(f"{target}: holds a capture already")
    ids = [camera.id for camera in cameras]
    if not ids or len(set(ids)) != len(ids) or AVERAGE in ids:
        raise EscaError(f"cameras {ids}: expected at least one, and each id once")
    if len({camera.size for camera in cameras}) != 1:
        raise EscaError("cameras: expected one image size for all of them")
    for id in ids:
        _check_name("camera", id)
    count = topology.vertex_count if vertex_count is None else vertex_count
    with written_beside(layout.root) as beside:
        beside.mkdir()
        writer = CaptureWriter(beside, topology, count, tuple(cameras), texture_size, objs)
        yield writer
        writer.finish(progress)


def _check_name(what: str, name: str) -> None:
    if not name or name.startswith(".") or any(c.isspace() or c in "/\\#" for c in name):
        raise EscaError(
            f"{what} {name!r}: expected a name without spaces, slashes, # or leading dot"
        )


def _check_array(
    what: str, array: NDArray[np.generic], shape: tuple[int, ...], dtype: type | None = None
) -> None:
    if array.shape != shape or (dtype is not None and array.dtype != dtype):
        kind = "" if dtype is None else f" of {np.dtype(dtype).name}"
        raise EscaError(f"{what}: is {array.shape} of {array.dtype}, expected {shape}{kind}")
    if dtype is None and not np.isfinite(array).all():
        raise EscaError(f"{what}: holds NaN or infinity, expected finite values")
