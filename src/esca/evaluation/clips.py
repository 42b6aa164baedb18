"""The held-out clips that decoders are judged on: codes, cameras and what should be seen."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from esca.avatars import Avatar
from esca.captures.geometry import Camera, FloatArray, Topology
from esca.captures.layout import FrameId
from esca.captures.normalize import denormalize_texture, denormalize_vertices
from esca.evaluation.metrics import Mask, Video
from esca.evaluation.protocol import Protocol
from esca.evaluation.windows import Box
from esca.rendering.display import to_display
from esca.rendering.raster import Scene
from esca.rendering.shade import shade, view_raster


@dataclass(frozen=True, eq=False)
class Clip:
    """One view of one segment.

    ``camera``: cropped and scaled, the same for all frames; ``camera_index``: in KRT order.
    ``directions``: (F, 3) float32, head to camera. ``reference``: (F, H, W, 3) uint8 display, what
    should be seen; None where that is the fp32 avatar's rendering. ``mask``: (F, H, W), the tracked
    mesh's pixels. ``boxes``: crop of each facial region that is in sight, fixed over the clip.
    """

    view: str
    camera: Camera
    camera_index: int
    directions: Tensor
    reference: Video | None
    mask: Mask
    boxes: Mapping[str, Box]


@dataclass(frozen=True, eq=False)
class Segment:
    """One held-out segment: ``codes`` (F, L) float32, ``transforms`` (F, 3, 4), a clip per view."""

    name: str
    frames: tuple[FrameId, ...]
    codes: Tensor
    transforms: FloatArray
    clips: tuple[Clip, ...]


@dataclass(frozen=True, eq=False)
class Clips:
    """Everything that :func:`esca.evaluation.evaluate` needs besides the decoders.

    ``protocol.reference`` is what was really used, never "auto". ``texture_mean``: (3, T, T) at the
    avatar's texture size. ``border``: targets and sources of :func:`border_texels`; captures are
    black between charts, and without bleeding every seam would show. Made by
    :func:`esca.evaluation.prepare_clips`.
    """

    protocol: Protocol
    avatar: Avatar
    topology: Topology
    texture_mean: Tensor
    texture_std: float
    vertex_mean: Tensor
    vertex_std: float
    border: tuple[NDArray[np.int64], NDArray[np.int64]]
    segments: tuple[Segment, ...]

    def pictures(self, textures: Tensor, camera_index: int) -> Iterator[NDArray[np.float32]]:
        """(T, T, 3) raw, 0 to 255, of decoded textures (B, 3, T, T) in a camera's colours."""
        device = self.avatar.cc.weight.device
        index = torch.full((len(textures),), camera_index, device=device)
        with torch.no_grad():
            coloured = self.avatar.colour(textures.to(device), index).cpu()
        targets, sources = self.border
        for texture in denormalize_texture(coloured, self.texture_mean, self.texture_std):
            picture = texture.permute(1, 2, 0).contiguous().numpy()
            flat = picture.reshape(-1, 3)
            flat[targets] = flat[sources]
            yield picture

    def meshes(self, meshes: Tensor) -> NDArray[np.float32]:
        """(B, V, 3) mm of decoded meshes (B, 3V)."""
        millimetres = denormalize_vertices(meshes.cpu(), self.vertex_mean, self.vertex_std)
        return millimetres.reshape(len(meshes), -1, 3).numpy()

    def picture(
        self, texture: NDArray[np.float32], scene: Scene, camera: Camera, transform: FloatArray
    ) -> Video:
        """(H, W, 3) uint8 display picture of a raw texture (T, T, 3), 0 to 255, on a mesh."""
        raster = view_raster(scene, camera, transform, self.protocol.supersample)
        return as_display(shade(texture, self.topology, raster, self.protocol.supersample))


def as_display(raw: NDArray[np.floating]) -> Video:
    """uint8 display values of raw values 0 to 255."""
    return np.rint(to_display(np.clip(raw / 255, 0, 1)) * 255).astype(np.uint8)
