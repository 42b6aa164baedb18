"""Speed of the accelerator's timing model and of its functional simulator, figures of the presets.

    python benchmarks/accelerator.py [--repeats N] [--execute] [--scale-sim PYTHON] [--json FILE]

Seconds are of one thread, best and median of the repeats. `--execute` also runs 1024 `warp` frames
of random codes through the modelled buffers, bit for bit. `--scale-sim` names a Python that has
SCALE-Sim (`pip install scalesim`, MIT, best into an environment of its own, with numpy below 2.4):
one layer, zero-inserted, on both in the same run; their cycles must agree.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch

from esca.accelerator import (
    Workload,
    avatar_workload,
    load_config,
    preset_names,
    scale_sim_cycles,
    tile_layer,
    time_workload,
)
from esca.accelerator.area import area
from esca.accelerator.check import random_codes
from esca.accelerator.compiler import compile_program
from esca.accelerator.energy import frame_energy
from esca.accelerator.machine import execute, issue_order
from esca.accelerator.technology import NODES
from esca.avatars import AvatarConfig, build_avatar
from esca.quantization import Recipe, collect, quantize
from esca.quantization.calibration import decoder_graph
from esca.quantization.statistics import TexelMaps
from esca.runtime import IntegerDecoder

GOLDEN = (450_559, 309_247)

CASES = (
    ("base", "texture", "w4a4"),
    ("base", "texture", "w8a8"),
    ("warp", "decoder", "w4a4"),
    ("warp", "decoder", "w8a8"),
    ("base", "encoder", "w8a8"),
)


def speed(repeats: int) -> list[dict[str, Any]]:
    """Seconds of processor time to plan, schedule and simulate one frame."""
    rows = []
    for preset, case in (
        ("esca-16x16", CASES[2]),
        ("esca-16x16", CASES[3]),
        ("dense-16x16", CASES[1]),
    ):
        variant, part, bits = case
        config = load_config(preset)
        workload = avatar_workload(variant, 1024, part, bits)
        seconds = []
        for _ in range(repeats):
            began = time.process_time()
            frame = time_workload(workload, config)
            seconds.append(time.process_time() - began)
        best = min(seconds)
        rows.append(
            {
                "workload": workload.name,
                "preset": preset,
                "layers": len(workload.layers),
                "cycles": frame.cycles,
                "seconds_best": round(best, 3),
                "seconds_median": round(statistics.median(seconds), 3),
                "layers_a_second": round(len(workload.layers) / best, 1),
                "cycles_a_second": round(frame.cycles / best),
            }
        )
    return rows


def golden() -> list[int]:
    """SCALE-Sim's cycles of the first two layers, zero-inserted, by formula."""
    config = load_config("dense-16x16")
    layers = avatar_workload("base", 1024, "texture", "w8a8").layers[:2]
    return [scale_sim_cycles(tile_layer(layer, config, "dense")) for layer in layers]


def execution(repeats: int) -> list[dict[str, Any]]:
    """Seconds (wall and processor) to execute a `warp` frame at 1024, held against the runtime."""
    avatar = build_avatar(AvatarConfig("warp", 1024, 256, 7306, 3), seed=0)
    graph = decoder_graph(avatar.eval().requires_grad_(False))
    generator = torch.Generator().manual_seed(1)
    feeds = {n.name: torch.randn(2, *n.shape, generator=generator) for n in graph.inputs}
    statistics_of = collect(graph, lambda: [feeds], TexelMaps(), hessians=())
    plain = Recipe("plain", range="minmax", weight_range="minmax")
    rows = []
    for bits in ("w4a4", "w8a8"):
        quantized = quantize(graph, statistics_of, plain.with_bits(bits))
        program = compile_program(quantized, load_config("esca-16x16"))
        runtime = IntegerDecoder(quantized)
        codes = runtime.quantize(random_codes(quantized, 1))
        order, wall, processor = issue_order(program), [], []
        for _ in range(repeats):
            began = time.perf_counter(), time.process_time()
            found = execute(program, codes, order)
            wall.append(time.perf_counter() - began[0])
            processor.append(time.process_time() - began[1])
        wanted = runtime.run(codes)
        same = all(torch.equal(found.outputs[k], v[0]) for k, v in wanted.items())
        if not same:
            raise SystemExit(f"warp 1024 {bits}: the simulator differs from the integer runtime")
        rows.append(
            {
                "execute": f"warp 1024 {bits}",
                "instructions": len(program.instructions),
                "wall_seconds_best": round(min(wall), 2),
                "processor_seconds_best": round(min(processor), 2),
                "bit_identical": same,
            }
        )
    return rows


def scale_sim(python: str) -> list[dict[str, Any]]:
    """One layer on SCALE-Sim and here; empty where that Python has no SCALE-Sim."""
    if subprocess.run(
        [python, "-c", "import scalesim"], capture_output=True, check=False
    ).returncode:
        print(f"SCALE-Sim skipped: {python} has no package scalesim", file=sys.stderr)
        return []
    config = load_config("dense-16x16")
    whole = avatar_workload("base", 512, "texture", "w8a8")
    layer = whole.layers[0]
    tiling = tile_layer(layer, config, "dense")
    side = (layer.input.height - 1) * layer.stride + 2 * layer.kernel[0] - 2 * layer.padding - 1
    sizes = (config.array.rows, config.array.columns, side, layer.kernel[0])
    script = Path(__file__).with_name("scale_sim_layer.py")
    arguments = [*sizes, layer.input.channels, layer.output.channels]
    told = subprocess.run(
        [python, str(script), *map(str, arguments)], capture_output=True, text=True, check=True
    )
    theirs = json.loads(told.stdout)
    alone = Workload("one layer", (layer,), (layer.input,), (layer.output.name,))
    seconds = []
    for _ in range(10):
        began = time.process_time()
        time_workload(alone, config)
        seconds.append(time.process_time() - began)
    formula = scale_sim_cycles(tiling)
    if theirs["cycles"] != formula:
        raise SystemExit(f"SCALE-Sim counts {theirs['cycles']} cycles, the formula {formula}")
    ours = statistics.median(seconds)
    return [
        {
            "scale_sim": layer.name,
            "cycles": formula,
            "scale_sim_seconds": round(theirs["seconds"], 2),
            "scale_sim_layers_a_second": round(1 / theirs["seconds"], 3),
            "our_seconds": round(ours, 5),
            "our_layers_a_second": round(1 / ours, 1),
            "ratio": round(theirs["seconds"] / ours),
        }
    ]


def figures() -> list[dict[str, Any]]:
    """Time, energy and area of the presets."""
    rows = []
    for name in preset_names():
        config = load_config(name)
        space = {f"mm2_{node}nm": round(area(config, node).total.value, 3) for node in NODES}
        for variant, part, bits in CASES if config.array.macs_8bit else ():
            frame = time_workload(avatar_workload(variant, 1024, part, bits), config)
            row = {
                "preset": name,
                "workload": frame.workload,
                "ms": round(frame.latency_ms, 3),
                "useful": round(frame.useful_utilization, 4),
                "dram_mb": round(frame.dram_bytes / 1e6, 3),
            }
            for node in NODES:
                total = frame_energy(frame, node).total
                row[f"uj_{node}nm"] = [round(v) for v in (total.value, total.low, total.high)]
            rows.append(row | space | {"array_mm2": round(area(config).array.value, 4)})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--execute", action="store_true")
    parser.add_argument("--scale-sim", metavar="PYTHON", default=sys.executable)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    found = golden()
    if tuple(found) != GOLDEN:
        raise SystemExit(f"golden cycles are {found}, expected {GOLDEN}")
    result: dict[str, Any] = {"golden": found}
    for name, rows in (
        ("speed", lambda: speed(arguments.repeats)),
        ("scale_sim", lambda: scale_sim(arguments.scale_sim)),
        ("execution", lambda: execution(min(arguments.repeats, 3)) if arguments.execute else []),
        ("figures", figures),
    ):
        result[name] = rows()
        for row in result[name]:
            print(json.dumps(row), flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
