"""Checkpoints: round trips in every form, and one clear line for every damaged file."""

import pickle
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import Tensor

from esca.avatars import VARIANTS, Avatar, load_avatar, save_avatar
from esca.errors import EscaError


def codes() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    return torch.randn(2, 6, generator=generator), torch.randn(2, 3, generator=generator)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_round_trip_needs_no_flags(
    variant: str, suffix: str, avatars: dict[str, Avatar], tmp_path: Path
) -> None:
    path = tmp_path / f"avatar{suffix}"
    save_avatar(avatars[variant], path)
    loaded = load_avatar(path)
    assert loaded.config == avatars[variant].config
    assert (loaded.variant, loaded.texture_size, loaded.latent) == (variant, 256, 6)
    assert (loaded.vertex_values, loaded.camera_count) == (15, 3)
    with torch.no_grad():
        for found, expected in zip(
            loaded.decoder(*codes()), avatars[variant].decoder(*codes()), strict=True
        ):
            assert torch.equal(found, expected)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_half_precision_is_upcast(suffix: str, avatars: dict[str, Avatar], tmp_path: Path) -> None:
    full, half = tmp_path / f"full{suffix}", tmp_path / f"half{suffix}"
    save_avatar(avatars["warp"], full)
    save_avatar(avatars["warp"], half, half=True)
    assert half.stat().st_size < 0.55 * full.stat().st_size
    loaded = load_avatar(half)
    assert {p.dtype for p in loaded.state_dict().values()} == {torch.float32}
    assert loaded.warp is not None and avatars["warp"].warp is not None
    assert torch.equal(loaded.warp.normal_grid, avatars["warp"].warp.normal_grid)
    for name, tensor in avatars["warp"].named_parameters():
        torch.testing.assert_close(loaded.get_parameter(name), tensor, rtol=1e-3, atol=1e-6)


def test_files_hold_the_public_form(avatars: dict[str, Avatar], tmp_path: Path) -> None:
    path = tmp_path / "avatar.pth"
    save_avatar(avatars["base"], path)
    stored = torch.load(path, weights_only=True)
    assert all(name.startswith("module.") for name in stored)
    assert "module.dec.texture_decoder.upsample.0.conv1.deconv.g" in stored
    assert "module.cc.weight_anchor" in stored
    bare = {name.removeprefix("module."): tensor for name, tensor in stored.items()}
    torch.save(bare, path)
    assert load_avatar(path).config == avatars["base"].config


def test_loaded_parameters_can_be_trained(avatars: dict[str, Avatar], tmp_path: Path) -> None:
    save_avatar(avatars["base"], tmp_path / "avatar.pth")
    assert all(p.requires_grad for p in load_avatar(tmp_path / "avatar.pth").parameters())


State = dict[str, Tensor]
LAST = "module.dec.texture_decoder.upsample.3.conv2"


def rename(state: State, old: str, new: str) -> None:
    state[new] = state.pop(old)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s["module.dec.z_fc.g"].fill_(torch.nan), "module.dec.z_fc.g: expected finite"),
        (lambda s: s[f"{LAST}.bias"].fill_(torch.inf), f"{LAST}.bias: expected finite"),
        (lambda s: s.pop("module.dec.view_fc.g"), r"dec.view_fc.g is missing, .*shape \(8,\)"),
        (lambda s: s.pop("module.dec.z_fc.weight"), "dec.z_fc.weight is missing"),
        (lambda s: s.update(extra=torch.zeros(2)), "extra is unknown"),
        (
            lambda s: s.update({"module.enc.fc.weight": torch.zeros(10, 512)}),
            r"enc.fc.weight: expected shape \(12, 512\), got \(10, 512\)",
        ),
        (
            lambda s: s.update({"module.dec.texture_fc.weight": torch.zeros(7, 264)}),
            r"dec.texture_fc.weight: expected 6 \(texture 256\), 24 \(texture 512\).*got 7",
        ),
        (
            lambda s: s.update({"module.dec.mesh_fc.weight": torch.zeros(16, 256)}),
            "dec.mesh_fc.weight: expected 3 rows a vertex, got 16",
        ),
        (
            lambda s: s.update({"module.cc.weight": torch.zeros(2, 3)}),
            r"cc.weight: expected 4 axes, got shape \(2, 3\)",
        ),
        (lambda s: s.update(step=torch.zeros(2, dtype=torch.int64)), "step: expected a floating"),
        (lambda s: s.update(note="made today"), "note: expected a floating-point tensor, got str"),
    ],
)
def test_faults_name_file_and_tensor(
    change: Callable[[State], object], message: str, avatars: dict[str, Avatar], tmp_path: Path
) -> None:
    path = tmp_path / "avatar.pth"
    save_avatar(avatars["base"], path)
    state = torch.load(path, weights_only=True)
    change(state)
    torch.save(state, path)
    with pytest.raises(EscaError, match=f"{re.escape(str(path))}: {message}") as caught:
        load_avatar(path)
    assert "\n" not in str(caught.value)


def test_another_warp_grid_is_refused(avatars: dict[str, Avatar], tmp_path: Path) -> None:
    path = tmp_path / "avatar.safetensors"
    save_avatar(avatars["warp"], path)
    state = safetensors.torch.load_file(path)
    state["module.warp.normal_grid"] = state["module.warp.normal_grid"].flip(1).contiguous()
    safetensors.torch.save_file(state, path)
    with pytest.raises(EscaError, match=r"warp\.normal_grid: expected linspace"):
        load_avatar(path)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("kept", [0, 10, 3000, -100])
def test_truncated_files(
    suffix: str, kept: int, avatars: dict[str, Avatar], tmp_path: Path
) -> None:
    path = tmp_path / f"avatar{suffix}"
    save_avatar(avatars["base"], path)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(EscaError, match=re.escape(str(path))):
        load_avatar(path)


def test_missing_and_foreign_files(tmp_path: Path) -> None:
    with pytest.raises(EscaError, match=r"none\.pth: no such checkpoint"):
        load_avatar(tmp_path / "none.pth")
    with pytest.raises(EscaError, match=r"avatar\.onnx: expected a checkpoint named \.pth or"):
        load_avatar(tmp_path / "avatar.onnx")
    torch.save([torch.zeros(2)], tmp_path / "list.pth")
    with pytest.raises(EscaError, match="expected a state dict, got list"):
        load_avatar(tmp_path / "list.pth")


class Malicious:
    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.proof,))


@pytest.mark.parametrize("legacy", [False, True])
def test_code_in_a_pickle_is_never_run(legacy: bool, tmp_path: Path) -> None:
    path, proof = tmp_path / "avatar.pth", tmp_path / "proof"
    if legacy:
        path.write_bytes(pickle.dumps(Malicious(proof)))
    else:
        torch.save({"module.dec.z_fc.weight": Malicious(proof)}, path)
    with pytest.raises(EscaError, match=r"avatar\.pth: expected a checkpoint of plain tensors"):
        load_avatar(path)
    assert not proof.exists()


def test_saving_refuses_what_cannot_be_stored(avatars: dict[str, Avatar], tmp_path: Path) -> None:
    path = tmp_path / "avatar.pth"
    bias = avatars["non"].dec.view_fc.bias
    with torch.no_grad():
        before = bias.clone()
        bias[0] = 1e6
    with pytest.raises(EscaError, match=r"dec.view_fc.bias: expected finite values that .*float16"):
        save_avatar(avatars["non"], path, half=True)
    with pytest.raises(EscaError, match="expected a checkpoint named"):
        save_avatar(avatars["non"], tmp_path / "avatar.bin")
    with torch.no_grad():
        bias.copy_(before)
    assert list(tmp_path.iterdir()) == []
