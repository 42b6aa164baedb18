"""Programs on real integers: compiled, executed through the modelled memories, saved and loaded."""

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from torch import Tensor

from esca.accelerator import AcceleratorConfig, load_config, quantized_workload, time_workload
from esca.accelerator.compiler import compile_program
from esca.accelerator.events import simulate
from esca.accelerator.isa import instructions_text, parse_instructions
from esca.accelerator.machine import execute, issue_order
from esca.accelerator.order import place
from esca.accelerator.plan import plan_layer
from esca.accelerator.program import MachineProgram, load_program, program_text, save_program
from esca.accelerator.schedule import SERVERS, schedule_jobs
from esca.accelerator.workload import graph_workload
from esca.avatars import VARIANTS
from esca.errors import EscaError
from esca.graph import Graph, Node, trace
from esca.graph.ops import Add, Conv2d, ConvTranspose2d, GridSample, Input, LeakyRelu, TexelBias
from esca.quantization import Recipe, collect, quantize
from esca.quantization.quantize import QuantizedGraph
from esca.quantization.recipe import Override
from esca.quantization.statistics import TexelMaps
from esca.runtime import IntegerDecoder

PLAIN = Recipe("t", range="minmax", weight_range="minmax", granularity="channel_phase")
RECIPES = {
    "w4a4": PLAIN.with_bits("w4a4"),
    "w8a8": PLAIN.with_bits("w8a8"),
    "w4a8": PLAIN.with_bits("w4a8"),
    "w8a4": PLAIN.with_bits("w8a4"),
    "mixed": replace(
        PLAIN, texel_bias=4, overrides=(Override("*conv1*", 8, 8), Override("*conv2*", 4, 8))
    ),
}
NIBBLES = replace(RECIPES["w4a4"], texel_bias=4, texture=4)


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


@pytest.mark.parametrize("recipe", ["w4a4", "w8a8", "w4a8", "mixed"])
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


def places_graph(rise: Tensor, offset: Tensor) -> Graph:
    """x, s (2, H, W) -> x, sampled at places that a plane, some offsets and s make."""
    shape = tuple(rise.shape)
    nodes = (
        Node("x", Input(), (), shape),
        Node("s", Input(), (), shape),
        Node("shift", Conv2d(0.02 * torch.randn(2, 2, 3, 3), torch.zeros(2), 1, 1), ("s",), shape),
        Node("more", TexelBias(offset), ("shift",), shape),
        Node("place", TexelBias(rise), ("more",), shape),
        Node("moved", GridSample(), ("x", "place"), shape),
    )
    return Graph(nodes, {"texture": "moved"})


@pytest.mark.parametrize("bend", [0.0, 0.1])
def test_ramps_are_computed_where_biases_rise_evenly(bend: float, small, tmp_path) -> None:
    torch.manual_seed(4)
    y, x = torch.meshgrid(torch.linspace(-1, 1, 11), torch.linspace(-1, 1, 14), indexing="ij")
    rise = torch.stack([0.8 * x + 0.1 * y, 0.9 * y - 0.2 * x]) + bend * torch.stack([x * y, x * x])
    graph = places_graph(rise, 0.01 * torch.randn(2, 11, 14))
    feeds = {name: torch.randn(2, 2, 11, 14) for name in "xs"}
    quantized = quantized_of(graph, feeds, replace(RECIPES["w4a4"], texel_bias=6))
    (layer,) = [layer for layer in quantized_workload(quantized).layers if layer.name == "shift"]
    values = layer.output.values  # a byte each, two more where the places are stored
    wanted = (0, 3 * values) if bend else (1, values)
    assert (layer.ramps, layer.texel_bias_bytes) == wanted
    save_program(compile_program(quantized, small), tmp_path / "a.program")
    held_against_the_runtime(quantized, load_program(tmp_path / "a.program"), feeds)
    planned = graph_workload(graph, quantized.recipe)
    assert planned.layers == quantized_workload(quantized).layers


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


def formula_and_events_agree(quantized: QuantizedGraph, config: AcceleratorConfig) -> None:
    """A lone layer to the cycle, when transfers take no time. Results come at once: a unit's result
    waits for no store of one before, which the formula does not know.
    """
    config = replace(config, engines=replace(config.engines, epilogue_latency_cycles=0))
    workload = quantized_workload(quantized)
    (layer,) = workload.layers
    plan = plan_layer(layer, config)
    program = schedule_jobs(workload, place(workload, [plan], config), config)
    jobs = [
        replace(job, cycles=0, latency=0) if job.queue in SERVERS else job for job in program.jobs
    ]
    starts = simulate(jobs, SERVERS)
    ends = [start + job.cycles for start, job in zip(starts, jobs, strict=True)]
    assert max(ends) == plan.standalone_cycles(config)


def sizes(channels: int, side: int) -> st.SearchStrategy[tuple[int, int, int, int]]:
    """Input and output channels, height and width."""
    c, n = st.integers(1, channels), st.integers(1, side)
    return st.tuples(c, c, n, n)


@settings(max_examples=25, deadline=None)
@given(
    st.booleans(),
    st.integers(1, 7),
    st.integers(1, 4),
    st.integers(0, 3),
    st.one_of(sizes(40, 12), sizes(300, 4), sizes(4, 64)),
    st.sampled_from(["dense", "compressed", "phases", "scatter"]),
    st.sampled_from(["w4a4", "w4a8", "w8a4", "w8a8"]),
    st.integers(0, 2**31),
)
# A channel's 25 taps lie on two tiles, and some of its rows wait for the next chunk.
@example(True, 5, 2, 0, (1, 19, 9, 20), "scatter", "w4a4", 0)
# A stride above the kernel: rows, columns and whole phases that no tap reaches.
@example(True, 1, 4, 1, (4, 23, 4, 3), "phases", "w8a8", 0)
@example(True, 2, 3, 0, (3, 5, 6, 4), "compressed", "w4a4", 0)
@example(True, 1, 3, 0, (2, 3, 30, 20), "scatter", "w8a8", 0)
@example(False, 1, 4, 2, (5, 3, 9, 9), "phases", "w4a4", 0)
# An input below the kernel: taps that meet no value; a phase without outputs; no value at all.
@example(False, 7, 1, 3, (3, 4, 1, 2), "scatter", "w8a8", 0)
@example(True, 6, 4, 3, (3, 4, 1, 2), "compressed", "w4a4", 0)
@example(True, 2, 4, 2, (3, 4, 2, 2), "compressed", "w4a4", 0)
@example(False, 1, 4, 1, (3, 8, 16, 1), "dense", "w4a4", 0)
# Two products in each place, by every mapping; of the last ones one place is half filled.
@example(True, 4, 2, 1, (13, 7, 6, 5), "dense", "w4a8", 0)
@example(True, 4, 2, 1, (13, 7, 6, 5), "compressed", "w4a8", 0)
@example(True, 4, 2, 1, (13, 7, 6, 5), "phases", "w4a8", 0)
@example(True, 3, 2, 1, (5, 3, 6, 5), "scatter", "w4a8", 0)
@example(False, 3, 1, 1, (5, 3, 6, 5), "phases", "w8a4", 0)
def test_mappings_compute_the_runtime_s_integers(
    small, up, kernel, stride, padding, size, mapping, bits, seed
) -> None:
    generator = torch.Generator().manual_seed(seed)
    cin, cout, *side = size
    out = [
        (n - 1) * stride - 2 * padding + kernel if up else (n + 2 * padding - kernel) // stride + 1
        for n in side
    ]
    assume(min(out) >= 1)
    assume(max(out[0] * out[1] * cout, side[0] * side[1] * cin) * kernel**2 <= 200_000)
    weight = torch.randn(cout, cin, kernel, kernel, generator=generator)
    kind = ConvTranspose2d if up else Conv2d
    op = kind(weight.transpose(0, 1).contiguous() if up else weight, None, stride, padding)
    bias = torch.randn(cout, *out, generator=generator)
    nodes = (
        Node("x", Input(), (), (cin, *side)),
        Node("conv", op, ("x",), (cout, *out)),
        Node("bias", TexelBias(bias), ("conv",), (cout, *out)),
        Node("act", LeakyRelu(0.2), ("bias",), (cout, *out)),
    )
    feeds = {"x": torch.randn(1, cin, *side, generator=generator)}
    quantized = quantized_of(Graph(nodes, {"y": "act"}), feeds, RECIPES[bits])
    config = replace(small, mappings=(mapping,))
    if max(cin, cout) > 40:  # fewer tiles
        config = replace(config, array=replace(config.array, rows=16, columns=16))
    try:
        program = compile_program(quantized, config)
    except EscaError as error:
        assert "mapping" in str(error)
        return
    held_against_the_runtime(quantized, program, feeds)
    formula_and_events_agree(quantized, config)


def test_values_that_share_a_byte(small) -> None:
    """4-bit biases and maps in DRAM, of units with an odd number of values."""
    generator = torch.Generator().manual_seed(0)

    def rand(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    nodes = (
        Node("x", Input(), (), (2, 5, 3)),
        Node("up", ConvTranspose2d(rand(2, 7, 3, 3), rand(7), 2, 1), ("x",), (7, 9, 5)),
        Node("up.bias", TexelBias(rand(7, 9, 5)), ("up",), (7, 9, 5)),
        Node("act", LeakyRelu(0.2), ("up.bias",), (7, 9, 5)),
        Node("conv", Conv2d(rand(7, 7, 3, 3), rand(7), 1, 1), ("act",), (7, 9, 5)),
        Node("sum", Add(), ("conv", "act"), (7, 9, 5)),
        Node("last", Conv2d(rand(1, 7, 9, 5), None, 1, 0), ("sum",), (1, 1, 1)),
        Node("y", TexelBias(rand(1, 1, 1)), ("last",), (1, 1, 1)),
    )
    feeds = {"x": rand(1, 2, 5, 3)}
    quantized = quantized_of(Graph(nodes, {"y": "y"}), feeds, NIBBLES)
    buffers = replace(small.buffers, activation_bytes=400, accumulator_bytes=40)
    config = replace(small, buffers=buffers, fuse_strips=False)
    held_against_the_runtime(quantized, compile_program(quantized, config), feeds)


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
    with pytest.raises(EscaError, match=r"mode is '8x4', expected one of 4x4, 4x8, 8x8"):
        parse_instructions("00000 array array mode=8x4\n", "text")
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
        ("array", {"mode": "4x8"}, "mode '4x8', its operands are packed for '4x4'"),
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
