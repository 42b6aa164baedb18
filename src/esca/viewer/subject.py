"""Who is shown: what of a capture and an avatar turns decoded values into a head in the page."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from esca.avatars import Avatar
from esca.captures.geometry import FloatArray
from esca.captures.layout import FrameId
from esca.captures.normalize import channels_first, denormalize_vertices, resize
from esca.captures.reader import Capture
from esca.quantization.calibration import (
    CalibrationConfig,
    calibration_samples,
    check_fits,
    encode_each,
)
from esca.rendering.atlas import border_texels, rasterize_uv
from esca.rendering.shading import bleed, display_texture

Picture = NDArray[np.uint8]
Progress = Callable[[int, int], None]

MM = 0.01
"""The page's unit is 100 mm, so that a head is about two units wide."""

BLEED = 8
"""Texels by which charts are bled: mipmaps mix more than the renderer's bilinear samples do."""

MOST_FRAMES = 150
"""Frames of a segment that are played; encoding more would take too long to wait for."""


@dataclass(frozen=True, eq=False)
class Subject:
    """A person.

    ``codes``: (N, L) of calibration frames. ``texture_scale``, ``texture_offset``: (3,) and
    (3, T, T): a raw texture, 0 to 255, is ``decoded * scale + offset`` in the first camera's
    colours.
    ``covered``: (T, T) texels of the
    chart; ``judged``: the face in it, or all of it where the capture has no regions. ``size``:
    (width, height) mm of the head. ``centre``: (3,) mm. ``texel``: mean side of a texel in mm.
    ``views``: camera id -> (3,) direction towards it, head-aligned.
    """

    avatar: Avatar
    capture: Capture
    codes: Tensor
    texture_scale: NDArray[np.float32]
    texture_offset: NDArray[np.float32]
    border: tuple[NDArray[np.int64], NDArray[np.int64]]
    covered: NDArray[np.bool_]
    judged: NDArray[np.bool_]
    centre: FloatArray
    size: tuple[float, float]
    texel: float
    views: dict[str, Tensor]

    @property
    def segments(self) -> dict[str, tuple[FrameId, ...]]:
        """Listed frames by segment."""
        return self.capture.segments

    def display(self, texture: Tensor) -> Picture:
        """(T, T, 3) uint8 display texture of a decoded one (3, T, T)."""
        picture: Picture = display_texture(
            texture.contiguous().numpy(), self.texture_offset, self.texture_scale
        )
        bleed(picture.reshape(-1, 3), *self.border)
        return picture

    def millimetres(self, mesh: Tensor) -> NDArray[np.float32]:
        """(V, 3) mm of a decoded mesh (3V,)."""
        mean = torch.from_numpy(self.capture.vertex_mean)
        return denormalize_vertices(mesh, mean, self.capture.vertex_std).reshape(-1, 3).numpy()

    def encode(self, segment: str, progress: Progress | None = None) -> tuple[Tensor, list[int]]:
        """Codes (F, L) and frame numbers of a segment's first frames, MOST_FRAMES at most."""
        frames = self.segments[segment][:MOST_FRAMES]
        codes = encode_each(self.avatar, self.capture, frames, progress)
        return codes, [int(frame.frame) for frame in frames]


def load_subject(
    capture: Capture, avatar: Avatar, frames: int = 48, progress: Progress | None = None
) -> Subject:
    """Encode ``frames`` calibration frames and gather the rest; EscaError if the two do not fit."""
    check_fits(avatar, capture)
    samples = calibration_samples(capture, CalibrationConfig(frames=frames))
    codes = encode_each(avatar, capture, [sample.frame_id for sample in samples], progress)
    side, topology = avatar.texture_size, capture.topology
    factor, offset = avatar.colour_line(0)
    mean = resize(channels_first(capture.texture_mean), side)
    chart = rasterize_uv(topology, side)
    vertices = capture.vertex_mean.reshape(-1, 3)
    border = border_texels(chart.foreground, BLEED)
    low, high = vertices.min(0).astype(np.float64), vertices.max(0).astype(np.float64)
    triangles = vertices[topology.faces].astype(np.float64)
    cross = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    area = np.linalg.norm(cross, axis=1).sum() / 2
    pose = capture.transform(samples[0].frame_id)
    return Subject(
        avatar=avatar,
        capture=capture,
        codes=codes,
        texture_scale=(factor * capture.texture_std).reshape(3).numpy(),
        texture_offset=(offset * capture.texture_std + mean).contiguous().numpy(),
        border=border,
        covered=chart.foreground,
        judged=_judged(capture, chart.foreground),
        centre=(low + high) / 2,
        size=(float(high[0] - low[0]), float(high[1] - low[1])),
        texel=float(np.sqrt(area / chart.foreground.sum())),
        views={
            camera.id: torch.from_numpy(camera.view_direction(pose)).float()
            for camera in capture.cameras
        },
    )


def _judged(capture: Capture, covered: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The region ``face`` at the size of ``covered``, of the texels in it."""
    regions = capture.regions() if capture.layout.regions.is_dir() else {}
    if "face" not in regions:
        return covered
    mask = Image.fromarray(regions["face"]).resize(covered.shape, Image.Resampling.NEAREST)
    return np.asarray(mask) & covered
