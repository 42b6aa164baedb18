"""A tiny subject with an untrained avatar, and results made by hand."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from esca.avatars import AvatarConfig, build_avatar, save_avatar
from esca.captures import AVERAGE, Camera, FrameId, Topology, open_capture, write_capture
from esca.evaluation import Protocol
from esca.quantization import CalibrationConfig, Recipe
from esca.study.config import Subject
from esca.study.study import Result, Run
from esca.study.sweeps import SweepName, Variant

SIDE, TEXELS = 7, 256
FRAMES = [FrameId("E001_Neutral", "000001"), FrameId("E002_Smile", "000002")]
HELD_OUT = [FrameId("EXP_ROM07", "000003")]
VIEWS = {"front": -0.4, "left": -0.8}


@pytest.fixture(scope="session")
def subject(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    """A bulging grid seen by one camera, texture 256."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("study")
    number = np.arange(SIDE * SIDE).reshape(SIDE, SIDE)
    a, b, c, d = number[:-1, :-1], number[:-1, 1:], number[1:, 1:], number[1:, :-1]
    faces = np.concatenate([np.stack(t, -1).reshape(-1, 3) for t in ((a, b, c), (a, c, d))])
    place = np.linspace(0.02, 0.98, SIDE)
    uvs = np.stack(np.meshgrid(place, place), -1).reshape(-1, 2).astype(np.float32)
    topology = Topology(faces.astype(np.int32), uvs, faces.astype(np.int32))
    camera = Camera(
        "400029",
        np.array([[420.0, 0, 60], [0, 420.0, 70], [0, 0, 1]]),
        np.hstack([np.diag([1.0, -1.0, -1.0]), [[0], [0], [1100.0]]]),
        np.zeros(5),
        (140, 120),
    )
    capture = folder / "m--20260101--0000--grid--GHS"
    row, column = np.mgrid[:TEXELS, :TEXELS] / TEXELS
    with write_capture(capture, topology, (camera,), TEXELS, objs="first") as writer:
        for frame in (*FRAMES, *HELD_OUT):
            x, y = (180 * (uvs - 0.5)).T
            z = (20 + 5 * int(frame.frame)) * np.cos(x / 60) * np.cos(y / 60)
            writer.write_frame(frame, np.stack([x, y, z], -1).astype(np.float32), np.eye(4)[:3])
            wave = 90 + 60 * np.stack([np.sin(9 * column + int(frame.frame)), row, column], -1)
            for camera_id in (AVERAGE, camera.id):
                writer.write_texture(frame, camera_id, wave.astype(np.uint8))
        writer.write_regions({"mouth": (abs(column - 0.5) < 0.2) & (abs(row - 0.3) < 0.1)})
    config = AvatarConfig("base", TEXELS, 8, open_capture(capture).vertex_count, 1)
    avatar = build_avatar(config, seed=2)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in avatar.named_parameters():
            if name.endswith("bias"):
                parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.05)
    save_avatar(avatar, folder / "avatar.safetensors")
    return Subject("grid", capture, folder / "avatar.safetensors")


@pytest.fixture(scope="session")
def protocol() -> Protocol:
    return Protocol(views={"front": "400029"}, scale=0.4, frames=1)


@pytest.fixture(scope="session")
def calibration() -> CalibrationConfig:
    return CalibrationConfig(frames=2, visibility_frames=1)


Maker = Callable[..., Result]


@pytest.fixture
def result() -> Maker:
    """``result(label, value, loss, ...)`` -> a result whose fp32 scores 9 JOD in both views."""

    def make(
        label: str,
        value: float | None = None,
        loss: float = 0.5,
        seed: int = 0,
        subject: str = "one",
        sweep: SweepName = "rivals",
    ) -> Result:
        recipe = Recipe(label)
        variant = Variant(sweep, label, value, recipe, CalibrationConfig())
        run = Run(variant, Subject(subject, Path(subject), Path("a.pth")), seed, f"{label}{seed}")

        def row(method: str, view: str, vdp: float) -> dict:
            return {
                "method": method,
                "view": view,
                "vdp": vdp,
                "psnr": 40.0 if method != "fp32" else None,
                "flicker": 0.5,
                "bytes": 2_000_000,
                "regions": {"mouth": {"psnr": 30.0, "ssim": 0.9, "vdp": 8.0}}
                if view == "front"
                else {},
            }

        data = {
            "rows": [row(label, view, 9 - loss + gain) for view, gain in VIEWS.items()],
            "fp32": [row("fp32", view, 9.0) for view in VIEWS],
            "spent": {
                "calibration_seconds": 3.0,
                "quantization_seconds": 1.0 + seed,
                "peak_memory": 5e8,
            },
            "protocol": "Against the photo.",
            "code": "abc",
        }
        return Result(run, data)

    return make
