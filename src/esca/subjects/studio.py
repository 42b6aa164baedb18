"""Recording a subject: every frame of every segment, as each camera of the rig sees it.

The result is a capture in the MultiFace format. Frames are independent of each other, so the files
are the same whatever the number of worker processes.
"""

import multiprocessing
import os
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from esca.captures.geometry import Camera
from esca.captures.layout import AVERAGE, FrameId
from esca.captures.writer import CaptureWriter, write_capture
from esca.errors import EscaError
from esca.rendering.atlas import dilate
from esca.rendering.raster import Scene
from esca.rendering.shade import shade, view_raster
from esca.subjects.exposure import FramePlan, exposed_frame, frame_plan
from esca.subjects.lighting import Lighting
from esca.subjects.rig import studio_rig
from esca.subjects.segments import Segment, default_segments
from esca.subjects.subject import Subject

Progress = Callable[[int, int], None]

_GUTTER = 4
"""Texels by which shading is bled beyond charts and shadows before a photo samples it."""


@dataclass(frozen=True)
class RecordConfig:
    """What to record. ``cameras``: those that write textures (and photos, if ``photos``).

    ``texture_size``: texels a side. ``workers``: processes; None takes one for each core.
    ``replace``: an existing capture at the target may be overwritten.
    """

    texture_size: int = 512
    cameras: tuple[Camera, ...] = field(default_factory=studio_rig)
    segments: tuple[Segment, ...] = field(default_factory=lambda: default_segments(200))
    photos: bool = False
    lighting: Lighting = field(default_factory=Lighting)
    workers: int | None = None
    replace: bool = False


def record(
    subject: Subject, root: Path, config: RecordConfig, progress: Progress | None = None
) -> None:
    """Record ``subject`` into a new capture at ``root``; nothing is left behind on failure.

    Per-camera textures are exactly 0 where the camera does not see the texel and at least 1 in
    every channel where it does; the average is over the cameras that see it. ``progress`` counts
    frames. Raises EscaError for a configuration without frames or with an unwritable target.
    """
    jobs = [(segment, number) for segment in config.segments for number in segment.frames]
    if not jobs:
        raise EscaError("segments: there is no frame to record")
    workers = config.workers if config.workers is not None else os.cpu_count() or 1
    if workers < 1:
        raise EscaError(f"workers: {workers!r}; expected at least 1")
    topology = subject.topology
    vertex_count = len(subject.vertices({}))
    with write_capture(
        root,
        topology,
        config.cameras,
        config.texture_size,
        vertex_count=vertex_count,
        replace=config.replace,
    ) as writer:
        regions = subject.regions(config.texture_size)
        plan = frame_plan(subject, config.texture_size, config.lighting)
        writer.write_regions(regions)
        writer.write_loss_weight(loss_weight(regions, plan.covered))
        writer.write_readme(readme(subject, config, len(jobs)))
        studio = _Studio(subject, config, plan, writer)
        if workers == 1 or len(jobs) == 1:
            for done, job in enumerate(jobs, start=1):
                studio.expose(*job)
                if progress is not None:
                    progress(done, len(jobs))
        else:
            _in_parallel(studio, jobs, min(workers, len(jobs)), progress)


def loss_weight(
    regions: Mapping[str, NDArray[np.bool_]], covered: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """(T, T) weights of the training loss: 1 on skin, 2 on the face, 4 on its features; 0 outside.

    ``covered``: texels inside charts. Softened over a few texels, so that no edge shows.
    """
    size = len(covered)
    weight = np.ones((size, size))
    for name, value in (
        ("face", 2.0),
        ("brows", 3.0),
        ("nose", 3.0),
        ("mouth", 4.0),
        ("eyes", 4.0),
    ):
        if name in regions:
            weight[regions[name]] = value
    radius = max(size // 128, 1)
    for axis in (0, 1):
        padded = np.pad(
            weight, [(radius + 1, radius) if axis == a else (0, 0) for a in (0, 1)], "edge"
        )
        total = np.cumsum(padded, axis=axis)
        span = 2 * radius + 1
        upper = np.take(total, np.arange(span, span + size), axis=axis)
        weight = (upper - np.take(total, np.arange(size), axis=axis)) / span
    return np.where(covered, weight, 0.0).astype(np.float32)


def readme(subject: Subject, config: RecordConfig, frames: int) -> str:
    """What the capture is, as Markdown."""
    held_out = [segment.name for segment in config.segments if segment.held_out]
    cameras = ", ".join(camera.id for camera in config.cameras)
    photos = "with photos" if config.photos else "without photos"
    lines = [
        f"# {subject.name}",
        "",
        subject.description.strip(),
        "",
        "## This capture",
        "",
        "A synthetic recording in the MultiFace format, made by `esca`: no camera was involved.",
        "",
        f"- {frames} frames in {len(config.segments)} segments at 30 frames a second; training "
        "segments may skip frames",
        f"- held-out segments: {', '.join(held_out) or 'none'}",
        f"- cameras: {cameras} ({photos}); 400029 is in front, 400012 on the subject's left, "
        "400017 on the right",
        f"- textures: {config.texture_size} x {config.texture_size}, 0 where unseen, raw values "
        "(before the dataset's display transform)",
        "- `regions/` and `loss_weight_mask.png` are additions of esca",
        "",
    ]
    return "\n".join(lines)


@dataclass(frozen=True, eq=False)
class _Studio:
    """Everything that a worker needs to record any frame."""

    subject: Subject
    config: RecordConfig
    plan: FramePlan
    writer: CaptureWriter

    def expose(self, segment: Segment, number: int) -> None:
        """Record one frame with all cameras."""
        topology, size = self.subject.topology, self.config.texture_size
        known = self.subject.expressions
        weights = {k: v for k, v in segment.weights(number).items() if k in known}
        transform = segment.transform(number)
        frame = FrameId(segment.name, f"{number:06d}")
        vertices = self.subject.vertices(weights)
        self.writer.write_frame(frame, vertices, transform)
        scene = Scene(vertices, topology.faces)
        skin = self.subject.skin(weights, size)
        exposed = exposed_frame(self.plan, vertices, skin, transform, scene)
        total = np.zeros((size * size, 3), np.float32)
        count = np.zeros(size * size, np.float32)
        for camera in self.config.cameras:
            index, raw = exposed.seen_by(camera)
            self.writer.write_texture(frame, camera.id, _stored(index, raw, size))
            total[index] += raw
            count[index] += 1.0
            if self.config.photos:
                picture = np.zeros((size, size, 3), np.float32)
                picture.reshape(-1, 3)[index] = raw
                mask = np.zeros(size * size, bool)
                mask[index] = True
                picture = dilate(picture, mask.reshape(size, size), _GUTTER)
                raster = view_raster(scene, camera, transform)
                photo = shade(picture, topology, raster) * 255.0
                self.writer.write_photo(frame, camera.id, np.rint(photo).astype(np.uint8))
        seen = np.flatnonzero(count)
        average = total[seen] / count[seen, None]
        self.writer.write_texture(frame, AVERAGE, _stored(seen, average, size))


def _stored(index: NDArray[np.intp], raw: NDArray[np.float32], size: int) -> NDArray[np.uint8]:
    """(T, T, 3) texture with raw values in [0, 1] at ``index``: at least 1 there, 0 elsewhere."""
    texture = np.zeros((size * size, 3), np.uint8)
    texture[index] = np.clip(np.rint(raw * 255.0), 1, 255).astype(np.uint8)
    return texture.reshape(size, size, 3)


_worker: _Studio | None = None


def _start_worker(studio: _Studio) -> None:
    global _worker
    torch.set_num_threads(1)
    _worker = studio


def _expose(segment: Segment, number: int) -> None:
    assert _worker is not None
    _worker.expose(segment, number)


def _in_parallel(
    studio: _Studio, jobs: list[tuple[Segment, int]], workers: int, progress: Progress | None
) -> None:
    # Forked workers share the subject's arrays and need no importable main module.
    method = "fork" if sys.platform == "linux" else "spawn"
    with ProcessPoolExecutor(
        workers, multiprocessing.get_context(method), _start_worker, (studio,)
    ) as pool:
        futures = [pool.submit(_expose, *job) for job in jobs]
        try:
            for done, future in enumerate(as_completed(futures), start=1):
                future.result()
                if progress is not None:
                    progress(done, len(jobs))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
