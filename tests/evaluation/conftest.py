"""A tiny capture of a bulging mask, seen by three cameras, and an avatar of its shape."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from esca.avatars import Avatar, AvatarConfig, build_avatar
from esca.captures import AVERAGE, Camera, Capture, FrameId, Topology, open_capture, write_capture
from esca.evaluation import Clips, Protocol, prepare_clips
from esca.rendering.raster import Scene
from esca.rendering.shade import shade, view_raster

SIDE = 9
TEXELS = 256
ANGLES = {"400012": -35.0, "400017": 35.0, "400029": 0.0}
FRAMES = [FrameId("E001_Neutral", f"{n:06d}") for n in (1, 2)]
HELD_OUT = [FrameId("EXP_ROM07", f"{n:06d}") for n in (3, 4, 6, 7, 8)]


def mask_topology() -> Topology:
    """A grid of quads, wound so that it faces +z; u grows with x, v with y."""
    number = np.arange(SIDE * SIDE).reshape(SIDE, SIDE)
    a, b, c, d = number[:-1, :-1], number[:-1, 1:], number[1:, 1:], number[1:, :-1]
    faces = np.concatenate([np.stack(t, axis=-1).reshape(-1, 3) for t in ((a, b, c), (a, c, d))])
    place = np.linspace(0.02, 0.98, SIDE)
    uvs = np.stack(np.meshgrid(place, place, indexing="xy"), axis=-1).reshape(-1, 2)
    faces = faces.astype(np.int32)
    return Topology(faces, uvs.astype(np.float32), faces)


def mask_vertices(bulge: float) -> NDArray[np.float32]:
    """A square of 180 mm that bulges towards +z."""
    place = np.linspace(-90, 90, SIDE)
    x, y = np.meshgrid(place, place, indexing="xy")
    z = bulge * np.cos(x / 60) * np.cos(y / 60)
    return np.stack([x, y, z], axis=-1).reshape(-1, 3).astype(np.float32)


def ring_camera(id: str, degrees: float) -> Camera:
    """A small camera 1.1 m away at an angle around the vertical axis."""
    angle = np.deg2rad(degrees)
    turn = np.array(
        [[np.cos(angle), 0, -np.sin(angle)], [0, 1, 0], [np.sin(angle), 0, np.cos(angle)]]
    )
    extrinsics = np.hstack([np.diag([1.0, -1.0, -1.0]) @ turn, [[0], [0], [1100.0]]])
    intrinsics = np.array([[420.0, 0, 60], [0, 420.0, 70], [0, 0, 1]])
    return Camera(id, intrinsics, extrinsics, np.zeros(5), (140, 120))


def frame_texture(frame: FrameId, camera: str) -> NDArray[np.uint8]:
    """Smooth colours that drift with the frame and differ between cameras; never 0."""
    row, column = np.mgrid[:TEXELS, :TEXELS] / TEXELS
    phase = int(frame.frame) * 0.7 + sum(camera.encode()) * 0.1
    waves = [np.sin(9 * column + phase), np.cos(7 * row - phase), np.sin(8 * (row + column))]
    return (90 + 60 * np.stack(waves, axis=-1)).astype(np.uint8)


def frame_vertices(frame: FrameId) -> NDArray[np.float32]:
    return mask_vertices(20.0 + 3 * int(frame.frame))


def frame_pose(frame: FrameId) -> NDArray[np.float64]:
    return np.hstack([np.eye(3), [[int(frame.frame) * 1.0], [0], [0]]])


def make_capture(folder: Path, photos: bool) -> Capture:
    """Write the capture; photos are renderings of the cameras' textures without supersampling."""
    target = folder / "m--20260101--0000--000000001--GHS"
    cameras = tuple(ring_camera(id, angle) for id, angle in ANGLES.items())
    topology = mask_topology()
    with write_capture(target, topology, cameras, TEXELS, objs="first") as writer:
        for frame in (*FRAMES, *HELD_OUT):
            writer.write_frame(frame, frame_vertices(frame), frame_pose(frame))
            writer.write_texture(frame, AVERAGE, frame_texture(frame, AVERAGE))
            scene = Scene(frame_vertices(frame), topology.faces)
            for camera in cameras:
                texture = frame_texture(frame, camera.id)
                writer.write_texture(frame, camera.id, texture)
                if photos:
                    raster = view_raster(scene, camera, frame_pose(frame))
                    photo = shade(texture.astype(np.float32), topology, raster)
                    photo[~raster.foreground] = 200  # a studio wall, which must not count
                    writer.write_photo(frame, camera.id, np.rint(photo).astype(np.uint8))
        row, column = np.mgrid[:TEXELS, :TEXELS] / TEXELS
        nose = (np.abs(column - 0.5) < 0.1) & (np.abs(row - 0.5) < 0.1)
        mouth = (np.abs(column - 0.5) < 0.2) & (np.abs(row - 0.25) < 0.08)
        writer.write_regions({"nose": nose, "mouth": mouth})
    return open_capture(target)


@pytest.fixture(scope="session")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Capture:
    return make_capture(tmp_path_factory.mktemp("plain"), photos=False)


@pytest.fixture(scope="session")
def photographed(tmp_path_factory: pytest.TempPathFactory) -> Capture:
    return make_capture(tmp_path_factory.mktemp("photos"), photos=True)


@pytest.fixture(scope="session")
def avatar() -> Avatar:
    config = AvatarConfig(texture_size=TEXELS, latent=16, vertices=SIDE * SIDE, cameras=3)
    avatar = build_avatar(config, seed=1)
    with torch.no_grad():
        avatar.cc.bias[0] = 0.3  # the second camera (400017) has colours of its own
    return avatar.eval()


@pytest.fixture(scope="session")
def protocol() -> Protocol:
    return Protocol(
        views={"front": "400029", "right": "400017"}, scale=0.5, supersample=1, frames=3
    )


@pytest.fixture(scope="session")
def clips(capture: Capture, avatar: Avatar, protocol: Protocol) -> Clips:
    return prepare_clips(capture, avatar, protocol)


class Replay:
    """A perfect decoder: finds the frame by its code and gives the capture's own data.

    ``shift`` adds grey levels to the texture. The avatar's colour correction is undone.
    """

    def __init__(self, capture: Capture, clips: Clips, shift: float = 0.0) -> None:
        self.capture, self.clips, self.shift = capture, clips, shift
        self.calls = 0

    def decode(self, z: torch.Tensor, view: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        self.calls += 1
        segment, clips = self.clips.segments[0], self.clips
        textures, meshes = [], []
        for code, direction in zip(z, view, strict=True):
            number = int((segment.codes - code).square().sum(dim=1).argmin())
            clip = min(
                segment.clips, key=lambda c: float((c.directions[number] - direction).norm())
            )
            frame = segment.frames[number]
            own = self.capture.texture(frame, clip.camera.id).astype(np.float32) + self.shift
            raw = torch.from_numpy(own).permute(2, 0, 1)
            normalized = (raw - clips.texture_mean) / clips.texture_std
            weight = clips.avatar.cc.weight.detach()[clip.camera_index - 1]
            bias = clips.avatar.cc.bias.detach()[clip.camera_index - 1]
            textures.append((normalized - bias) / weight if clip.camera_index else normalized)
            flat = torch.from_numpy(self.capture.vertices(frame)).reshape(-1)
            meshes.append((flat - clips.vertex_mean) / clips.vertex_std)
        return torch.stack(textures), torch.stack(meshes)


@pytest.fixture
def replay(capture: Capture, clips: Clips) -> Replay:
    return Replay(capture, clips)


@pytest.fixture
def shifted(capture: Capture, clips: Clips) -> Replay:
    return Replay(capture, clips, shift=12.0)


@pytest.fixture
def one_view(clips: Clips) -> Clips:
    """The same clips, front only."""
    segment = clips.segments[0]
    return replace(
        clips,
        protocol=replace(clips.protocol, views={"front": "400029"}),
        segments=(replace(segment, clips=segment.clips[:1]),),
    )
