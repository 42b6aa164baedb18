"""Names, shapes and counts against the facts of the public checkpoints, listed here by hand."""

from copy import deepcopy

import pytest
import torch
from torch.nn import functional

from esca.avatars import VARIANTS, Avatar, AvatarConfig, build_avatar
from esca.avatars.avatar import structure
from esca.errors import EscaError

Shapes = dict[str, tuple[int, ...]]


def normed(name: str, weight: tuple[int, ...], cout: int) -> Shapes:
    return {f"{name}.weight": weight, f"{name}.bias": (cout,), f"{name}.g": (cout,)}


def ups(name: str, steps: list[tuple[int, int, int]], **how: bool) -> Shapes:
    """``steps``: cin, cout and output size of eight doublings, numbered as in the checkpoints."""
    found: Shapes = {}
    for index, (cin, cout, size) in enumerate(steps):
        place = f"{name}.{index // 2}.conv{index % 2 + 1}"
        weight = (cout, cin, 3, 3) if how.get("bilinear") else (cin, cout, 4, 4)
        side = 1 if how.get("non") else size
        found |= normed(f"{place}.deconv", weight, cout) | {f"{place}.bias": (1, cout, side, side)}
        if how.get("res"):
            res = f"{name}.{index // 2}.res{index % 2 + 1}"
            found |= normed(res, (cout, cout, 3, 3), cout)
    return found


def public_shapes(variant: str) -> Shapes:
    """Texture 1024, latent 256, 7306 vertices, 38 cameras."""
    steps = [(256, 256, 8), (256, 64, 16), (64, 64, 32), (64, 32, 64)]
    steps += [(32, 32, 128), (32, 16, 256), (16, 16, 512), (16, 3, 1024)]
    shapes = ups("dec.texture_decoder.upsample", steps, **{variant: True})
    down = [(3, 16), (16, 16), (16, 32), (32, 32), (32, 64), (64, 64), (64, 128), (128, 128)]
    for index, (cin, cout) in enumerate(down):
        place = f"enc.texture_encoder.downsample.{index // 2}"
        shapes |= normed(f"{place}.conv{index % 2 + 1}", (cout, cin, 4, 4), cout)
        if variant == "res":
            shapes |= normed(f"{place}.res{index % 2 + 1}", (cout, cout, 3, 3), cout)
    shapes |= normed("enc.texture_fc", (256, 2048), 256)
    shapes |= normed("enc.mesh_fc", (256, 21918), 256)
    shapes |= normed("enc.fc", (512, 512), 512)
    shapes |= normed("dec.view_fc", (8, 3), 8)
    shapes |= normed("dec.z_fc", (256, 256), 256)
    shapes |= normed("dec.mesh_fc", (21918, 256), 21918)
    shapes |= normed("dec.texture_fc", (4096, 264), 4096)
    if variant == "warp":
        steps = [(256, 128, 4), (128, 128, 8), (128, 128, 16), (128, 64, 32)]
        steps += [(64, 64, 64), (64, 32, 128), (32, 32, 256), (32, 16, 512)]
        shapes |= ups("warp.upsample", steps)
        shapes |= normed("warp.mlp.0", (256, 256), 256) | normed("warp.mlp.2", (1024, 256), 1024)
        shapes |= {"warp.upsample.5.weight": (2, 16, 3, 3), "warp.upsample.5.bias": (2,)}
        shapes |= {"warp.normal_grid": (1, 2, 1024, 1024)}
    shapes |= {"cc.weight": (37, 3, 1, 1), "cc.bias": (37, 3, 1, 1)}
    return shapes | {"cc.weight_anchor": (1, 3, 1, 1), "cc.bias_anchor": (1, 3, 1, 1)}


def count(module: torch.nn.Module, ending: str = "") -> int:
    return sum(p.numel() for name, p in module.named_parameters() if name.endswith(ending))


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_public_names_and_shapes(variant: str) -> None:
    avatar = structure(AvatarConfig(variant=variant))
    found = {name: tuple(tensor.shape) for name, tensor in avatar.state_dict().items()}
    assert found == public_shapes(variant)


def test_the_public_parameter_counts() -> None:
    base = structure(AvatarConfig())
    assert count(base.decoder) / 1e6 == pytest.approx(17.4, abs=0.05)
    assert count(structure(AvatarConfig(variant="warp")).decoder) / 1e6 == pytest.approx(26.2, 0.01)
    texture = base.dec.texture_decoder
    assert count(texture, "deconv.weight") / 1e6 == pytest.approx(1.44, abs=0.005)
    texels = count(texture, ".bias") - count(texture, "deconv.bias")
    assert texels / 1e6 == pytest.approx(9.14, abs=0.005)


@pytest.mark.parametrize(
    ("size", "start", "features", "warp_start"),
    [(1024, 4, 2048, 2), (512, 2, 512, 2), (256, 1, 128, 1)],
)
def test_sizes_follow_the_texture(size: int, start: int, features: int, warp_start: int) -> None:
    avatar = structure(AvatarConfig(variant="warp", texture_size=size, latent=8))
    assert avatar.dec.texture_fc.out_features == 8 * start**2
    assert avatar.enc.texture_fc.in_features == features
    assert avatar.warp is not None
    assert avatar.warp.mlp[2].out_features == 256 * warp_start**2
    reached = avatar.warp.upsample[3].conv2.bias.shape[-1]
    assert reached == min(size, 512)


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_runs_and_every_parameter_learns(
    variant: str, avatars: dict[str, Avatar]
) -> None:
    avatar = avatars[variant]
    average, mesh = torch.randn(2, 3, 256, 256), torch.randn(2, 15)
    code = avatar.encode(average, mesh)
    z = code.mean + code.logstd.exp() * torch.randn(2, 6)
    texture, vertices = avatar.decoder(z, torch.randn(2, 3))
    coloured = avatar.colour(texture, torch.tensor([1, 2]))
    assert coloured.shape == (2, 3, 256, 256) and vertices.shape == (2, 15)
    loss = (coloured * torch.randn_like(coloured)).sum() + vertices.square().sum()
    loss.backward()
    dead = [name for name, p in avatar.named_parameters() if p.grad is None or not p.grad.any()]
    assert dead == []
    avatar.zero_grad()


def test_encoder_scales_its_outputs(avatars: dict[str, Avatar]) -> None:
    avatar = avatars["base"]
    average, mesh = torch.randn(1, 3, 256, 256), torch.randn(1, 15)
    mean, logstd = avatar.enc(average, mesh)
    code = avatar.encode(average, mesh)
    torch.testing.assert_close(code.mean, mean * 0.1)
    torch.testing.assert_close(code.logstd, logstd * 0.01)


def test_decoder_wiring_by_hand(avatars: dict[str, Avatar]) -> None:
    """The whole ``base`` decoder again, from its state dict and plain functions."""
    avatar = deepcopy(avatars["base"])
    state = {n: p.detach() for n, p in avatar.dec.named_parameters()}
    generator = torch.Generator().manual_seed(0)
    for name in state:
        state[name].copy_(torch.rand(state[name].shape, generator=generator) - 0.4)

    def effective(name: str, axis: int) -> torch.Tensor:
        weight = state[f"{name}.weight"]
        shape = [1] * weight.dim()
        shape[axis] = -1
        return weight * state[f"{name}.g"].reshape(shape) / (weight**2).sum().sqrt()

    def linear(name: str, x: torch.Tensor) -> torch.Tensor:
        return x @ effective(name, 0).T + state[f"{name}.bias"]

    def lrelu(x: torch.Tensor) -> torch.Tensor:
        return torch.where(x > 0, x, 0.2 * x)

    z, view = torch.randn(1, 6), torch.randn(1, 3)
    z_code = lrelu(linear("z_fc", z))
    h = lrelu(linear("texture_fc", torch.cat((lrelu(linear("view_fc", view)), z_code), 1)))
    h = h.reshape(1, 6, 1, 1)
    for index in range(8):
        name = f"texture_decoder.upsample.{index // 2}.conv{index % 2 + 1}"
        weight = effective(f"{name}.deconv", 1)
        h = functional.conv_transpose2d(h, weight, stride=2, padding=1)
        h = h + state[f"{name}.deconv.bias"].reshape(1, -1, 1, 1) + state[f"{name}.bias"]
        h = h if index == 7 else lrelu(h)
    with torch.no_grad():
        texture, mesh = avatar.decoder(z, view)
    torch.testing.assert_close(texture, h, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(mesh, linear("mesh_fc", z_code), rtol=1e-4, atol=1e-4)


def test_residual_stage_ends_without_activation(avatars: dict[str, Avatar]) -> None:
    last = avatars["res"].dec.texture_decoder.upsample[3]
    x = torch.randn(1, 16, 64, 64)
    h = functional.leaky_relu(last.conv1(x), 0.2)
    h = functional.leaky_relu(last.res1(h) + h, 0.2)
    h = last.conv2(h)
    torch.testing.assert_close(last(x), last.res2(h) + h)


def test_warp_starts_near_identity() -> None:
    avatar = build_avatar(AvatarConfig("warp", 256, 6, 5, 3), seed=0)
    assert avatar.warp is not None
    z = torch.randn(2, 6) * 0.1
    with torch.no_grad():
        texels = (avatar.warp.grid(z) - avatar.warp.normal_grid) * 128
        assert texels.abs().max() < 1.0
        image = functional.interpolate(torch.randn(2, 3, 8, 8), (256, 256), mode="bicubic")
        moved = avatar.warp(z, image)
    inside = (slice(None), slice(None), slice(4, -4), slice(4, -4))
    assert (moved - image)[inside].abs().mean() < 0.05


def test_warp_grid_is_x_then_y() -> None:
    avatar = build_avatar(AvatarConfig("warp", 256, 6, 5, 3), seed=0)
    assert avatar.warp is not None
    grid = avatar.warp.normal_grid
    torch.testing.assert_close(grid[0, 0, 7], torch.linspace(-1, 1, 256))
    torch.testing.assert_close(grid[0, 1, :, 7], torch.linspace(-1, 1, 256))


def test_camera_zero_is_anchored(avatars: dict[str, Avatar]) -> None:
    avatar = deepcopy(avatars["non"])
    with torch.no_grad():
        avatar.cc.weight[1] = 2.0
        avatar.cc.bias[1] = torch.tensor([1.0, 2.0, 3.0]).reshape(3, 1, 1)
        coloured = avatar.colour(torch.ones(2, 3, 4, 4), torch.tensor([0, 2]))
    assert (coloured[0] == 1).all()
    assert coloured[1, :, 0, 0].tolist() == [3.0, 4.0, 5.0]
    assert not avatar.cc.weight_anchor.requires_grad


def test_first_values_follow_the_seed_alone() -> None:
    config = AvatarConfig("warp", 256, 6, 5, 3)
    before = torch.get_rng_state()
    first, again = build_avatar(config, seed=3), build_avatar(config, seed=3)
    assert torch.equal(before, torch.get_rng_state())
    other = build_avatar(config, seed=4)
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name])
    assert not torch.equal(first.dec.z_fc.weight, other.dec.z_fc.weight)


def test_first_weights_are_glorot_with_equal_taps() -> None:
    avatar = build_avatar(AvatarConfig("base", 256, 64, 5, 3), seed=0)
    layer = avatar.dec.texture_decoder.upsample[0].conv1.deconv
    bound = (2 / 1.04) ** 0.5 * (6 / ((64 + 64) * 4)) ** 0.5
    assert layer.weight.abs().max() <= bound
    assert float(layer.weight.detach().std()) == pytest.approx(bound / 3**0.5, rel=0.02)
    for row, column in ((0, 1), (1, 0), (1, 1)):
        assert torch.equal(layer.weight[..., row::2, column::2], layer.weight[..., ::2, ::2])
    assert float(layer.g.detach()[0]) == pytest.approx(float(layer.weight.detach().norm()))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"variant": "cubic"}, "variant: expected one of base res non bilinear warp"),
        ({"texture_size": 128}, "texture_size: expected 256, 512 or 1024, got 128"),
        ({"latent": 0}, "latent: expected at least 1"),
    ],
)
def test_impossible_shapes_are_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(EscaError, match=message):
        AvatarConfig(**values)
