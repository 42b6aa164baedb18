"""Training samples of a capture: which ones a step takes, and their arrays."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from esca.captures import AVERAGE, Camera, Capture, FrameId
from esca.captures.normalize import channels_first
from esca.errors import EscaError
from esca.rendering.atlas import BLEED, border_texels, rasterize_uv


class Pick(NamedTuple):
    """One sample: a frame, and the camera that sees it."""

    frame: FrameId
    camera: str


@dataclass(frozen=True, eq=False)
class Batch:
    """B samples as they were recorded, not normalized.

    ``average``, ``texture``: (B, 3, T, T) uint8 of the capture's texture size, 0 where unseen, in
    the memory format ``channels_last``.
    ``vertices``: (B, 3V) mm. ``view``: (B, 3). ``camera``: (B,) numbers in KRT order.
    ``projection``: (B, 3, 4) to the pixels of ``photo``. ``photo``: (B, 3, h, w) 0 to 255, empty
    without the screen loss.
    """

    average: Tensor
    texture: Tensor
    vertices: Tensor
    view: Tensor
    camera: Tensor
    projection: Tensor
    photo: Tensor

    def to(self, device: torch.device) -> "Batch":
        """The same on another device."""
        return Batch(**{name: value.to(device) for name, value in vars(self).items()})


class TrainingData:
    """Samples of the training segments; files are read when a batch asks for them.

    ``cameras``: ids to train on (default all). ``screen_scale``: size of the photos that batches
    carry, 0 for none. ``cache``: keep what was read (bytes as stored, 3 T^2 a texture).
    EscaError if no sample is left outside the held-out segments.
    """

    def __init__(
        self,
        capture: Capture,
        cameras: Iterable[str] | None = None,
        screen_scale: float = 0.0,
        cache: bool = True,
    ) -> None:
        self.capture = capture
        self.screen_scale = screen_scale
        self.cache: dict[tuple[FrameId, str], Tensor] | None = {} if cache else None
        held_out = capture.held_out_prefixes
        by_frame: dict[FrameId, list[str]] = {}
        for sample in capture.samples(cameras=cameras, exclude=held_out):
            by_frame.setdefault(sample.frame_id, []).append(sample.camera)
        if not by_frame:
            raise EscaError(
                f"{capture.root}: no sample to train on, expected textures outside the held-out "
                f"segments {' '.join(f'{prefix}*' for prefix in held_out)}"
            )
        self.frames = tuple(by_frame.items())

    def picks(self, seed: int, step: int, batch: int) -> tuple[Pick, ...]:
        """Samples of a step (from 1): all frames in random order, then again; random cameras.

        A function of its arguments alone, so that a resumed run sees the same samples.
        """
        cameras = np.random.default_rng((seed, step))
        chosen = []
        for place in range((step - 1) * batch, step * batch):
            epoch, within = divmod(place, len(self.frames))
            order = np.random.default_rng((seed, 0, epoch)).permutation(len(self.frames))
            frame, ids = self.frames[order[within]]
            chosen.append(Pick(frame, ids[cameras.integers(len(ids))]))
        return tuple(chosen)

    def batch(self, picks: Sequence[Pick]) -> Batch:
        """Read the samples."""
        capture = self.capture
        views, projections, photos = [], [], []
        for frame, camera_id in picks:
            camera, transform = capture.camera(camera_id), capture.transform(frame)
            views.append(camera.view_direction(transform))
            projections.append(_scaled(camera, self.screen_scale or 1.0).projection(transform))
            if self.screen_scale:
                photos.append(self._photo(frame, camera))
        vertices = np.stack([capture.vertices(frame).reshape(-1) for frame, _ in picks])
        return Batch(
            average=_channels_last([self._texture(frame, AVERAGE) for frame, _ in picks]),
            texture=_channels_last([self._texture(frame, camera) for frame, camera in picks]),
            vertices=torch.from_numpy(vertices),
            view=_tensor(np.stack(views)),
            camera=torch.tensor([capture.camera_index(camera) for _, camera in picks]),
            projection=torch.from_numpy(np.stack(projections)),
            photo=torch.stack(photos) if photos else torch.empty(0),
        )

    def _texture(self, frame: FrameId, camera: str) -> Tensor:
        """(T, T, 3) uint8."""
        key = (frame, camera)
        if self.cache is not None and key in self.cache:
            return self.cache[key]
        texture = torch.from_numpy(self.capture.texture(frame, camera))
        if self.cache is not None:
            self.cache[key] = texture
        return texture

    def _photo(self, frame: FrameId, camera: Camera) -> Tensor:
        """(3, h, w) uint8, each pixel the mean of those it stands for."""
        key = (frame, f"photo {camera.id}")
        if self.cache is not None and key in self.cache:
            return self.cache[key]
        rows, columns = _scaled(camera, self.screen_scale).size
        covered = self.capture.photo(frame, camera.id)[
            : round(rows / self.screen_scale), : round(columns / self.screen_scale)
        ]
        photo = channels_first(covered)[None]
        small = functional.interpolate(photo, (rows, columns), mode="area")[0].round().byte()
        if self.cache is not None:
            self.cache[key] = small
        return small


def _channels_last(textures: list[Tensor]) -> Tensor:
    """(B, 3, T, T) of (T, T, 3) textures; no value moves past another, so the layout is kept."""
    return torch.stack(textures).permute(0, 3, 1, 2)


def _scaled(camera: Camera, scale: float) -> Camera:
    rows, columns = (max(1, int(side * scale)) for side in camera.size)
    return camera.window(0, 0, (rows, columns), scale)


def _tensor(values: NDArray[np.floating]) -> Tensor:
    return torch.from_numpy(values.astype(np.float32))


@dataclass(frozen=True, eq=False)
class Statistics:
    """What normalizes a capture, on one device.

    ``texture_mean``: (3, T, T), 0 to 255. ``vertex_mean``: (3V,) mm. ``weight``: (1, T, T) loss
    weights, of one texel without the screen loss. ``border``: (2, N) targets and sources of
    :func:`esca.rendering.atlas.border_texels` at the avatar's texture size, which bleed charts
    beyond their borders as evaluation does; none without the screen loss.
    """

    texture_mean: Tensor
    texture_std: float
    vertex_mean: Tensor
    vertex_std: float
    weight: Tensor
    border: Tensor

    @classmethod
    def of(cls, capture: Capture, device: torch.device, screen: bool, size: int) -> "Statistics":
        """The statistics of ``capture``; reads its loss weights if ``screen`` is set.

        ``size``: of the avatar's texture.
        """
        weight, border = torch.ones(1, 1, 1), np.zeros((2, 0), np.int64)
        if screen:
            weight = torch.from_numpy(capture.loss_weight())[None]
            charts = rasterize_uv(capture.topology, size).foreground
            border = np.stack(border_texels(charts, BLEED))
        mean = torch.from_numpy(capture.texture_mean).permute(2, 0, 1)
        return cls(
            texture_mean=mean.to(device),
            texture_std=capture.texture_std,
            vertex_mean=torch.from_numpy(capture.vertex_mean).to(device),
            vertex_std=capture.vertex_std,
            weight=weight.to(device),
            border=torch.from_numpy(border).to(device),
        )
