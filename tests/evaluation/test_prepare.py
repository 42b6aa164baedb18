from dataclasses import replace

import numpy as np
import pytest
import torch

from esca.avatars import Avatar, AvatarConfig, build_avatar
from esca.captures import Capture
from esca.captures.normalize import channels_first, normalize_texture, normalize_vertices
from esca.errors import EscaError
from esca.evaluation import Clips, Protocol, prepare_clips
from esca.evaluation.clips import as_display
from esca.rendering.shade import render


def test_it_takes_the_middle_of_the_held_out_segment(clips: Clips) -> None:
    (segment,) = clips.segments
    assert segment.name == "EXP_ROM07"
    assert [frame.frame for frame in segment.frames] == ["000004", "000006", "000007"]
    assert [clip.view for clip in segment.clips] == ["front", "right"]
    assert [clip.camera_index for clip in segment.clips] == [2, 1]


def test_codes_are_the_encoders_means(clips: Clips, capture: Capture, avatar: Avatar) -> None:
    segment = clips.segments[0]
    texture, _ = normalize_texture(
        channels_first(capture.texture(segment.frames[1])),
        channels_first(capture.texture_mean),
        capture.texture_std,
    )
    mesh = normalize_vertices(
        torch.from_numpy(capture.vertices(segment.frames[1])).reshape(-1),
        torch.from_numpy(capture.vertex_mean),
        capture.vertex_std,
    )
    with torch.no_grad():
        expected = avatar.encode(texture[None], mesh[None]).mean[0]
    assert torch.allclose(segment.codes[1], expected, atol=1e-6)


def test_the_tracked_reference_is_a_crop_of_the_rendering(clips: Clips, capture: Capture) -> None:
    assert clips.protocol.reference == "tracked"
    segment = clips.segments[0]
    for clip in segment.clips:
        assert clip.reference is not None
        frame = segment.frames[2]
        picture = render(
            capture.texture(frame, clip.camera.id).astype(np.float32),
            capture.vertices(frame),
            capture.topology,
            clip.camera,
            capture.transform(frame),
        )
        assert (clip.reference[2] == as_display(picture)).all()
        assert clip.mask.shape == clip.reference.shape[:3]
        assert (clip.mask[2] == picture.any(axis=2)).all()
        assert 0.5 < clip.mask.mean() < 1


def test_directions_point_to_the_camera(clips: Clips, capture: Capture) -> None:
    segment = clips.segments[0]
    for clip in segment.clips:
        for frame, direction in zip(segment.frames, clip.directions, strict=True):
            expected = capture.camera(clip.camera.id).view_direction(capture.transform(frame))
            assert direction.numpy() == pytest.approx(expected, abs=1e-6)


def test_boxes_hold_the_regions_in_sight(clips: Clips) -> None:
    for clip in clips.segments[0].clips:
        assert set(clip.boxes) == {"nose", "mouth"}
        nose, mouth = clip.boxes["nose"], clip.boxes["mouth"]
        rows, columns = clip.camera.size
        for box in (nose, mouth):
            assert 0 <= box.top < box.bottom <= rows
            assert 0 <= box.left < box.right <= columns
            assert box.bottom - box.top >= min(32, rows)
        assert mouth.top + mouth.bottom > nose.top + nose.bottom  # the mouth lies below


def test_photos_are_masked_by_the_tracked_mesh(
    photographed: Capture, avatar: Avatar, protocol: Protocol
) -> None:
    clips = prepare_clips(photographed, avatar, replace(protocol, scale=1.0))
    assert clips.protocol.reference == "photo"
    tracked = prepare_clips(photographed, avatar, replace(protocol, scale=1.0, reference="tracked"))
    for photo, own in zip(clips.segments[0].clips, tracked.segments[0].clips, strict=True):
        assert photo.reference is not None
        assert own.reference is not None
        assert (photo.reference[~photo.mask] == 0).all()
        difference = np.abs(photo.reference.astype(int) - own.reference)
        assert np.percentile(difference, 99.9) <= 3  # the photo was rounded before it was cropped


def test_the_avatars_own_rendering_needs_no_reference(
    capture: Capture, avatar: Avatar, protocol: Protocol
) -> None:
    clips = prepare_clips(capture, avatar, replace(protocol, reference="fp32"))
    assert clips.protocol.reference == "fp32"
    assert all(clip.reference is None for clip in clips.segments[0].clips)


def test_progress_counts_frames(capture: Capture, avatar: Avatar, protocol: Protocol) -> None:
    calls: list[tuple[int, int]] = []
    prepare_clips(
        capture,
        avatar,
        replace(protocol, views={"front": "400029"}, frames=2),
        segments=["E001", "EXP_ROM"],
        progress=lambda done, total: calls.append((done, total)),
    )
    assert calls == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_what_does_not_fit_is_named(capture: Capture, avatar: Avatar, protocol: Protocol) -> None:
    with pytest.raises(EscaError, match=r"avatar: has 80 vertices, the capture .* has 81"):
        prepare_clips(capture, _avatar(80, 3), protocol)
    with pytest.raises(EscaError, match="avatar: corrects the colours of 4 cameras"):
        prepare_clips(capture, _avatar(81, 4), protocol)
    with pytest.raises(EscaError, match="no frame of segments SEN"):
        prepare_clips(capture, avatar, protocol, segments=["SEN"])
    with pytest.raises(EscaError, match="holds no camera '400050'"):
        prepare_clips(capture, avatar, replace(protocol, views={"top": "400050"}))
    with pytest.raises(EscaError, match=r"000004.png: no such photo"):
        prepare_clips(capture, avatar, replace(protocol, reference="photo"))


def _avatar(vertices: int, cameras: int) -> Avatar:
    config = AvatarConfig(texture_size=256, latent=4, vertices=vertices, cameras=cameras)
    return build_avatar(config, seed=0)
