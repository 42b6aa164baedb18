from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from esca.avatars import Avatar, AvatarConfig, build_avatar
from esca.captures import AVERAGE, Camera, Capture, FrameId, Topology, open_capture, write_capture
from esca.captures.normalize import channels_first, normalize_texture, normalize_vertices
from esca.captures.plain import write_png
from esca.errors import EscaError
from esca.quantization.calibration import (
    CalibrationConfig,
    calibrate,
    calibration_samples,
    encode_frames,
    texel_maps,
)
from esca.quantization.recipe import load_recipe

TEXELS = 256
FRAMES = tuple(FrameId("E001_Neutral", f"{n:06d}") for n in range(1, 6))
HELD_OUT = FrameId("EXP_ROM07_Faces", "000009")


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Capture:
    """A square that one camera sees from the front, in colours that drift."""
    root = tmp_path_factory.mktemp("calibration") / "m--20260101--0000--000000002--GHS"
    corners = np.array([[-50, -50, 0], [50, -50, 0], [50, 50, 0], [-50, 50, 0]], np.float32)
    faces = np.array([[0, 1, 2], [0, 2, 3]], np.int32)
    uvs = np.array([[0.1, 0.1], [0.9, 0.1], [0.9, 0.9], [0.1, 0.9]], np.float32)
    pose = np.hstack([np.diag([1.0, -1.0, -1.0]), [[0], [0], [1000.0]]])
    intrinsics = np.array([[400.0, 0, 32], [0, 400.0, 32], [0, 0, 1]])
    camera = Camera("400029", intrinsics, pose, np.zeros(5), (64, 64))
    rng = np.random.default_rng(0)
    with write_capture(root, Topology(faces, uvs, faces), (camera,), TEXELS) as writer:
        for frame in (*FRAMES, HELD_OUT):
            moved = corners + rng.normal(size=(4, 3)).astype(np.float32)
            writer.write_frame(frame, moved, np.eye(4)[:3])
            for id in (AVERAGE, camera.id):
                texture = rng.integers(60, 200, (TEXELS, TEXELS, 3), dtype=np.uint8)
                writer.write_texture(frame, id, texture)
        mouth = np.zeros((TEXELS, TEXELS), bool)
        mouth[100:140, 90:170] = True
        writer.write_regions({"mouth": mouth})
    return open_capture(root)


@pytest.fixture(scope="module")
def avatar() -> Avatar:
    return build_avatar(AvatarConfig("base", TEXELS, 8, 4, 1), seed=0)


def test_codes_are_those_of_single_frames(capture: Capture, avatar: Avatar) -> None:
    found = encode_frames(avatar, capture, FRAMES[:3])
    assert found.shape == (3, 8) and not found.requires_grad
    for frame, code in zip(FRAMES[:3], found, strict=True):
        texture, _ = normalize_texture(
            channels_first(capture.texture(frame)),
            channels_first(capture.texture_mean),
            capture.texture_std,
        )
        vertices = torch.from_numpy(capture.vertices(frame)).reshape(-1)
        mean = torch.from_numpy(capture.vertex_mean)
        mesh = normalize_vertices(vertices, mean, capture.vertex_std)
        with torch.no_grad():
            expected = avatar.encode(texture[None], mesh[None]).mean[0]
        torch.testing.assert_close(code, expected, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(encode_frames(avatar, capture, [frame])[0], code)


@pytest.mark.parametrize(
    ("names", "kinds"),
    [((), set()), (("rtn",), set()), (("icas", "rtn"), {"plain"}), (("ffas-uv",), {"uv"}),
     (("gptq", "uv"), {"plain", "uv"}), (None, {"plain", "uv"})],
)  # fmt: skip
def test_only_the_hessians_that_the_recipes_need(
    capture: Capture,
    avatar: Avatar,
    names: tuple[str, ...] | None,
    kinds: set[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[object] = []
    monkeypatch.setattr(
        "esca.quantization.calibration.collect", lambda *arguments: asked.append(arguments[3])
    )
    recipes = None if names is None else [load_recipe(name) for name in names]
    calibrate(avatar, capture, CalibrationConfig(frames=1), recipes=recipes)
    assert len(asked) == 1 and set(asked[0]) == kinds


def test_held_out_segments_are_never_calibrated_on(capture: Capture) -> None:
    samples = calibration_samples(capture, CalibrationConfig(frames=100))
    assert [sample.frame_id for sample in samples] == list(FRAMES)


def test_a_capture_without_training_frames_is_named(capture: Capture) -> None:
    held_out = replace(capture, frames=(HELD_OUT,))
    with pytest.raises(EscaError, match=f"{capture.root}: the calibration set is empty"):
        calibration_samples(held_out, CalibrationConfig())


def test_masks_of_another_size_are_named_with_both_sizes(capture: Capture, tmp_path: Path) -> None:
    path = tmp_path / "mouth.png"
    write_png(path, np.full((128, 128), 255, np.uint8))
    config = CalibrationConfig(regions=tmp_path)
    with pytest.raises(EscaError, match=f"{path}: 128 x 128 texels, expected 256 x 256"):
        texel_maps(capture, torch.ones(TEXELS, TEXELS), config)
