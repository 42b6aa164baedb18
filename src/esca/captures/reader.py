"""Captures, read lazily: opening one touches six small files, whatever its size."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from esca.captures.frames import by_segment, read_frame_list
from esca.captures.geometry import PHOTO_SIZE, Camera, FloatArray, Topology
from esca.captures.krt import read_krt
from esca.captures.layout import AVERAGE, FrameId, Layout, SampleId, stems
from esca.captures.obj import read_obj
from esca.captures.plain import png_size, read_float32, read_numbers, read_png, read_variance
from esca.captures.rig import Rig, held_out_prefixes, rig_of
from esca.errors import EscaError


@dataclass(frozen=True, eq=False)
class Capture:
    """One capture on disk. Made by ``open_capture``; pictures and meshes are read when asked for.

    ``cameras``: in KRT order, which is their index. ``frames``: every listed frame, segments by
    name and frames by number; some may have been dropped, see ``samples``. ``texture_mean``:
    (T, T, 3) float32, 0 to 255, flipped like every texture. ``texture_std``: float, same scale.
    ``vertex_mean``: (3V,) float32 mm. ``vertex_std``: float, mm.

    Every method raises ``EscaError`` naming the file that is missing or broken. A ``SampleId`` may
    stand wherever a ``FrameId`` is asked for.
    """

    layout: Layout
    cameras: tuple[Camera, ...]
    frames: tuple[FrameId, ...]
    topology: Topology
    texture_mean: NDArray[np.float32]
    texture_std: float
    vertex_mean: NDArray[np.float32]
    vertex_std: float

    @property
    def root(self) -> Path:
        """The capture's folder."""
        return self.layout.root

    @property
    def subject(self) -> str:
        """Subject id, from the folder's name."""
        return self.layout.subject

    @property
    def texture_size(self) -> int:
        """T: textures are T x T texels."""
        return len(self.texture_mean)

    @property
    def vertex_count(self) -> int:
        """V: vertices of the tracked mesh."""
        return self.vertex_mean.size // 3

    @property
    def rig(self) -> Rig:
        """Which published rig the camera ids belong to."""
        return rig_of(camera.id for camera in self.cameras)

    @property
    def held_out_prefixes(self) -> tuple[str, ...]:
        """Prefixes of the segments that are kept for testing."""
        return held_out_prefixes(self.rig)

    @cached_property
    def segments(self) -> dict[str, tuple[FrameId, ...]]:
        """Listed frames of each segment."""
        return by_segment(self.frames)

    @cached_property
    def _index(self) -> dict[str, int]:
        return {camera.id: index for index, camera in enumerate(self.cameras)}

    def camera_index(self, id: str) -> int:
        """Place of a camera in the KRT, from 0."""
        if id not in self._index:
            raise EscaError(f"{self.layout.krt}: holds no camera {id!r}")
        return self._index[id]

    def camera(self, id: str) -> Camera:
        """The camera of that id."""
        return self.cameras[self.camera_index(id)]

    def samples(
        self,
        cameras: Iterable[str] | None = None,
        segments: Iterable[str] | None = None,
        exclude: Iterable[str] | None = None,
    ) -> tuple[SampleId, ...]:
        """Samples that exist: both the average and the camera's texture are there.

        ``cameras``: ids (default all). ``segments``, ``exclude``: prefixes of segment names to keep
        (default all) and to leave out. In the order of ``frames``, then of the KRT. Costs a
        directory listing for each segment and camera.
        """
        wanted = self._index if cameras is None else set(cameras)
        ids = sorted(wanted, key=self.camera_index)
        keep = ("",) if segments is None else tuple(segments)
        drop = () if exclude is None else tuple(exclude)
        found = []
        for segment, frames in self.segments.items():
            if not segment.startswith(keep) or segment.startswith(drop):
                continue
            average = stems(self.layout.texture_folder(segment, AVERAGE), ".png")
            present = {
                id: average & stems(self.layout.texture_folder(segment, id), ".png") for id in ids
            }
            found += [
                SampleId(segment, frame, id)
                for _, frame in frames
                for id in ids
                if frame in present[id]
            ]
        return tuple(found)

    def vertices(self, frame: FrameId | SampleId) -> NDArray[np.float32]:
        """(V, 3) head-aligned vertices in mm."""
        path = self.layout.vertices(frame)
        return read_float32(path, self.vertex_mean.size).reshape(-1, 3)

    def transform(self, frame: FrameId | SampleId) -> FloatArray:
        """(3, 4) head-to-world ``[R_f|t_f]``, mm."""
        return read_numbers(self.layout.transform(frame), (3, 4))

    def texture(self, frame: FrameId | SampleId, camera: str = AVERAGE) -> NDArray[np.uint8]:
        """(T, T, 3) unwrapped texture of a camera, or the average; flipped; 0 where unseen."""
        return read_texture(self.layout.texture(frame, camera), self.texture_size)

    def has_photo(self, frame: FrameId | SampleId, camera: str) -> bool:
        """Whether the photo's file is there."""
        return self.layout.photo(frame, camera).is_file()

    def photo(self, frame: FrameId | SampleId, camera: str) -> NDArray[np.uint8]:
        """(H, W, 3) photo as the camera took it, not flipped; (H, W) is the camera's size."""
        path, size = self.layout.photo(frame, camera), self.camera(camera).size
        photo = read_png(path)
        if photo.shape[:2] != size:
            raise EscaError(
                f"{path}: {photo.shape[0]} x {photo.shape[1]} pixels (rows x columns), "
                f"expected {size[0]} x {size[1]}"
            )
        return photo

    def regions(self, folder: Path | None = None) -> dict[str, NDArray[np.bool_]]:
        """Facial regions as (T, T) masks, flipped like textures.

        ``folder``: one ``<name>.png`` a region, white inside (default: the capture's own
        ``regions/``; published captures have none, so bring a folder for them).
        """
        folder = self.layout.regions if folder is None else Path(folder)
        names = sorted(stems(folder, ".png"))
        if not names:
            raise EscaError(f"{folder}: no facial regions, expected masks <name>.png")
        size = self.texture_size
        return {name: read_map(folder / f"{name}.png", size) > 127 for name in names}

    def loss_weight(self, path: Path | None = None) -> NDArray[np.float32]:
        """(T, T) loss weights, flipped like textures, the largest of them 1.

        ``path``: a grey PNG (default: the capture's own ``loss_weight_mask.png``).
        """
        path = self.layout.loss_weight if path is None else Path(path)
        weight = read_map(path, self.texture_size).astype(np.float32)
        if not weight.any():
            raise EscaError(f"{path}: is black everywhere, expected a weight above 0 somewhere")
        return weight / weight.max()


def open_capture(root: Path | str) -> Capture:
    """Open a capture folder.

    Reads the KRT, the frame list, means and variances, one obj and the size of one photo; raises
    ``EscaError`` naming the first of them that is missing or broken.
    """
    layout = Layout(Path(root))
    if not layout.root.is_dir():
        raise EscaError(f"{root}: no such folder, expected a capture")
    frames = read_frame_list(layout.frame_list)
    vertex_mean = read_vertex_mean(layout.vertex_mean)
    obj = first_obj(layout, frames)
    vertices, topology = read_obj(obj)
    if vertices.size != vertex_mean.size:
        raise EscaError(
            f"{obj}: has {len(vertices)} vertices, expected {vertex_mean.size // 3} "
            f"as in {layout.vertex_mean.name}"
        )
    return Capture(
        layout=layout,
        cameras=read_krt(layout.krt, photo_size(layout, frames)),
        frames=frames,
        topology=topology,
        texture_mean=read_texture(layout.texture_mean).astype(np.float32),
        texture_std=read_variance(layout.texture_variance) ** 0.5,
        vertex_mean=vertex_mean,
        vertex_std=read_variance(layout.vertex_variance) ** 0.5,
    )


def read_vertex_mean(path: Path) -> NDArray[np.float32]:
    """(3V,) mean vertices; V is whatever the file holds."""
    mean = read_float32(path)
    if mean.size % 3:
        raise EscaError(f"{path}: holds {mean.size} values, expected 3 a vertex")
    return mean


def read_texture(path: Path, size: int | None = None) -> NDArray[np.uint8]:
    """(T, T, 3) texture, flipped; ``size`` is the T to insist on (any square if None)."""
    texture = read_png(path)
    _check_square(path, texture.shape, size)
    return np.ascontiguousarray(texture[::-1])


def read_map(path: Path, size: int) -> NDArray[np.uint8]:
    """(T, T) grey map over the texture, flipped, of exactly ``size`` texels."""
    values = read_png(path, "L")
    _check_square(path, values.shape, size)
    return np.ascontiguousarray(values[::-1])


def _check_square(path: Path, shape: tuple[int, ...], size: int | None) -> None:
    rows, columns = shape[:2]
    if rows != columns or size not in (None, rows):
        expected = "a square" if size is None else f"{size} x {size}"
        raise EscaError(f"{path}: {rows} x {columns} texels, expected {expected}")


def first_obj(layout: Layout, frames: Iterable[FrameId]) -> Path:
    """The first obj of the listed segments; they all hold the same topology."""
    for segment, members in by_segment(frames).items():
        likely = layout.obj(members[0])
        if likely.is_file():
            return likely
        names = stems(layout.mesh_folder(segment), ".obj")
        if names:
            return layout.obj(FrameId(segment, min(names)))
    raise EscaError(f"{layout.meshes}: no SEGMENT/FRAME.obj of any listed segment")


def photo_size(layout: Layout, frames: Iterable[FrameId]) -> tuple[int, int]:
    """(rows, columns) of the first photo at hand; the format's own where there are none.

    A broken photo is passed over here: it is an error only for those who ask for it.
    """
    for segment in by_segment(frames):
        for folder in sorted(_folders(layout.photos / segment)):
            names = stems(folder, ".png")
            if names:
                with suppress(EscaError):
                    return png_size(folder / f"{min(names)}.png")
    return PHOTO_SIZE


def _folders(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []
