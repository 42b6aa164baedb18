"""What a decoder shows: its own meshes and textures, rendered over the held-out clips."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from esca.avatars import Avatar
from esca.errors import EscaError
from esca.evaluation.clips import Clips, Segment
from esca.evaluation.metrics import Video
from esca.rendering.raster import Scene
from esca.runtime.backends.interface import Decoder

BATCH = 4
"""Frames that are decoded at a time."""


@dataclass(frozen=True)
class Method:
    """A decoder under test: its name and bits as in tables ("icas", "W4A4"), its size in bytes."""

    name: str
    bits: str
    bytes: int
    decoder: Decoder


class FloatDecoder:
    """The avatar's own decoder, on whatever device it is."""

    def __init__(self, avatar: Avatar) -> None:
        self.module = avatar.decoder
        self.device = avatar.cc.weight.device

    def decode(self, z: Tensor, view: Tensor) -> tuple[Tensor, Tensor]:
        """See :class:`esca.runtime.backends.Decoder`."""
        texture, mesh = self.module(z.to(self.device), view.to(self.device))
        return texture, mesh

    @property
    def bytes(self) -> int:
        """Size of the parameters."""
        return sum(value.numel() * value.element_size() for value in self.module.parameters())


def render_videos(method: Method, segment: Segment, clips: Clips) -> list[Video]:
    """(F, H, W, 3) uint8 display video of each clip of the segment, on the decoder's own mesh."""
    count = len(segment.frames)
    videos = [np.zeros((count, *clip.camera.size, 3), np.uint8) for clip in segment.clips]
    for first in range(0, count, BATCH):
        part = slice(first, first + BATCH)
        scenes: list[Scene] = []
        for clip, video in zip(segment.clips, videos, strict=True):
            textures, meshes = _decoded(method, clips, segment.codes[part], clip.directions[part])
            scenes = list(_scenes(clips.meshes(meshes), clips, scenes))
            for number, texture in enumerate(clips.pictures(textures, clip.camera_index)):
                video[first + number] = clips.picture(
                    texture, scenes[number], clip.camera, segment.transforms[first + number]
                )
    return videos


def _decoded(method: Method, clips: Clips, z: Tensor, view: Tensor) -> tuple[Tensor, Tensor]:
    with torch.no_grad():
        texture, mesh = method.decoder.decode(z, view)
    side = clips.avatar.texture_size
    for name, value, shape in (
        ("texture", texture, (len(z), 3, side, side)),
        ("mesh", mesh, (len(z), clips.avatar.vertex_values)),
    ):
        if value.shape != shape:
            raise EscaError(
                f"decoder {method.name} {method.bits}: {name} of shape {tuple(value.shape)}, "
                f"expected {shape}"
            )
        if not torch.isfinite(value).all():
            raise EscaError(f"decoder {method.name} {method.bits}: {name} holds NaN or infinity")
    return texture.float(), mesh.float()


def _scenes(meshes: NDArray[np.float32], clips: Clips, before: Sequence[Scene]) -> Iterator[Scene]:
    """Scenes of meshes (B, V, 3); the ones before where the mesh is the same, as in other views."""
    for number, mesh in enumerate(meshes):
        if number < len(before) and np.array_equal(before[number].vertices, mesh):
            yield before[number]
        else:
            yield Scene(mesh, clips.topology.faces)
