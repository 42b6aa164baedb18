"""Avatars as graphs of shapes, without values: workloads in milliseconds and without weights.

Written from the same configuration as :mod:`esca.avatars.networks`; a test holds every variant and
size against the traced network.
"""

from itertools import pairwise
from typing import get_args

import torch
from torch import Tensor

from esca.accelerator.workload import Part, Workload, graph_workload
from esca.avatars.config import VARIANTS, AvatarConfig
from esca.avatars.networks import HIDDEN, VIEW_CODE
from esca.errors import EscaError
from esca.graph import Graph, Node
from esca.graph.ops import (
    Add,
    Concat,
    Conv2d,
    ConvTranspose2d,
    GridSample,
    Input,
    LeakyRelu,
    Linear,
    Op,
    Reshape,
    TexelBias,
    Upsample,
)
from esca.quantization.recipe import Recipe


def avatar_workload(
    variant: str, texture_size: int, part: str, bits: str, vertices: int = 7306
) -> Workload:
    """The workload of an avatar from shapes alone.

    ``part``: ``texture`` (the texture decoder's maps), ``decoder`` (all that a frame needs: also
    mesh, fully connected layers, warp field) or ``encoder``. ``bits``: ``w4a4``-like, of
    convolutions; the rest as recipes do it. EscaError for anything else.
    """
    if variant not in VARIANTS:
        raise EscaError(f"avatar: {variant!r}, expected one of {' '.join(VARIANTS)}")
    if part not in get_args(Part):
        raise EscaError(f"part: {part!r}, expected one of {' '.join(get_args(Part))}")
    config = AvatarConfig(variant, texture_size, vertices=vertices)
    made = encoder_shapes(config) if part == "encoder" else decoder_shapes(config)
    name = f"{variant} {texture_size} {part} {bits}"
    workload = graph_workload(made, Recipe("shapes").with_bits(bits), name)
    return workload.texture_part() if part == "texture" else workload


def decoder_shapes(config: AvatarConfig) -> Graph:
    """The graph that tracing an avatar's decoder gives, its tensors on the meta device."""
    g = _Shapes()
    z, view = g.input("z", config.latent), g.input("view", 3)
    view_code = g.linear("dec.view_fc", view, VIEW_CODE)
    z_code = g.linear("dec.z_fc", z, HIDDEN)
    both = g.add("dec.concat", Concat(), (view_code, z_code), (VIEW_CODE + HIDDEN,))
    start = config.start
    code = g.linear("dec.texture_fc", both, config.latent * start**2)
    x = g.add("dec.map", Reshape((config.latent, start, start)), (code,))
    texture = g.decoder("dec.texture_decoder", x, (64, 32, 16, 3), config)
    mesh = g.linear("dec.mesh_fc", z_code, 3 * config.vertices, activation=False)
    if config.variant == "warp":
        texture = g.warp(z, texture, config)
    return Graph(tuple(g.nodes.values()), {"texture": texture, "mesh": mesh})


def encoder_shapes(config: AvatarConfig) -> Graph:
    """The graph that tracing an avatar's encoder gives, its tensors on the meta device."""
    g = _Shapes()
    size = config.texture_size
    texture = g.input("average_texture", 3, size, size)
    mesh = g.input("mesh", 3 * config.vertices)
    x = texture
    for index, width in enumerate((16, 32, 64, 128)):
        for half in (1, 2):
            stem = f"enc.texture_encoder.downsample.{index}"
            x = g.lrelu(g.conv(f"{stem}.conv{half}", x, width, 4, 2))
            if config.variant == "res":
                x = g.residual(f"{stem}.res{half}", x)
    flat = g.add("enc.flat", Reshape((128 * config.start**2,)), (x,))
    codes = (
        g.linear("enc.texture_fc", flat, HIDDEN),
        g.linear("enc.mesh_fc", mesh, HIDDEN),
    )
    both = g.add("enc.concat", Concat(), codes, (2 * HIDDEN,))
    mean, logstd = (
        g.linear(f"enc.fc.rows{row * config.latent}", both, config.latent, activation=False)
        for row in (0, 1)
    )
    return Graph(tuple(g.nodes.values()), {"mean": mean, "logstd": logstd})


def _meta(*shape: int) -> Tensor:
    return torch.empty(shape, device="meta")


class _Shapes:
    """Nodes in order; each method adds some and returns the last one's name."""

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}

    def input(self, name: str, *shape: int) -> str:
        return self.add(name, Input(), (), shape)

    def add(
        self, name: str, op: Op, inputs: tuple[str, ...], shape: tuple[int, ...] | None = None
    ) -> str:
        if shape is None:
            shape = op.shape if isinstance(op, Reshape) else self.nodes[inputs[0]].shape
        self.nodes[name] = Node(name, op, inputs, shape)
        return name

    def lrelu(self, x: str) -> str:
        return self.add(f"{x}.lrelu", LeakyRelu(0.2), (x,))

    def linear(self, name: str, x: str, size: int, activation: bool = True) -> str:
        op = Linear(_meta(size, *self.nodes[x].shape), _meta(size))
        made = self.add(name, op, (x,), (size,))
        return self.lrelu(made) if activation else made

    def conv(self, name: str, x: str, cout: int, kernel: int, stride: int) -> str:
        cin, h, w = self.nodes[x].shape
        op = Conv2d(_meta(cout, cin, kernel, kernel), _meta(cout), stride, 1)
        h, w = ((side + 2 - kernel) // stride + 1 for side in (h, w))
        return self.add(name, op, (x,), (cout, h, w))

    def residual(self, name: str, x: str, activation: bool = True) -> str:
        made = self.conv(name, x, self.nodes[x].shape[0], 3, 1)
        made = self.add(f"{made}.add", Add(), (made, x))
        return self.lrelu(made) if activation else made

    def doubling(self, name: str, x: str, cout: int, config: AvatarConfig) -> str:
        cin, h, w = self.nodes[x].shape
        if config.variant == "bilinear":
            x = self.add(f"{x}.upsample", Upsample(2, "nearest"), (x,), (cin, 2 * h, 2 * w))
            x = self.conv(f"{name}.deconv", x, cout, 3, 1)
        else:
            op = ConvTranspose2d(_meta(cin, cout, 4, 4), _meta(cout), 2, 1)
            x = self.add(f"{name}.deconv", op, (x,), (cout, 2 * h, 2 * w))
        if config.variant == "non":
            return x
        return self.add(f"{x}.texel_bias", TexelBias(_meta(*self.nodes[x].shape)), (x,))

    def decoder(self, name: str, x: str, ends: tuple[int, ...], config: AvatarConfig) -> str:
        """Four stages of two doublings; the last one ends without an activation."""
        cin = self.nodes[x].shape[0]
        for index, (hidden, cout) in enumerate(pairwise((cin, *ends))):
            for half, width in ((1, hidden), (2, cout)):
                last = index == 3 and half == 2
                x = self.doubling(f"{name}.upsample.{index}.conv{half}", x, width, config)
                x = x if last else self.lrelu(x)
                if config.variant == "res":
                    x = self.residual(f"{name}.upsample.{index}.res{half}", x, not last)
        return x

    def warp(self, z: str, texture: str, config: AvatarConfig) -> str:
        x = self.linear("warp.mlp.0", z, HIDDEN)
        x = self.linear("warp.mlp.2", x, HIDDEN * config.warp_start**2)
        x = self.add("warp.map", Reshape((HIDDEN, config.warp_start, config.warp_start)), (x,))
        for index, (hidden, cout) in enumerate(((128, 128), (128, 64), (64, 32), (32, 16))):
            for half, width in ((1, hidden), (2, cout)):
                x = self.lrelu(self.doubling(f"warp.upsample.{index}.conv{half}", x, width, config))
        size = config.texture_size
        factor = size // self.nodes[x].shape[1]
        if factor > 1:
            x = self.add(f"{x}.upsample", Upsample(factor, "bilinear"), (x,), (16, size, size))
        x = self.conv("warp.upsample.5", x, 2, 3, 1)
        x = self.add(f"{x}.texel_bias", TexelBias(_meta(2, size, size)), (x,))
        return self.add("warp.grid_sample", GridSample(), (texture, x))
