"""Every kind of bad input through the command line: one line, exit code 2, nothing left behind."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from esca.avatars import AvatarConfig, build_avatar, load_avatar, save_avatar
from esca.captures import open_capture
from esca.captures.layout import Layout
from esca.captures.plain import write_png
from esca.quantization import CalibrationConfig, calibrate, load_recipe
from esca.runtime import quantized_artifact, save_artifact

Run = Callable[..., int]
Failing = Callable[..., str]


@pytest.fixture
def failing(run: Run, capsys: pytest.CaptureFixture[str]) -> Failing:
    """``failing("quantize", ...)`` -> the one line of an exit code 2."""

    def fail(*arguments: object) -> str:
        capsys.readouterr()
        assert run(*map(str, arguments)) == 2
        lines = capsys.readouterr().err.strip().splitlines()
        assert len(lines) == 1 and lines[0].startswith("error: "), lines
        return lines[0]

    return fail


@pytest.fixture
def broken(line: Any, tmp_path: Path) -> Layout:
    """The capture with its small files copied and the folders of frames linked."""
    root = tmp_path / "broken" / line.capture.name
    root.mkdir(parents=True)
    for entry in line.capture.iterdir():
        if entry.name.startswith(("unwrapped", "tracked")):
            (root / entry.name).symlink_to(entry)
        elif entry.is_dir():
            shutil.copytree(entry, root / entry.name)
        else:
            shutil.copy(entry, root)
    return Layout(root)


@pytest.fixture(scope="module")
def artifact(line: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("artifact") / "rtn.esca"
    capture, recipe = open_capture(line.capture), load_recipe("rtn")
    config = CalibrationConfig(frames=1)
    calibration = calibrate(load_avatar(line.avatar), capture, config, recipes=[recipe])
    save_artifact(quantized_artifact(calibration, recipe, line.avatar, "tiny"), path)
    return path


def nothing_in(folder: Path) -> bool:
    return not folder.exists() or not list(folder.rglob("*"))


@pytest.mark.parametrize(
    "name",
    ["frame_list.txt", "KRT", "tex_mean.png", "tex_var.txt", "vert_mean.bin", "vert_var.txt"],
)
@pytest.mark.parametrize("damage", ["missing", "truncated"])
def test_head_files_of_a_capture(
    failing: Failing, line: Any, broken: Layout, tmp_path: Path, name: str, damage: str
) -> None:
    path, out = broken.root / name, tmp_path / "out"
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[: 37 if len(path.read_bytes()) > 100 else 0])
    told = failing("quantize", broken.root, line.avatar, out / "a.esca")
    assert str(path) in told and nothing_in(out)


@pytest.mark.parametrize("command", ["quantize", "evaluate", "report", "compare", "train"])
def test_every_command_names_a_truncated_texture(
    failing: Failing, line: Any, broken: Layout, artifact: Path, tmp_path: Path, command: str
) -> None:
    broken.textures.unlink()
    shutil.copytree(line.capture / broken.textures.name, broken.textures)
    for path in broken.textures.rglob("*.png"):
        path.write_bytes(path.read_bytes()[:200])
    out = tmp_path / "out"
    arguments = {
        "quantize": (line.avatar, out / "a.esca"),
        "evaluate": (line.avatar, artifact, "--out", out / "results.json"),
        "report": (line.avatar, artifact, "--out", out / "page.html"),
        "compare": (line.avatar, "--out", out),
        "train": (out, "--latent", "8", "--steps", "1"),
    }
    told = failing(command, broken.root, *arguments[command])
    assert str(broken.textures) in told and "not a readable PNG" in told
    kept = {"log.jsonl"} if command == "train" else set()
    assert not out.exists() or {path.name for path in out.iterdir()} <= kept


def test_an_empty_calibration_set(
    failing: Failing, line: Any, broken: Layout, tmp_path: Path
) -> None:
    held_out = open_capture(line.capture).held_out_prefixes
    lines = broken.frame_list.read_text().splitlines()
    kept = [text for text in lines if text.startswith(held_out)]
    assert 0 < len(kept) < len(lines)
    broken.frame_list.write_text("\n".join(kept) + "\n")
    told = failing("quantize", broken.root, line.avatar, tmp_path / "out" / "a.esca")
    assert f"{broken.root}: the calibration set is empty" in told and nothing_in(tmp_path / "out")


def test_a_mask_of_another_size(
    run: Run,
    failing: Failing,
    line: Any,
    broken: Layout,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path, out = broken.region("mouth"), tmp_path / "out"
    write_png(path, np.full((100, 100), 255, np.uint8))
    expected = "100 x 100 texels, expected 256 x 256"
    told = failing("quantize", broken.root, line.avatar, out / "a.esca")
    assert f"{path}: {expected}" in told and nothing_in(out)
    folder = tmp_path / "masks"
    folder.mkdir()
    write_png(folder / "face.png", np.full((512, 512), 255, np.uint8))
    told = failing("quantize", line.capture, line.avatar, out / "a.esca", "--regions", folder)
    assert f"{folder / 'face.png'}: 512 x 512 texels, expected 256 x 256" in told
    write_png(broken.loss_weight, np.full((128, 128), 255, np.uint8))
    assert run("capture", "check", str(broken.root)) == 1
    report = capsys.readouterr().out
    assert f"regions/mouth.png: {expected}" in report
    assert "loss_weight_mask.png: 128 x 128 texels, expected 256 x 256" in report


def test_checkpoints_that_do_not_fit(failing: Failing, line: Any, tmp_path: Path) -> None:
    out, path = tmp_path / "out", tmp_path / "changed.safetensors"

    def told() -> str:
        text = failing("quantize", line.capture, path, out / "a.esca")
        assert nothing_in(out)
        return text

    state = load_file(line.avatar)
    name = next(key for key in state if key.endswith("dec.view_fc.weight"))
    save_file(state | {name: torch.full_like(state[name], torch.nan)}, path)
    assert f"{path}: {name}: expected finite values, got NaN" in told()
    save_file(state | {name: state[name][:-1].clone()}, path)
    assert "dec.view_fc.weight: expected shape" in told()
    path.write_bytes(Path(line.avatar).read_bytes()[:-100])
    assert f"{path}: truncated or damaged, expected a whole checkpoint" in told()
    vertices = open_capture(line.capture).vertex_count
    save_avatar(build_avatar(AvatarConfig("base", 256, 8, vertices + 1, 3), 0), path)
    assert f"avatar: has {vertices + 1} vertices" in told()
    save_avatar(build_avatar(AvatarConfig("base", 256, 8, vertices, 4), 0), path)
    assert "avatar: corrects the colours of 4 cameras" in told()


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("name: x\nbits: {weights: 9, activations: 4}", "bits.weights"),
        ("name: x\nbits: {weights: 4, activations: 1}", "bits.activations"),
        ("name: x\noverrides: [{layer: '*', weights: 1}]", "overrides.0.weights"),
        ("name: x\ntexel_bias: 17", "texel_bias"),
        ("name: x\noverrides: [{layer: nowhere, weights: 8}]", "nowhere"),
        ("name: x\nbits: {weights: 4", "not valid YAML"),
        ("bits: {weights: 4}", "name"),
    ],
)
def test_recipes_out_of_range(
    failing: Failing, line: Any, tmp_path: Path, text: str, field: str
) -> None:
    recipe, out = tmp_path / "mine.yaml", tmp_path / "out"
    recipe.write_text(text)
    arguments = (line.capture, line.avatar, out / "a.esca", "--recipe", recipe, "--frames", "1")
    assert field in failing("quantize", *arguments) and nothing_in(out)


@pytest.mark.parametrize("command", ["evaluate", "report"])
@pytest.mark.parametrize("damage", ["empty", "truncated", "flipped", "foreign"])
def test_damaged_artifacts(
    failing: Failing, line: Any, artifact: Path, tmp_path: Path, command: str, damage: str
) -> None:
    path, out = tmp_path / "damaged.esca", tmp_path / "out"
    data = bytearray(artifact.read_bytes())
    data[-1000] ^= 1
    content = {"empty": b"", "truncated": artifact.read_bytes()[:-1], "flipped": bytes(data)}
    if damage == "foreign":
        save_file({"x": torch.zeros(2)}, path)
    else:
        path.write_bytes(content[damage])
    told = failing(command, line.capture, line.avatar, path, "--out", out / "result")
    assert str(path) in told and nothing_in(out)


def test_protocols_and_views(failing: Failing, line: Any, artifact: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for arguments, told in (
        (("--view", "front"), "--view: 'front', expected NAME=CAMERA"),
        (("--view", "front=999999"), "holds no camera '999999'"),
        (("--scale", "0"), "protocol scale: expected above 0"),
        (("--display", "abacus"), "abacus"),
    ):
        found = failing(
            "evaluate", line.capture, line.avatar, artifact, "--out", out / "r.json", *arguments
        )
        assert told in found and nothing_in(out)


def test_brackets_in_a_path_are_told_as_they_are(
    failing: Failing, line: Any, tmp_path: Path
) -> None:
    path = tmp_path / "[bold]" / "[/x].pth"
    assert str(path) in failing("quantize", line.capture, path, tmp_path / "a.esca")
