"""Speed of the timing simulator against SCALE-Sim's, and the figures of docs/accelerator.md.

    python benchmarks/accelerator.py [--repeats 5] [--json out.json]

SCALE-Sim is not run: its 0.02 layers a second and about 9,000 simulated cycles a second are cited
(measured on the first layers of the same decoder, zero-inserted on 16 x 16). What it computes is
checked instead: its two golden cycle counts come out of our formula.
"""

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

from esca.accelerator import (
    avatar_workload,
    load_config,
    preset_names,
    scale_sim_cycles,
    tile_layer,
    time_workload,
)
from esca.accelerator.area import area
from esca.accelerator.energy import frame_energy
from esca.accelerator.technology import NODES

SCALE_SIM_LAYERS_A_SECOND = 0.02
SCALE_SIM_CYCLES_A_SECOND = 9_000
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
                "times_scale_sim_layers": round(
                    len(workload.layers) / best / SCALE_SIM_LAYERS_A_SECOND
                ),
                "times_scale_sim_cycles": round(frame.cycles / best / SCALE_SIM_CYCLES_A_SECOND),
            }
        )
    return rows


def golden() -> list[int]:
    """SCALE-Sim's cycles of the first two layers, zero-inserted, by formula."""
    config = load_config("dense-16x16")
    layers = avatar_workload("base", 1024, "texture", "w8a8").layers[:2]
    return [scale_sim_cycles(tile_layer(layer, config, "dense")) for layer in layers]


def figures() -> list[dict[str, Any]]:
    """Time, energy and area of the presets."""
    rows = []
    for name in preset_names():
        config = load_config(name)
        space = {f"mm2_{node}nm": round(area(config, node).total.value, 3) for node in NODES}
        for variant, part, bits in CASES:
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
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    result = {"golden": golden(), "speed": speed(arguments.repeats), "figures": figures()}
    if tuple(result["golden"]) != GOLDEN:
        raise SystemExit(f"golden cycles are {result['golden']}, expected {GOLDEN}")
    for row in [*result["speed"], *result["figures"]]:
        print(json.dumps(row))
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
