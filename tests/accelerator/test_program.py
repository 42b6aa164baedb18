"""Programs on real integers: compiled, executed through the modelled memories, saved and loaded."""

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor

from esca.accelerator import load_config, quantized_workload, time_workload
from esca.accelerator.compiler import compile_program
from esca.accelerator.isa import instructions_text, parse_instructions
from esca.accelerator.machine import execute, issue_order
from esca.accelerator.program import MachineProgram, load_program, program_text, save_program
from esca.avatars import VARIANTS
from esca.errors import EscaError
from esca.graph import Graph, Node, trace
from esca.graph.ops import Conv2d, ConvTranspose2d, Input, LeakyRelu, TexelBias
from esca.quantization import Recipe, collect, quantize
from esca.quantization.quantize import QuantizedGraph
from esca.quantization.recipe import Override
from esca.quantization.statistics import TexelMaps
from esca.runtime import IntegerDecoder

PLAIN = Recipe("t", range="minmax", weight_range="minmax", granularity="channel_phase")
RECIPES = {
    "w4a4": PLAIN.with_bits("w4a4"),
    "w8a8": PLAIN.with_bits("w8a8"),
    "mixed": replace(PLAIN, texel_bias=4, overrides=(Override("*conv1*", 8, 8),)),
}


def quantized_of(graph: Graph, feeds: dict[str, Tensor], recipe: Recipe) -> QuantizedGraph:
    return quantize(graph, collect(graph, lambda: [feeds], TexelMaps(), hessians=()), recipe)


def held_against_the_runtime(
    quantized: QuantizedGraph, program: MachineProgram, feeds: dict[str, Tensor], order=None
) -> None:
    runtime = IntegerDecoder(quantized)
    integers = {name: value[:1] for name, value in runtime.quantize(feeds).items()}
    wanted, found = runtime.run(integers), execute(program, integers, order)
    for label, value in wanted.items():
        assert torch.equal(found.outputs[label], value[0]), label
    frame = time_workload(quantized_workload(quantized), program.config)
    assert (found.macs, found.bytes) == (frame.macs, frame.dram_bytes)


@pytest.fixture(scope="module")
def tiny(decoder: Callable, frames: Callable) -> tuple[QuantizedGraph, dict[str, Tensor]]:
    feeds = frames(2)
    return quantized_of(decoder("residual", 8), feeds, RECIPES["w4a4"]), feeds


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("variant", ["plain", "residual", "upsample"])
@pytest.mark.parametrize("preset", ["esca-16x16", "dense-16x16", "edge-8x8"])
def test_small_decoders(decoder, frames, variant: str, recipe: str, preset: str) -> None:
    feeds = frames(2)
    quantized = quantized_of(decoder(variant, 4), feeds, RECIPES[recipe])
    program = compile_program(quantized, load_config(preset))
    held_against_the_runtime(quantized, program, feeds)


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_avatar(variant: str, traced_avatar) -> None:
    generator = torch.Generator().manual_seed(5)
    feeds = {"z": torch.randn(2, 16, generator=generator), "view": torch.randn(2, 3)}
    bits = {"base": "mixed", "warp": "w8a8"}.get(variant, "w4a4")
    quantized = quantized_of(traced_avatar(variant).graph, feeds, RECIPES[bits])
    program = compile_program(quantized, load_config("esca-16x16"))
    held_against_the_runtime(quantized, program, feeds)


def test_the_encoder(traced_avatar) -> None:
    shapes = {"average_texture": (3, 256, 256), "mesh": (150,)}
    graph = trace(traced_avatar("base").avatar.encoder, shapes, ("mean", "logstd"))
    feeds = {name: torch.randn(1, *shape) for name, shape in shapes.items()}
    quantized = quantized_of(graph, feeds, RECIPES["w8a8"])
    program = compile_program(quantized, load_config("esca-16x16"))
    held_against_the_runtime(quantized, program, feeds)


def any_order(program: MachineProgram, seed: int) -> list[int]:
    """A random order that queues and semaphores allow."""
    chance = random.Random(seed)
    queues: dict[str, list[int]] = {}
    for index, made in enumerate(program.instructions):
        queues.setdefault(made.queue, []).append(index)
    done: set[int] = set()
    order = []
    while len(order) < len(program.instructions):
        ready = [
            queue[0]
            for queue in queues.values()
            if queue and done.issuperset((*program.instructions[queue[0]].after,
                                          *program.instructions[queue[0]].reuses))
        ]  # fmt: skip
        index = chance.choice(ready)
        queues[program.instructions[index].queue].pop(0)
        done.add(index)
        order.append(index)
    return order


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**31))
def test_semaphores_are_enough(tiny, seed: int) -> None:
    quantized, feeds = tiny
    config = load_config("edge-8x8")
    buffers = replace(config.buffers, activation_bytes=8192, weight_bytes=2048)
    program = compile_program(quantized, replace(config, buffers=buffers))
    held_against_the_runtime(quantized, program, feeds, any_order(program, seed))


@settings(max_examples=25, deadline=None)
@given(
    st.booleans(),
    st.integers(1, 7),
    st.integers(1, 4),
    st.integers(0, 3),
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    # Where the input is no smaller than the kernel, every weight meets a value.
    st.tuples(st.integers(7, 20), st.integers(7, 20)),
    st.sampled_from(["dense", "compressed", "phases", "scatter"]),
    st.sampled_from(["w4a4", "w8a8"]),
    st.integers(0, 2**31),
)
def test_mappings_compute_the_runtime_s_integers(
    small, up, kernel, stride, padding, channels, side, mapping, bits, seed
) -> None:
    generator = torch.Generator().manual_seed(seed)
    (cin, cout), (h, w) = channels, side
    shape = (cout, cin, kernel, kernel)
    out = [
        (n - 1) * stride - 2 * padding + kernel if up else (n + 2 * padding - kernel) // stride + 1
        for n in side
    ]
    assume(min(out) >= 1 and (not up or padding < kernel))
    assume(not (up and mapping == "im2col"))
    weight = torch.randn(shape, generator=generator)
    kind = ConvTranspose2d if up else Conv2d
    op = kind(weight.transpose(0, 1).contiguous() if up else weight, None, stride, padding)
    bias = torch.randn(cout, *out, generator=generator)
    nodes = (
        Node("x", Input(), (), (cin, h, w)),
        Node("conv", op, ("x",), (cout, *out)),
        Node("bias", TexelBias(bias), ("conv",), (cout, *out)),
        Node("act", LeakyRelu(0.2), ("bias",), (cout, *out)),
    )
    feeds = {"x": torch.randn(1, cin, h, w, generator=generator)}
    quantized = quantized_of(Graph(nodes, {"y": "act"}), feeds, RECIPES[bits])
    config = replace(small, mappings=(mapping,))
    try:
        program = compile_program(quantized, config)
    except EscaError as error:
        assert "mapping" in str(error)
        return
    held_against_the_runtime(quantized, program, feeds)


def test_round_trips(tiny, tmp_path: Path) -> None:
    quantized, feeds = tiny
    config = load_config("esca-16x16")
    program = compile_program(quantized, config)
    path = tmp_path / "mine.program"
    save_program(program, path)
    loaded = load_program(path, config)
    assert loaded.instructions == program.instructions
    assert program_text(loaded) == program_text(program)
    text = instructions_text(program.instructions)
    assert parse_instructions(text, "text") == program.instructions
    held_against_the_runtime(quantized, loaded, feeds)
    with pytest.raises(EscaError, match=r"compiled for esca-16x16 .* not for edge-8x8"):
        load_program(path, load_config("edge-8x8"))
    path.write_bytes(path.read_bytes()[:-1] + b"\x07")
    with pytest.raises(EscaError, match="damaged"):
        load_program(path)
    with pytest.raises(EscaError, match="unknown key 'halves'"):
        parse_instructions("00000 array array halves=1\n", "text")
    with pytest.raises(EscaError, match="waits for an instruction that does not come before"):
        parse_instructions("00000 array array after=0\n", "text")


@pytest.mark.parametrize(
    ("op", "change", "message"),
    [
        ("load_rows", None, "is read, its place holds nothing"),
        ("load_weights", None, "not loaded|does not hold"),
        ("load_biases", None, "biases and residuals: half . does not hold"),
        ("array", None, "accumulators: half . does not hold"),
        ("epilogue", None, "is overwritten before it was read|its place holds|does not hold"),
        ("store", None, "overwritten before it was read|its place holds"),
        ("load_weights", {"bytes": 1}, "it says 1"),
    ],
)
def test_a_corrupted_schedule_is_noticed(tiny, op: str, change, message: str) -> None:
    quantized, feeds = tiny
    config = load_config("edge-8x8")
    buffers = replace(config.buffers, activation_bytes=8192)
    program = compile_program(quantized, replace(config, buffers=buffers))
    order = issue_order(program)
    victim = next(index for index in order if program.instructions[index].op == op)
    if change is None:
        order.remove(victim)
    else:
        made = list(program.instructions)
        made[victim] = replace(made[victim], **change)
        program = replace(program, instructions=tuple(made))
    integers = IntegerDecoder(quantized).quantize(feeds)
    with pytest.raises(EscaError, match=message):
        execute(program, {name: value[:1] for name, value in integers.items()}, order)


def test_bad_input_is_named(tiny) -> None:
    quantized, _ = tiny
    config = load_config("esca-16x16")
    program = compile_program(quantized, config)
    with pytest.raises(EscaError, match="input 'z' was not fed"):
        execute(program, {})
    with pytest.raises(EscaError, match=r"input 'z' has shape \(7,\), expected \(6,\)"):
        execute(program, {"z": torch.zeros(7)})
    with pytest.raises(EscaError, match="part: 'mesh', expected texture or decoder"):
        compile_program(quantized, config, part="mesh")
    few = replace(config, buffers=replace(config.buffers, activation_bytes=64))
    with pytest.raises(EscaError, match=r"buffers\.activation_bytes"):
        compile_program(quantized, few)
