"""Small random programs that hardware takes, from seeds: chains of convolutions of all kinds, four
of eight of them led to what chance alone hardly makes.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from importlib import resources
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from esca.accelerator.compiler import compile_layer, compile_program
from esca.accelerator.config import AcceleratorConfig, parse_config
from esca.accelerator.hardware.jobs import bus_bytes
from esca.accelerator.program import MachineProgram
from esca.accelerator.rtl.hardware_program import hardware_program
from esca.errors import EscaError
from esca.graph import Graph, Node
from esca.graph.ops import Conv2d, ConvTranspose2d, GridSample, Input, LeakyRelu, TexelBias
from esca.quantization import Recipe, TexelMaps, collect, quantize

BITS = ("w4a4", "w4a8", "w8a4", "w8a8")
LARGEST_SIDE = 28

LAST = "last"
"""The last convolution."""

LED = {4: "overlap", 5: "nibbles", 6: "im2col", 7: "ramp"}
"""By the remainder of a seed: transposed convolutions whose overlaps are added, where a machine
does; maps stored as nibbles; pointwise convolutions at w8a8; a last layer alone whose bias rises
evenly, as it gives the places of samples.
"""


@cache
def small_config() -> AcceleratorConfig:
    """The smallest machine with all modes."""
    text = (resources.files("esca.accelerator.rtl") / "small.yaml").read_text(encoding="utf-8")
    return parse_config(text, "small.yaml")


@cache
def overlap_config() -> AcceleratorConfig:
    """The same where overlaps are added, with room for what is carried."""
    config = small_config()
    buffers = replace(config.buffers, accumulator_bytes=4096, output_bytes=32768)
    return replace(config, name="overlap-4x4", buffers=buffers, mappings=("scatter",))


def config_of(seed: int) -> AcceleratorConfig:
    """The small machine that is meant for a seed's program."""
    return overlap_config() if LED.get(seed % 8) == "overlap" else small_config()


class RandomProgram(NamedTuple):
    """A program, integers of its input and the ``seed`` that both come from."""

    seed: int
    program: MachineProgram
    feeds: dict[str, Tensor]


def random_programs(config: AcceleratorConfig | None, seed: int) -> Iterator[RandomProgram]:
    """Without end: programs from ``seed`` on, for ``config`` or each for the small machine that is
    meant for it; what hardware refuses is left out.
    """
    while True:
        try:
            made = random_program(config or config_of(seed), seed)
            hardware_program(made.program)
        except EscaError:
            seed += 1
            continue
        yield made
        seed += 1


def random_program(config: AcceleratorConfig, seed: int) -> RandomProgram:
    """EscaError where the compiler refuses it."""
    rng, led = np.random.default_rng(seed), LED.get(seed % 8, "")
    if led == "overlap" and "scatter" not in config.mappings:
        led = ""
    generator = torch.Generator().manual_seed(seed)
    graph = _graph(config, rng, generator, led, seed)
    feeds = {node.name: torch.randn(2, *node.shape, generator=generator) for node in graph.inputs}
    recipe = Recipe(
        "random",
        range="minmax",
        weight_range="minmax",
        granularity="channel_phase",
        texel_bias=int(rng.choice([4, 8, 12])),
        texture=int(rng.choice([4, 8, 10, 16])),
    ).with_bits(str(rng.choice(BITS)))
    if led == "nibbles":
        recipe = replace(recipe, texture=4)
    elif led in ("im2col", "overlap"):
        recipe = recipe.with_bits("w8a8")
    quantized = quantize(graph, collect(graph, lambda: [feeds], TexelMaps(), hessians=()), recipe)
    if led == "ramp":
        program = compile_layer(quantized, config, LAST)
    else:
        program = compile_program(quantized, config, f"random-{seed}")
    (tensor,) = program.workload.inputs
    integers = torch.from_numpy(rng.integers(0, 1 << tensor.bits, tensor.shape)).to(torch.int32)
    return RandomProgram(seed, program, {tensor.name: integers})


def _graph(
    config: AcceleratorConfig,
    rng: np.random.Generator,
    generator: torch.Generator,
    led: str,
    seed: int,
) -> Graph:
    """x -> texture: one to three convolutions with biases, slopes or neither; as it is ``led``."""
    columns = config.array.columns
    wide = 2 * max(bus_bytes(config), config.array.rows)  # whole bus words in 4 bits, too
    # Small maps come at once; of some inputs a window of rows is held, and the others follow.
    sides = (2, 6) if rng.integers(4) else (10, 20)
    channels, side = wide, tuple(int(n) for n in rng.integers(*sides, 2))
    if led == "im2col":
        side = tuple(n | 1 for n in side)  # which blocks of several outputs do not fill
    elif led == "overlap":  # in chunks that carry lines on
        side = tuple(int(n) for n in rng.integers(4, 10, 2))
    nodes, last = [Node("x", Input(), (), (channels, *side))], "x"
    layers = int(rng.integers(1, 4))
    if led == "overlap":
        layers = min(layers, 2)
    for number in range(layers):
        final = number == layers - 1
        out = int(rng.integers(1, 5)) if final else columns * int(rng.integers(1, 3))
        kernel, stride, padding = _geometry(rng)
        transposed = bool(rng.integers(2))
        if led == "im2col":
            kernel, stride, padding, transposed, out = 1, 1, 0, False, 2 * columns
        elif led == "overlap":
            kernel, stride, padding = 4, 2 if rng.integers(3) else 1, int(rng.integers(3))
            transposed, out = True, 1 + seed // 8 % 4 if final else out
        elif led:
            out = 2 if final else wide
        made = tuple(_side(n, kernel, stride, padding, transposed) for n in side)
        if min(made) < 2 or max(made) > LARGEST_SIDE:
            kernel, stride, padding, transposed, made = 3, 1, 1, False, side
        side, shape = made, (out, *made)
        pair = (channels, out) if transposed else (out, channels)
        weight = torch.randn(*pair, kernel, kernel, generator=generator) * 0.5
        bias = torch.randn(out, generator=generator)
        op = (ConvTranspose2d if transposed else Conv2d)(weight, bias, stride, padding)
        steps: list[tuple[str, object]] = [(LAST if final else f"conv{number}", op)]
        rises = final and led == "ramp"
        if rng.integers(4) or rises:
            values = torch.randn(*shape, generator=generator)
            if not rng.integers(4) or rises:  # along planes
                values = _planes(shape, values)
            steps.append((f"bias{number}", TexelBias(values)))
        if not final and rng.integers(4):
            steps.append((f"slope{number}", LeakyRelu(0.2)))
        for name, step in steps:
            nodes.append(Node(name, step, (last,), shape))  # type: ignore[arg-type]
            last = name
        channels = out
    if led == "ramp":
        shape = (3, *side)
        nodes += [Node("t", Input(), (), shape), Node("s", GridSample(), ("t", last), shape)]
    nodes[-1] = replace(nodes[-1], name="texture")
    return Graph(tuple(nodes), {"texture": "texture"})


def _planes(shape: tuple[int, ...], chance: Tensor) -> Tensor:
    """(C, H, W) values that rise evenly, three values of ``chance`` a channel."""
    rise = chance.flatten(1)[:, :3]
    y, x = (torch.linspace(-1, 1, size) for size in shape[1:])
    return rise[:, :1, None] * y[:, None] + rise[:, 1:2, None] * x + rise[:, 2:, None]


def _geometry(rng: np.random.Generator) -> tuple[int, int, int]:
    """Kernel, stride and padding."""
    if rng.integers(2):
        return 4, 2, 1  # those of avatars
    kernel = int(rng.integers(1, 5))
    return kernel, int(rng.integers(1, min(kernel, 3) + 1)), int(rng.integers(0, kernel))


def _side(size: int, kernel: int, stride: int, padding: int, transposed: bool) -> int:
    if transposed:
        return (size - 1) * stride - 2 * padding + kernel
    return (size + 2 * padding - kernel) // stride + 1
