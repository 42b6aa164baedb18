"""Checkpoints in the public form: a bare state dict under the prefix ``module.``.

Reading takes no flags, because names and shapes tell the variant and every size, and never runs
code from the file (``weights_only`` for ``.pth`` and ``.pt``; ``.safetensors`` holds none).
"""

import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from esca.avatars.avatar import Avatar, structure
from esca.avatars.config import TEXTURE_SIZES, AvatarConfig, Variant
from esca.avatars.networks import normal_grid
from esca.errors import EscaError
from esca.files import written_beside

PREFIX = "module."
SUFFIXES = (".pth", ".pt", ".safetensors")
GRID = "warp.normal_grid"

State = dict[str, Tensor]


def load_avatar(path: Path | str) -> Avatar:
    """Read an avatar, float32 on the CPU, whatever its variant, sizes and stored precision.

    EscaError names the file, and the tensor and its expected shape where one is at fault: a missing
    or truncated file, one that holds anything but tensors, NaN or infinite values, missing or
    unknown names, another shape.
    """
    path = Path(path)
    state = _checked(read_stored(path), path)
    avatar = structure(_config(state, path))
    _compare(state, avatar.state_dict(), path)
    if GRID in state:
        exact = normal_grid(avatar.texture_size)
        if (state[GRID] - exact).abs().max() > 1e-3:
            raise EscaError(f"{path}: {GRID}: expected linspace(-1, 1) along x and along y")
        state[GRID] = exact  # half precision misses it by up to a quarter of a texel
    avatar.load_state_dict(state, assign=True)
    return avatar.requires_grad_(True)


def save_avatar(avatar: Avatar, path: Path | str, half: bool = False) -> None:
    """Write ``avatar`` in the public form, as ``.pth``, ``.pt`` or ``.safetensors``.

    ``half`` stores float16. EscaError for another suffix, for values that are not finite, and for
    values beyond float16 with ``half``.
    """
    path = Path(path)
    _check_suffix(path)
    dtype = torch.float16 if half else torch.float32
    state = {}
    for name, tensor in avatar.state_dict().items():
        stored = tensor.detach().to("cpu", dtype).contiguous()
        if not stored.isfinite().all():
            raise EscaError(f"{path}: {name}: expected finite values that {dtype} can hold")
        state[PREFIX + name] = stored
    with written_beside(path) as beside:
        if path.suffix == ".safetensors":
            beside.write_bytes(safetensors.torch.save(state))
        else:
            torch.save(state, beside)


def _check_suffix(path: Path) -> None:
    if path.suffix not in SUFFIXES:
        raise EscaError(f"{path}: expected a checkpoint named {' or '.join(SUFFIXES)}")


def read_stored(path: Path) -> Any:
    """What a checkpoint holds, read without running code from it; EscaError if it is damaged."""
    _check_suffix(path)
    if not path.is_file():
        raise EscaError(f"{path}: no such checkpoint")
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about pickles that end in an error anyway
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise EscaError(
            f"{path}: expected a checkpoint of plain tensors; it is damaged, or holds objects that "
            "only running code from the file could restore"
        ) from error
    except (
        OSError,
        RuntimeError,
        EOFError,
        ValueError,
        LookupError,
        safetensors.SafetensorError,
    ) as error:
        raise EscaError(f"{path}: truncated or damaged, expected a whole checkpoint") from error


def _checked(stored: Any, path: Path) -> State:
    """The state dict without its prefix, as finite float32."""
    if not isinstance(stored, Mapping):
        raise EscaError(f"{path}: expected a state dict, got {type(stored).__name__}")
    state: State = {}
    for key, tensor in stored.items():
        if not isinstance(tensor, Tensor) or not tensor.is_floating_point():
            kind = tensor.dtype if isinstance(tensor, Tensor) else type(tensor).__name__
            raise EscaError(f"{path}: {key}: expected a floating-point tensor, got {kind}")
        if not tensor.isfinite().all():
            raise EscaError(f"{path}: {key}: expected finite values, got NaN or infinity")
        state[str(key).removeprefix(PREFIX)] = tensor.to(torch.float32)
    return state


def _config(state: State, path: Path) -> AvatarConfig:
    """What the names and shapes say about the avatar."""

    def shape(name: str, axes: int) -> torch.Size:
        if name not in state:
            raise EscaError(f"{path}: {name} is missing, expected the state dict of an avatar")
        found = state[name].shape
        if len(found) != axes:
            raise EscaError(f"{path}: {name}: expected {axes} axes, got shape {tuple(found)}")
        return found

    latent = shape("dec.z_fc.weight", 2)[1]
    rows = shape("dec.texture_fc.weight", 2)[0]
    sizes = [size for size in TEXTURE_SIZES if latent * (size // 256) ** 2 == rows]
    if not sizes:
        expected = ", ".join(f"{latent * (s // 256) ** 2} (texture {s})" for s in TEXTURE_SIZES)
        raise EscaError(f"{path}: dec.texture_fc.weight: expected {expected} rows, got {rows}")
    values = shape("dec.mesh_fc.weight", 2)[0]
    if values % 3:
        raise EscaError(f"{path}: dec.mesh_fc.weight: expected 3 rows a vertex, got {values} rows")
    last = "dec.texture_decoder.upsample.3.conv2"
    variant: Variant = "base"
    if any(name.startswith("warp.") for name in state):
        variant = "warp"
    elif any(".res1." in name for name in state):
        variant = "res"
    elif shape(f"{last}.deconv.weight", 4)[-1] == 3:
        variant = "bilinear"
    elif shape(f"{last}.bias", 4)[-1] == 1:
        variant = "non"
    cameras = shape("cc.weight", 4)[0] + 1
    return AvatarConfig(variant, sizes[0], latent, values // 3, cameras)


def _compare(state: State, expected: Mapping[str, Tensor], path: Path) -> None:
    """EscaError unless names and shapes are those of ``expected``."""
    for name, tensor in expected.items():
        if name not in state:
            raise EscaError(f"{path}: {name} is missing, expected shape {tuple(tensor.shape)}")
        if state[name].shape != tensor.shape:
            raise EscaError(
                f"{path}: {name}: expected shape {tuple(tensor.shape)}, "
                f"got {tuple(state[name].shape)}"
            )
    for name in state:
        if name not in expected:
            raise EscaError(f"{path}: {name} is unknown, expected the names of an avatar alone")
