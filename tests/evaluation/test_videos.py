import math
from typing import Any

import numpy as np
import pytest
import torch

from esca.errors import EscaError
from esca.evaluation import Clips, Method, render_videos


def test_a_perfect_decoder_shows_the_reference(clips: Clips, replay: Any) -> None:
    segment = clips.segments[0]
    videos = render_videos(Method("replay", "W4A4", 1, replay), segment, clips)
    for clip, video in zip(segment.clips, videos, strict=True):
        assert clip.reference is not None
        assert np.abs(video.astype(int) - clip.reference).max() <= 1
        assert (video == clip.reference).mean() > 0.99


def test_a_camera_gets_its_own_colours(clips: Clips) -> None:
    raw = torch.zeros(1, 3, 256, 256)
    (plain,) = clips.pictures(raw, 0)
    (tinted,) = clips.pictures(raw, 1)
    inner = slice(8, -8)
    expected = clips.texture_mean.permute(1, 2, 0).numpy()
    assert np.abs(plain - expected)[inner, inner].max() < 1e-3
    assert np.abs(tinted - plain - 0.3 * clips.texture_std).max() < 1e-3


def test_charts_are_bled_beyond_their_borders(clips: Clips) -> None:
    # The mask's chart ends at u = 0.02, between the texels 4 and 5 of 256.
    texture = torch.rand(1, 3, 256, 256, generator=torch.Generator().manual_seed(0))
    (picture,) = clips.pictures(texture, 0)
    row = picture[100]
    assert (row[4] == row[5]).all() and (row[3] == row[5]).all()
    assert (row[2] != row[5]).any() and (row[6] != row[5]).any()


def test_decoding_is_done_in_batches_and_does_not_depend_on_them(
    clips: Clips, replay: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    method = Method("replay", "W4A4", 1, replay)
    whole = render_videos(method, clips.segments[0], clips)
    assert replay.calls == 2
    monkeypatch.setattr("esca.evaluation.videos.BATCH", 1)
    parts = render_videos(method, clips.segments[0], clips)
    assert replay.calls == 2 + 6
    assert all((a == b).all() for a, b in zip(whole, parts, strict=True))


class Broken:
    def __init__(self, texture: Any, mesh: Any) -> None:
        self.answer = texture, mesh

    def decode(self, z: torch.Tensor, view: torch.Tensor) -> Any:
        texture, mesh = self.answer
        return texture.expand(len(z), *texture.shape), mesh.expand(len(z), *mesh.shape)


@pytest.mark.parametrize(
    ("texture", "mesh", "message"),
    [
        (torch.zeros(3, 128, 128), torch.zeros(243), r"rtn W4A4: texture of shape \(3, 3, 128"),
        (torch.zeros(3, 256, 256), torch.zeros(240), r"rtn W4A4: mesh of shape \(3, 240\)"),
        (torch.full((3, 256, 256), math.nan), torch.zeros(243), "rtn W4A4: texture holds NaN"),
    ],
)
def test_a_broken_decoder_is_named(
    texture: torch.Tensor, mesh: torch.Tensor, message: str, clips: Clips
) -> None:
    method = Method("rtn", "W4A4", 1, Broken(texture, mesh))
    with pytest.raises(EscaError, match=message):
        render_videos(method, clips.segments[0], clips)
