import time
from collections import Counter
from dataclasses import replace

import pytest

from esca.accelerator import (
    Workload,
    avatar_workload,
    graph_workload,
    load_config,
    plan_layer,
    preset_names,
    time_workload,
)
from esca.accelerator.shapes import decoder_shapes
from esca.avatars import VARIANTS, AvatarConfig
from esca.errors import EscaError
from esca.quantization import Recipe
from esca.quantization.recipe import Override


def timed(variant: str, part: str, bits: str, preset: str = "esca-16x16", size: int = 1024):
    return time_workload(avatar_workload(variant, size, part, bits), load_config(preset))


@pytest.mark.parametrize(
    ("variant", "part", "bits", "milliseconds", "utilization"),
    [
        ("base", "texture", "w4a4", 1.75, 0.90),
        ("base", "texture", "w8a8", 6.5, 0.90),
        ("warp", "decoder", "w4a4", 5.0, 0.85),
        ("warp", "decoder", "w8a8", 19.0, 0.90),
        ("base", "encoder", "w8a8", 7.0, 0.85),
    ],
)
def test_targets(variant, part, bits, milliseconds: float, utilization: float) -> None:
    frame = timed(variant, part, bits)
    assert frame.latency_ms <= milliseconds
    assert frame.useful_utilization >= utilization
    assert frame.useful_utilization <= frame.occupied_utilization <= 1


def test_against_the_dense_array_and_the_published_mapping() -> None:
    ours, dense, published = (
        timed("base", "texture", "w8a8", preset).cycles
        for preset in ("esca-16x16", "dense-16x16", "esca-published")
    )
    assert dense / ours >= 7
    # The published 12.51 ms; what is modelled here on top of its tiles times rows is under 0.1%.
    assert published / 500e6 * 1e3 == pytest.approx(12.7, abs=0.05)


def mixed(size: int, *layers: str) -> Workload:
    """The texture decoder at w4a4, with these convolutions at w4a8."""
    overrides = tuple(Override(f"*texture_decoder*{layer}*", 4, 8) for layer in layers)
    recipe = Recipe("mixed", overrides=overrides).with_bits("w4a4")
    graph = decoder_shapes(AvatarConfig("base", size, vertices=7306))
    return graph_workload(graph, recipe).texture_part()


def test_weights_of_four_bits_take_half_the_time_of_eight() -> None:
    """Activations of 8 bits make 4 x 8 products: two a place and cycle."""
    narrow, half, whole = (timed("base", "texture", bits) for bits in ("w4a4", "w4a8", "w8a8"))
    assert half.cycles / whole.cycles == pytest.approx(0.5, rel=0.01)
    assert half.cycles / narrow.cycles == pytest.approx(2, rel=0.07)
    assert {layer.mode for layer in half.layers} == {"4x8"}
    assert half.useful_utilization >= 0.9
    plain, wide = (
        timed("base", "texture", bits, "esca-published").cycles for bits in ("w4a8", "w8a8")
    )
    assert plain == pytest.approx(wide, rel=1e-3)  # weights from DRAM are half


def test_layers_of_a_mixed_decoder_take_what_they_take_in_uniform_ones() -> None:
    config = load_config("esca-16x16")
    narrow, half = (timed("base", "texture", bits, size=512) for bits in ("w4a4", "w4a8"))
    chosen = ("2.conv2", "3.conv2")
    found = time_workload(mixed(512, *chosen), config)
    wanted = [
        (b if any(name in a.name for name in chosen) else a).engine_cycles
        for a, b in zip(narrow.layers, half.layers, strict=True)
    ]
    assert [layer.engine_cycles for layer in found.layers] == wanted
    assert [layer.mode for layer in found.layers].count("4x8") == 2
    assert found.cycles == pytest.approx(sum(wanted) + sum(found.waited_cycles.values()), rel=0.01)


def test_a_warp_frame_is_timed_within_a_second() -> None:
    # 0.6 s on a core of its own; a core that other threads share counts up to twice as much.
    began = time.process_time()
    timed("warp", "decoder", "w8a8")
    assert time.process_time() - began < 2.0


@pytest.mark.parametrize("preset", [n for n in preset_names() if load_config(n).array.macs_8bit])
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_runs_on_every_preset_with_all_widths(variant: str, preset: str) -> None:
    for part, bits in (("decoder", "w4a4"), ("encoder", "w8a4")):
        workload = avatar_workload(variant, 256, part, bits)
        frame = time_workload(workload, load_config(preset))
        assert {layer.name for layer in frame.layers} == {x.name for x in workload.layers}
        assert frame.dram_bytes == sum(frame.traffic.values())
        assert sum(layer.macs for layer in frame.layers) == workload.macs
        assert all(layer.engine_cycles > 0 for layer in frame.layers)


def test_engines_do_one_thing_at_a_time_and_bytes_take_their_time() -> None:
    frame = timed("warp", "decoder", "w4a4", size=512)
    busy: dict[str, int] = {}
    for span in sorted(frame.timeline, key=lambda span: span.start):
        assert span.start >= busy.get(span.engine, 0)
        busy[span.engine] = span.start + span.cycles
        assert busy[span.engine] <= frame.cycles
    assert frame.engine_cycles["dram"] >= frame.dram_bytes / 32


def test_array_time_is_work_and_waiting() -> None:
    frame = timed("base", "texture", "w4a4", size=256)
    array = [span for span in frame.timeline if span.engine == "array"]
    last = max(span.start + span.cycles for span in array)
    assert last == frame.engine_cycles["array"] + sum(frame.waited_cycles.values())


def test_a_lone_layer_takes_its_closed_form_when_nothing_is_waited_for() -> None:
    """With all the bandwidth there could be, only the first tile's way into the array is added."""
    config = load_config("esca-16x16")
    config = replace(
        config,
        memory=replace(
            config.memory,
            dram_bytes_per_second=1e18,
            dma_bytes_per_cycle=10**9,
            dram_latency_cycles=0,
        ),
    )
    for layer in avatar_workload("non", 1024, "texture", "w8a8").layers:
        alone = Workload("alone", (layer,), layer.inputs, (layer.output.name,))
        plan = plan_layer(layer, config)
        assert plan.tiling is not None
        cycles = time_workload(alone, config).cycles
        # A transfer of any size takes a cycle; the last result is stored.
        startup = cycles - plan.standalone_cycles(config)
        assert plan.tiling.load_cycles <= startup <= plan.tiling.load_cycles + 4


def test_less_bandwidth_costs_time_and_is_named() -> None:
    config = load_config("esca-16x16")
    slow = replace(config, memory=replace(config.memory, dram_bytes_per_second=2e9))
    workload = avatar_workload("base", 512, "texture", "w4a4")
    fast, late = time_workload(workload, config), time_workload(workload, slow)
    assert late.cycles > 1.5 * fast.cycles
    assert late.engine_cycles["dram"] / late.cycles > 0.9
    assert fast.config_sha256 != late.config_sha256


def test_fusing_removes_traffic_and_nothing_else() -> None:
    config = load_config("esca-16x16")
    workload = avatar_workload("base", 1024, "texture", "w8a8")
    fused = time_workload(workload, config)
    apart = time_workload(workload, replace(config, fuse_strips=False))
    assert fused.traffic["texel_biases"] == apart.traffic["texel_biases"] == 9_142_272
    saved = Counter(apart.traffic)
    saved.subtract(fused.traffic)
    assert saved["inputs"] + saved["outputs"] >= 2 * 4_194_304


def test_no_layer_waits_for_a_place_that_a_long_transfer_still_needs() -> None:
    """The latent code is read until the mesh's weights have come, behind many layers."""
    frame = timed("base", "decoder", "w4a4")
    assert frame.waited_cycles["accumulators"] <= 0.03 * frame.cycles


def test_maps_that_live_across_a_strip_are_placed() -> None:
    """Half of the buffer is full of whole maps before and behind the residual layers' strips."""
    assert timed("res", "decoder", "w4a4", "esca-32x32").cycles > 0


def test_buffers_that_are_too_small_are_named() -> None:
    config = load_config("esca-16x16")
    workload = avatar_workload("base", 1024, "texture", "w8a8")
    for field, message in (
        ("weight_bytes", "weights of one tile of outputs are .* buffers.weight_bytes is 1000"),
        ("activation_bytes", "buffers.activation_bytes"),
        ("output_bytes", "buffers.output_bytes is 250"),
    ):
        small = replace(config, buffers=replace(config.buffers, **{field: 1000}))
        with pytest.raises(EscaError, match=f"layer 'dec.texture_decoder.*{message}"):
            time_workload(workload, small)
    with pytest.raises(EscaError, match="no layer to run"):
        time_workload(replace(workload, layers=()), config)
