"""Codes of a moving face at any time: encoded ahead, or live while the call runs."""

from typing import Literal, Protocol

import torch
from torch import Tensor

from esca.avatars import Avatar
from esca.captures.layout import FrameId
from esca.captures.normalize import channels_first, normalize_texture, normalize_vertices
from esca.captures.reader import Capture
from esca.quantization.calibration import encode_each
from esca.telepresence.motion import Motion

Encode = Literal["ahead", "live"]


class CodeSource(Protocol):
    """Something that has a code at every time."""

    def code(self, time: float) -> Tensor:
        """(L,) float32 code at ``time`` seconds from the call's begin."""
        ...


class AheadSource:
    """Codes encoded before the call; between two recorded frames they are interpolated linearly."""

    def __init__(self, avatar: Avatar, capture: Capture, motion: Motion) -> None:
        self._motion = motion
        self._codes = encode_each(avatar, capture, motion.frames)

    def code(self, time: float) -> Tensor:
        """See :class:`CodeSource`."""
        index, share = self._motion.at(time)
        following = min(index + 1, len(self._codes) - 1)
        return torch.lerp(self._codes[index], self._codes[following], share)


class LiveSource:
    """Runs the encoder for every code, as a headset does.

    What its cameras would see between two recorded frames is their blend: textures and meshes are
    interpolated linearly. They are held in memory, 3 T^2 floats a frame, so that no file is read
    during the call.
    """

    def __init__(self, avatar: Avatar, capture: Capture, motion: Motion) -> None:
        self._avatar = avatar
        self._motion = motion
        inputs = [_inputs(avatar, capture, frame) for frame in motion.frames]
        self._textures = torch.stack([texture for texture, _ in inputs])
        self._meshes = torch.stack([mesh for _, mesh in inputs])

    def code(self, time: float) -> Tensor:
        """See :class:`CodeSource`."""
        index, share = self._motion.at(time)
        following = min(index + 1, len(self._textures) - 1)
        texture = torch.lerp(self._textures[index], self._textures[following], share)
        mesh = torch.lerp(self._meshes[index], self._meshes[following], share)
        with torch.no_grad():
            return self._avatar.encode(texture[None], mesh[None]).mean[0].float()


def source_of(encode: Encode, avatar: Avatar, capture: Capture, motion: Motion) -> CodeSource:
    """The source that encodes when ``encode`` says."""
    kind = LiveSource if encode == "live" else AheadSource
    return kind(avatar, capture, motion)


def _inputs(avatar: Avatar, capture: Capture, frame: FrameId) -> tuple[Tensor, Tensor]:
    mean = channels_first(capture.texture_mean)
    raw = channels_first(capture.texture(frame))
    texture, _ = normalize_texture(raw, mean, capture.texture_std, avatar.texture_size)
    vertices = torch.from_numpy(capture.vertices(frame)).reshape(-1)
    mean_vertices = torch.from_numpy(capture.vertex_mean)
    return texture, normalize_vertices(vertices, mean_vertices, capture.vertex_std)
