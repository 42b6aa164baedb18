"""From a capture and an avatar to the clips that decoders are judged on."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from esca.avatars import Avatar
from esca.captures.layout import FrameId
from esca.captures.normalize import channels_first, resize
from esca.captures.reader import Capture
from esca.errors import EscaError
from esca.evaluation.clips import Clip, Clips, Segment, as_display
from esca.evaluation.metrics import Video
from esca.evaluation.protocol import Protocol, Reference
from esca.evaluation.windows import (
    SMALLEST,
    crop_photo,
    cropped,
    framed_vertices,
    head_box,
    joined,
    region_boxes,
)
from esca.quantization.calibration import check_fits, encode_frames
from esca.rendering.atlas import BLEED, border_texels, dilate, rasterize_uv
from esca.rendering.raster import Scene
from esca.rendering.shade import coverage, shade, view_raster

REGION_MARGIN = 0.1

Progress = Callable[[int, int], None]
Regions = Mapping[str, NDArray[np.bool_]]


def prepare_clips(
    capture: Capture,
    avatar: Avatar,
    protocol: Protocol,
    segments: Sequence[str] | None = None,
    regions: Regions | None = None,
    progress: Progress | None = None,
) -> Clips:
    """Read, encode and crop the held-out clips.

    ``segments``: prefixes of segment names (default: those that the capture's rig holds out).
    ``regions``: (T, T) masks in array orientation (default: the capture's own, if it has some).
    Codes are the encoder's means. EscaError if the avatar does not fit the capture, a camera is
    missing, nothing is held out, or photos are asked for and one is missing.
    """
    check_fits(avatar, capture)
    chosen = choose_frames(capture, protocol, segments)
    if regions is None:
        regions = capture.regions() if capture.layout.regions.is_dir() else {}
    side = capture.texture_size
    for name, mask in regions.items():
        if mask.shape != (side, side):
            shape = " x ".join(map(str, mask.shape))
            raise EscaError(f"region {name!r}: {shape} texels, expected {side} x {side}")
    clips = Clips(
        replace(protocol, reference=_reference_kind(capture, protocol, chosen)),
        avatar,
        capture.topology,
        resize(channels_first(capture.texture_mean), avatar.texture_size),
        capture.texture_std,
        torch.from_numpy(capture.vertex_mean),
        capture.vertex_std,
        border_texels(rasterize_uv(capture.topology, avatar.texture_size).foreground, BLEED),
        (),
    )
    scored = {name: regions[name] for name in protocol.regions if name in regions}
    framed = framed_vertices(capture.topology, capture.vertex_count, protocol.crop, regions)
    total = sum(len(frames) for frames in chosen.values())
    made: list[Segment] = []
    for name, frames in chosen.items():
        before = sum(len(segment.frames) for segment in made)

        def advance(number: int, before: int = before) -> None:
            if progress:
                progress(before + number, total)

        made.append(_Recording(capture, clips, frames, scored, framed).segment(name, advance))
    return replace(clips, segments=tuple(made))


def choose_frames(
    capture: Capture, protocol: Protocol, segments: Sequence[str] | None = None
) -> dict[str, tuple[FrameId, ...]]:
    """The middle frames of each held-out segment, of those that every view has."""
    prefixes = capture.held_out_prefixes if segments is None else tuple(segments)
    cameras = tuple(dict.fromkeys(protocol.views.values()))
    views: dict[FrameId, int] = {}
    for sample in capture.samples(cameras, prefixes):
        views[sample.frame_id] = views.get(sample.frame_id, 0) + 1
    groups: dict[str, list[FrameId]] = {}
    for frame, count in views.items():
        if count == len(cameras):
            groups.setdefault(frame.segment, []).append(frame)
    if not groups:
        raise EscaError(
            f"{capture.root}: no frame of segments {' '.join(prefixes)}* has textures of cameras "
            f"{' '.join(cameras)}, expected held-out frames"
        )
    result = {}
    for name, frames in groups.items():
        first = max(0, (len(frames) - protocol.frames) // 2)
        result[name] = tuple(frames[first : first + protocol.frames])
    return result


def _reference_kind(
    capture: Capture, protocol: Protocol, chosen: Mapping[str, Sequence[FrameId]]
) -> Reference:
    """What really can be the reference."""
    if protocol.reference not in ("auto", "photo"):
        return protocol.reference
    for frame in (frame for frames in chosen.values() for frame in frames):
        for camera in protocol.views.values():
            if not capture.has_photo(frame, camera):
                if protocol.reference == "auto":
                    return "tracked"
                path = capture.layout.photo(frame, camera)
                raise EscaError(f"{path}: no such photo, and the protocol's reference is 'photo'")
    return "photo"


@dataclass(frozen=True, eq=False)
class _Recording:
    """The frames of one segment, read one at a time."""

    capture: Capture
    clips: Clips
    frames: tuple[FrameId, ...]
    regions: Regions
    framed: NDArray[np.int64]

    def segment(self, name: str, advance: Callable[[int], None]) -> Segment:
        protocol, topology = self.clips.protocol, self.capture.topology
        meshes = [self.capture.vertices(frame) for frame in self.frames]
        transforms = np.stack([self.capture.transform(frame) for frame in self.frames])
        cameras = [self.capture.camera(id) for id in protocol.views.values()]
        heads = [
            head_box(camera, [mesh[self.framed] for mesh in meshes], transforms, protocol.margin)
            for camera in cameras
        ]
        windows = [
            cropped(camera, box, protocol.scale) for camera, box in zip(cameras, heads, strict=True)
        ]
        codes = []
        masks: list[list[NDArray[np.bool_]]] = [[] for _ in cameras]
        references: list[list[Video]] = [[] for _ in cameras]
        boxes: list[list[dict]] = [[] for _ in cameras]
        for number, (frame, mesh) in enumerate(zip(self.frames, meshes, strict=True)):
            codes.append(encode_frames(self.clips.avatar, self.capture, [frame]))
            scene = Scene(mesh, topology.faces)
            for view, (window, head) in enumerate(zip(windows, heads, strict=True)):
                raster = view_raster(scene, window, transforms[number], protocol.supersample)
                inside = coverage(raster, protocol.supersample)
                masks[view].append(inside >= 0.5)
                boxes[view].append(
                    region_boxes(raster, topology, self.regions, protocol.supersample)
                )
                if protocol.reference == "photo":
                    photo = self.capture.photo(frame, window.id)
                    raw = crop_photo(photo, head, window.size, protocol.scale)
                    references[view].append(as_display(raw * inside[..., None]))
                elif protocol.reference == "tracked":
                    own = self._own_texture(frame, window.id)
                    raw = shade(own, topology, raster, protocol.supersample)
                    references[view].append(as_display(raw))
            advance(number + 1)
        clips = tuple(
            Clip(
                view=view,
                camera=windows[number],
                camera_index=self.capture.camera_index(id),
                directions=self._directions(id, transforms),
                reference=np.stack(references[number]) if references[number] else None,
                mask=np.stack(masks[number]),
                boxes={
                    region: box.widened(REGION_MARGIN, SMALLEST, windows[number].size)
                    for region, box in joined(boxes[number]).items()
                },
            )
            for number, (view, id) in enumerate(protocol.views.items())
        )
        return Segment(name, self.frames, torch.cat(codes), transforms, clips)

    def _own_texture(self, frame: FrameId, camera: str) -> NDArray[np.float32]:
        """A camera's texture with what it saw bled a little beyond its borders."""
        texture = self.capture.texture(frame, camera)
        return dilate(texture.astype(np.float32), (texture != 0).max(axis=2), BLEED)

    def _directions(self, camera: str, transforms: NDArray[np.float64]) -> Tensor:
        at = self.capture.camera(camera)
        return torch.from_numpy(np.stack([at.view_direction(pose) for pose in transforms])).float()
