"""Where everything in a MultiFace capture stands: every path of the format, in one place."""

import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

AVERAGE = "average"
"""Folder name of the camera-averaged textures, where a camera id stands otherwise."""


class FrameId(NamedTuple):
    """One tracked frame: the segment's name and the zero-padded frame number, as in files."""

    segment: str
    frame: str


class SampleId(NamedTuple):
    """One frame seen by one camera."""

    segment: str
    frame: str
    camera: str

    @property
    def frame_id(self) -> FrameId:
        """The frame without the camera."""
        return FrameId(self.segment, self.frame)


@dataclass(frozen=True)
class Layout:
    """The paths of one capture.

    A ``SampleId`` may stand wherever a ``FrameId`` is asked for. ``regions`` and ``loss_weight``
    are esca's additions; no reader of the format is disturbed by them.
    """

    root: Path

    @property
    def frame_list(self) -> Path:
        """Text, ``SEGMENT FRAME`` a line."""
        return self.root / "frame_list.txt"

    @property
    def krt(self) -> Path:
        """Camera calibrations."""
        return self.root / "KRT"

    @property
    def texture_mean(self) -> Path:
        """Mean texture, RGB."""
        return self.root / "tex_mean.png"

    @property
    def texture_variance(self) -> Path:
        """One number."""
        return self.root / "tex_var.txt"

    @property
    def vertex_mean(self) -> Path:
        """Mean vertices, float32, 3V values in mm."""
        return self.root / "vert_mean.bin"

    @property
    def vertex_variance(self) -> Path:
        """One number, mm squared."""
        return self.root / "vert_var.txt"

    @property
    def photos(self) -> Path:
        """Folder of all photos."""
        return self.root / "images"

    @property
    def textures(self) -> Path:
        """Folder of all unwrapped textures; its name says 1024 whatever their size."""
        return self.root / "unwrapped_uv_1024"

    @property
    def meshes(self) -> Path:
        """Folder of all tracked meshes."""
        return self.root / "tracked_mesh"

    @property
    def audio(self) -> Path:
        """Folder of optional sound."""
        return self.root / "audio"

    @property
    def regions(self) -> Path:
        """Folder of facial-region masks, ``<name>.png``."""
        return self.root / "regions"

    @property
    def loss_weight(self) -> Path:
        """Loss-weight map, grey."""
        return self.root / "loss_weight_mask.png"

    @property
    def readme(self) -> Path:
        """What the capture holds, for people."""
        return self.root / "README.md"

    @property
    def entries(self) -> frozenset[str]:
        """Names of everything that may stand in the root."""
        paths = (
            *(self.frame_list, self.krt, self.loss_weight, self.readme),
            *(self.texture_mean, self.texture_variance, self.vertex_mean, self.vertex_variance),
            *(self.photos, self.textures, self.meshes, self.audio, self.regions),
        )
        return frozenset(path.name for path in paths)

    def photo_folder(self, segment: str, camera: str) -> Path:
        """Photos of one segment and camera."""
        return self.photos / segment / camera

    def photo(self, frame: FrameId | SampleId, camera: str) -> Path:
        """One photo."""
        return self.photo_folder(frame.segment, camera) / f"{frame.frame}.png"

    def texture_folder(self, segment: str, camera: str) -> Path:
        """Textures of one segment and camera (or ``AVERAGE``)."""
        return self.textures / segment / camera

    def texture(self, frame: FrameId | SampleId, camera: str) -> Path:
        """One unwrapped texture of ``camera`` (or ``AVERAGE``)."""
        return self.texture_folder(frame.segment, camera) / f"{frame.frame}.png"

    def mesh_folder(self, segment: str) -> Path:
        """Tracked meshes of one segment."""
        return self.meshes / segment

    def vertices(self, frame: FrameId | SampleId) -> Path:
        """Vertices, float32, 3V values in mm."""
        return self.mesh_folder(frame.segment) / f"{frame.frame}.bin"

    def obj(self, frame: FrameId | SampleId) -> Path:
        """Mesh with topology."""
        return self.mesh_folder(frame.segment) / f"{frame.frame}.obj"

    def transform(self, frame: FrameId | SampleId) -> Path:
        """Head pose, 3x4 text."""
        return self.mesh_folder(frame.segment) / f"{frame.frame}_transform.txt"

    def region(self, name: str) -> Path:
        """Mask of one facial region."""
        return self.regions / f"{name}.png"

    @property
    def subject(self) -> str:
        """Subject id: the second-last ``--`` field of the folder's name.

        A folder named otherwise gives its whole name.
        """
        name = self.root.resolve().name
        fields = name.split("--")
        return fields[-2] if len(fields) > 1 else name


def capture_name(subject: str, recorded: datetime) -> str:
    """Folder name of a capture: ``m--YYYYMMDD--HHMM--SUBJECT--GHS``."""
    return f"m--{recorded:%Y%m%d--%H%M}--{subject}--GHS"


def stems(folder: Path, suffix: str) -> set[str]:
    """Names in ``folder`` that end in ``suffix``, without it; empty where there is no folder.

    One directory listing and no ``stat`` a file: captures hold millions of files.
    """
    try:
        with os.scandir(folder) as entries:
            return {e.name.removesuffix(suffix) for e in entries if e.name.endswith(suffix)}
    except (FileNotFoundError, NotADirectoryError):
        return set()
