"""From an avatar and a capture to everything that recipes need."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from esca.avatars import Avatar
from esca.captures.layout import FrameId, SampleId
from esca.captures.normalize import channels_first, normalize_texture, normalize_vertices
from esca.captures.reader import Capture
from esca.captures.splits import split_segments
from esca.errors import EscaError
from esca.graph.graph import Graph
from esca.graph.trace import trace
from esca.quantization.recipe import Recipe
from esca.quantization.statistics import (
    HESSIANS,
    Feeds,
    HessianKind,
    Statistics,
    TexelMaps,
    collect,
)
from esca.rendering.display import display_gain
from esca.rendering.visibility import uv_visibility

Progress = Callable[[int, int], None]
FACE_REGIONS = ("eyes", "mouth", "nose", "brows")


@dataclass(frozen=True)
class CalibrationConfig:
    """How much of a capture is looked at.

    ``frames``: spread evenly over the training segments. ``cameras``: ids whose views count; empty
    for all cameras that have textures. ``visibility_frames`` of the frames are rasterized at
    ``visibility_scale`` of the photos' size. ``importance``: how much more a texel inside the
    facial mask counts than one outside. ``batch``: frames that are run at once. ``regions``: a
    folder of region masks, for captures that hold none.
    """

    frames: int = 64
    cameras: tuple[str, ...] = ()
    visibility_frames: int = 16
    visibility_scale: float = 0.25
    importance: float = 2.0
    batch: int = 2
    seed: int = 0
    regions: Path | None = None

    def __post_init__(self) -> None:
        for name in ("frames", "visibility_frames", "batch"):
            if getattr(self, name) < 1:
                raise EscaError(f"calibration: {name} is {getattr(self, name)}, expected 1 or more")
        if not 0 < self.visibility_scale <= 1:
            raise EscaError(
                f"calibration: visibility_scale is {self.visibility_scale}, expected above 0 to 1"
            )


@dataclass(frozen=True, eq=False)
class Calibration:
    """A float graph with what calibration measured of it.

    ``codes``: (N, L) latent means. ``views``: (N, 3). ``maps``: facial mask and UV weight;
    ``visibility``: (T, T) pixels a texel. ``gain``: (3, T, T) how much an error of a raw texel
    shows on a display, at the mean texture. ``samples``: frames, as ``SEGMENT/FRAME/CAMERA``.
    """

    graph: Graph
    statistics: Statistics
    codes: Tensor
    views: Tensor
    maps: TexelMaps
    visibility: Tensor
    gain: Tensor
    samples: tuple[str, ...]
    config: CalibrationConfig


def decoder_graph(avatar: Avatar) -> Graph:
    """The avatar's decoder as a graph: ``z``, ``view`` -> ``texture``, ``mesh``."""
    shapes: dict[str, tuple[int, ...]] = {"z": (avatar.latent,), "view": (3,)}
    return trace(avatar.decoder, shapes, ("texture", "mesh"))


def calibrate(
    avatar: Avatar,
    capture: Capture,
    config: CalibrationConfig | None = None,
    progress: Progress | None = None,
    recipes: Iterable[Recipe] | None = None,
) -> Calibration:
    """Encode calibration frames and measure the decoder on them.

    Frames come from the training segments only. Codes are kept (a kilobyte a frame); feature maps
    are not, so memory does not grow with ``config.frames``. One call serves every recipe; where
    ``recipes`` says which ones are to come, only the Hessians that they need are accumulated.
    """
    config = config or CalibrationConfig()
    check_fits(avatar, capture)
    samples = calibration_samples(capture, config)
    codes = torch.cat(
        [
            encode_frames(avatar, capture, [sample.frame_id for sample in part])
            for part in _chunks(samples, config.batch)
        ]
    )
    views = torch.stack(
        [
            torch.from_numpy(
                capture.camera(sample.camera).view_direction(capture.transform(sample.frame_id))
            ).float()
            for sample in samples
        ]
    )
    visibility = calibration_visibility(capture, samples, config)
    maps = texel_maps(capture, visibility, config)
    graph = decoder_graph(avatar)

    def batches() -> Iterable[Feeds]:
        for start in range(0, len(codes), config.batch):
            part = slice(start, start + config.batch)
            yield {"z": codes[part], "view": views[part]}

    statistics = collect(graph, batches, maps, _hessians_of(recipes), progress, len(codes))
    names = tuple("/".join(sample) for sample in samples)
    gain = channels_first(display_gain(capture.texture_mean / 255))
    return Calibration(graph, statistics, codes, views, maps, visibility, gain, names, config)


def _hessians_of(recipes: Iterable[Recipe] | None) -> tuple[HessianKind, ...]:
    if recipes is None:
        return HESSIANS
    needed = {r.rounding.hessian for r in recipes if r.rounding.method != "nearest"}
    return tuple(kind for kind in HESSIANS if kind in needed)


def check_fits(avatar: Avatar, capture: Capture) -> None:
    """Raise :class:`EscaError` unless the avatar was made for captures of this shape."""
    where = f"the capture {capture.root.name}"
    if avatar.vertex_values != capture.vertex_mean.size:
        raise EscaError(
            f"avatar: has {avatar.vertex_values // 3} vertices, {where} has {capture.vertex_count}"
        )
    if avatar.camera_count != len(capture.cameras):
        raise EscaError(
            f"avatar: corrects the colours of {avatar.camera_count} cameras, "
            f"{where} has {len(capture.cameras)}"
        )


def calibration_samples(capture: Capture, config: CalibrationConfig) -> tuple[SampleId, ...]:
    """``config.frames`` samples: frames evenly spread, cameras drawn from the seed."""
    training, _ = split_segments(capture)
    wanted = set(training)
    by_frame: dict[FrameId, list[SampleId]] = {}
    for sample in capture.samples(cameras=config.cameras or None):
        if sample.frame_id in wanted:
            by_frame.setdefault(sample.frame_id, []).append(sample)
    frames = list(by_frame)
    if not frames:
        raise EscaError(f"{capture.root}: the calibration set is empty: no training frame has data")
    count = min(config.frames, len(frames))
    picked = [frames[round(i)] for i in np.linspace(0, len(frames) - 1, count)]
    generator = np.random.default_rng(config.seed)
    return tuple(by_frame[f][generator.integers(len(by_frame[f]))] for f in picked)


@torch.no_grad()
def encode_frames(avatar: Avatar, capture: Capture, frames: Sequence[FrameId]) -> Tensor:
    """(N, L) float32 latent means of some frames, on the CPU.

    Not sampled, so that runs are deterministic; encoded on the avatar's device in one batch.
    """
    textures, meshes = encoder_inputs(capture, frames, avatar.texture_size)
    device = avatar.cc.weight.device
    code = avatar.encode(textures.to(device), meshes.to(device))
    return code.mean.float().cpu()


def encode_each(
    avatar: Avatar,
    capture: Capture,
    frames: Sequence[FrameId],
    progress: Progress | None = None,
) -> Tensor:
    """:func:`encode_frames` one frame at a time: memory is that of one, and progress is seen."""
    codes = []
    for number, frame in enumerate(frames):
        codes.append(encode_frames(avatar, capture, [frame]))
        if progress:
            progress(number + 1, len(frames))
    return torch.cat(codes)


def encoder_inputs(
    capture: Capture, frames: Sequence[FrameId], texture_size: int
) -> tuple[Tensor, Tensor]:
    """What an encoder takes of some frames: average textures (N, 3, T, T), meshes (N, 3V)."""
    mean = channels_first(capture.texture_mean)
    vertex_mean = torch.from_numpy(capture.vertex_mean)
    textures, meshes = [], []
    for frame in frames:
        raw = channels_first(capture.texture(frame))
        texture, _ = normalize_texture(raw, mean, capture.texture_std, texture_size)
        textures.append(texture)
        vertices = torch.from_numpy(capture.vertices(frame)).reshape(-1)
        meshes.append(normalize_vertices(vertices, vertex_mean, capture.vertex_std))
    return torch.stack(textures), torch.stack(meshes)


def calibration_visibility(
    capture: Capture, samples: tuple[SampleId, ...], config: CalibrationConfig
) -> Tensor:
    """(T, T) full-size pixels of the calibration views that each texel covers, a view."""
    step = max(1, len(samples) // config.visibility_frames)
    some = samples[::step][: config.visibility_frames]
    cameras = {sample.camera for sample in some}
    scale = config.visibility_scale
    views = []
    for camera in capture.cameras:
        if camera.id in cameras:
            rows, columns = camera.size
            size = (round(rows * scale), round(columns * scale))
            views.append(camera.window(0, 0, size, scale))
    frames = ((capture.vertices(s), capture.transform(s)) for s in some)
    counts = uv_visibility(frames, capture.topology, views, capture.texture_size)
    return torch.from_numpy(counts) / (scale**2 * len(some) * len(views))


def texel_maps(capture: Capture, visibility: Tensor, config: CalibrationConfig) -> TexelMaps:
    """The facial mask, and visibility times importance with mean 1."""
    regions = capture.regions(config.regions)
    known = [regions[name] for name in FACE_REGIONS if name in regions]
    if not known:
        raise EscaError(
            f"{config.regions or capture.layout.regions}: holds none of the regions "
            f"{', '.join(FACE_REGIONS)}"
        )
    face = torch.from_numpy(np.any(known, axis=0)).float()
    # Views are coarser than the texture: a small blur closes the holes between their pixels.
    seen = torch.nn.functional.avg_pool2d(visibility[None, None], 5, 1, 2)[0, 0]
    weight = seen * (1 + (config.importance - 1) * face)
    return TexelMaps(face, weight / weight.mean().clamp_min(1e-12))


def _chunks(items: tuple[SampleId, ...], size: int) -> list[tuple[SampleId, ...]]:
    return [items[start : start + size] for start in range(0, len(items), size)]
