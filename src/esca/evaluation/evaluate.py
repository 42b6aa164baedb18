"""Decoders against the reference: render what each decodes and score it."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol as Interface

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from esca.avatars import Avatar
from esca.errors import EscaError
from esca.evaluation.clips import Clip, Clips, Segment
from esca.evaluation.metrics import Video, flicker, psnr, ssim
from esca.evaluation.rows import RegionScore, Row
from esca.evaluation.table import combined
from esca.evaluation.vdp import jod
from esca.rendering.raster import Scene

BATCH = 4
"""Frames that are decoded at a time."""

FP32 = "fp32"


class Decoder(Interface):
    """Anything that turns codes and view directions into textures and meshes."""

    def decode(self, z: Tensor, view: Tensor) -> tuple[Tensor, Tensor]:
        """(B, L) and (B, 3) float32 on the CPU to (B, 3, T, T) and (B, 3V), both normalized."""
        ...


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
        """See :class:`Decoder`."""
        texture, mesh = self.module(z.to(self.device), view.to(self.device))
        return texture, mesh

    @property
    def bytes(self) -> int:
        """Size of the parameters."""
        return sum(value.numel() * value.element_size() for value in self.module.parameters())


def evaluate(
    methods: Sequence[Method],
    clips: Clips,
    progress: Callable[[int, int], None] | None = None,
    on_video: Callable[[Method, Segment, Clip, Video], None] | None = None,
) -> tuple[Row, ...]:
    """Scores of the fp32 avatar (first) and of every method, one row for each view.

    ``progress``: steps of one method in one segment. ``on_video`` gets every rendered video
    (F, H, W, 3) before it is dropped, the fp32 ones first. Memory: the videos of one segment of the
    fp32 avatar and of one method. EscaError if a decoder's output has another shape or is not
    finite, or without pyfvvdp.
    """
    own = FloatDecoder(clips.avatar)
    everything = [Method(FP32, FP32, own.bytes, own), *methods]
    total, done = len(everything) * len(clips.segments), 0
    parts: dict[int, list[tuple[int, list[Row]]]] = {}
    threads = torch.get_num_threads()
    workers = max(1, min(threads, os.cpu_count() or 1))
    with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        try:
            for segment in clips.segments:
                fp32: list[Video] = []
                for number, method in enumerate(everything):
                    videos = render_videos(method, segment, clips)
                    fp32 = fp32 or videos
                    rows = _scores(pool, method, segment, clips, videos, fp32)
                    parts.setdefault(number, []).append((len(segment.frames), rows))
                    if on_video:
                        for clip, video in zip(segment.clips, videos, strict=True):
                            on_video(method, segment, clip, video)
                    done += 1
                    if progress:
                        progress(done, total)
        finally:
            torch.set_num_threads(threads)
    return tuple(
        combined([(frames, rows[view]) for frames, rows in parts[number]])
        for number in range(len(everything))
        for view in range(len(clips.protocol.views))
    )


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
    with torch.inference_mode():
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


def _scores(
    pool: ThreadPoolExecutor,
    method: Method,
    segment: Segment,
    clips: Clips,
    videos: Sequence[Video],
    fp32: Sequence[Video],
) -> list[Row]:
    """One row a view; every score is a job of its own, so that all cores have work."""
    rows = [
        _Jobs(pool, method, clip, clips, video, ideal)
        for clip, video, ideal in zip(segment.clips, videos, fp32, strict=True)
    ]
    return [row.result() for row in rows]


class _Jobs:
    """The scores of one video, being computed."""

    def __init__(
        self,
        pool: ThreadPoolExecutor,
        method: Method,
        clip: Clip,
        clips: Clips,
        video: Video,
        ideal: Video,
    ) -> None:
        protocol = clips.protocol
        display = (protocol.display, protocol.fps, protocol.foveated)
        truth = ideal if clip.reference is None else clip.reference
        self.method, self.clip = method, clip
        self.vdp_fp32 = pool.submit(jod, video, ideal, *display)
        self.vdp = self.vdp_fp32 if truth is ideal else pool.submit(jod, video, truth, *display)
        self.psnr = pool.submit(psnr, video, truth, clip.mask)
        self.psnr_fp32 = pool.submit(psnr, video, ideal, clip.mask)
        self.ssim = pool.submit(ssim, video, truth, clip.mask)
        self.flicker = pool.submit(flicker, video, truth, clip.mask)
        self.regions: dict[str, tuple[Future[float], Future[float], Future[float]]] = {}
        for name, box in clip.boxes.items():
            crop, right, mask = video[box.slices], truth[box.slices], clip.mask[box.slices]
            self.regions[name] = (
                pool.submit(psnr, crop, right, mask),
                pool.submit(ssim, crop, right, mask),
                pool.submit(jod, crop, right, *display),
            )

    def result(self) -> Row:
        """Wait for all scores."""
        return Row(
            method=self.method.name,
            bits=self.method.bits,
            view=self.clip.view,
            bytes=self.method.bytes,
            vdp=self.vdp.result(),
            vdp_fp32=self.vdp_fp32.result(),
            psnr=self.psnr.result(),
            psnr_fp32=self.psnr_fp32.result(),
            ssim=self.ssim.result(),
            flicker=self.flicker.result(),
            regions={
                name: RegionScore(*(score.result() for score in scores))
                for name, scores in self.regions.items()
            },
        )
