"""Seconds and peak memory of calibration at texture 1024, `warp`, for 64, 128 and 256 frames.

    python benchmarks/calibration.py [--frames 64 128 256] [--hessians plain uv] [--json out.json]

Every length runs in a process of its own, so that its peak is its own. The avatar has random
weights and the codes are drawn from a seed: what calibration costs does not depend on their values.
Both Hessians serve every recipe; ``--hessians uv`` is what ``ffas-uv`` alone needs.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Collection, Iterable
from pathlib import Path

import torch

from esca.avatars import AvatarConfig, build_avatar
from esca.quantization.calibration import decoder_graph
from esca.quantization.quantize import quantize
from esca.quantization.recipe import load_recipe
from esca.quantization.statistics import HESSIANS, Feeds, HessianKind, TexelMaps, collect

LATENT, VERTICES, SIZE, BATCH = 256, 7306, 1024, 2


def measure(frames: int, hessians: Collection[HessianKind]) -> dict[str, float | str]:
    """One run in this process."""
    avatar = build_avatar(AvatarConfig("warp", SIZE, LATENT, VERTICES, 38), seed=0)
    graph = decoder_graph(avatar)
    generator = torch.Generator().manual_seed(0)
    codes = torch.randn(frames, LATENT, generator=generator)
    views = torch.nn.functional.normalize(torch.randn(frames, 3, generator=generator))
    weight = torch.rand(SIZE, SIZE, generator=generator)

    def batches() -> Iterable[Feeds]:
        for start in range(0, frames, BATCH):
            part = slice(start, start + BATCH)
            yield {"z": codes[part], "view": views[part]}

    began = time.perf_counter()
    statistics = collect(graph, batches, TexelMaps(weight, weight), hessians)
    collected = time.perf_counter()
    recipe = "ffas-uv" if "uv" in hessians else "icas"
    quantize(graph, statistics, load_recipe(recipe, "w4a4"))
    done = time.perf_counter()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {
        "frames": frames,
        "hessians": "+".join(hessians),
        "calibration_seconds": round(collected - began, 1),
        "seconds_a_frame": round((collected - began) / frames, 3),
        "quantize_seconds": round(done - collected, 1),
        "peak_gib": round(peak / 2**30, 3),
    }


def main() -> None:
    """Run every length in a child process and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, nargs="+", default=[64, 128, 256])
    parser.add_argument("--hessians", choices=HESSIANS, nargs="+", default=list(HESSIANS))
    parser.add_argument("--json", help="also write the rows here")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(measure(options.frames[0], options.hessians)))
        return
    rows = []
    for frames in options.frames:
        command = [sys.executable, __file__, "--child", "--frames", str(frames)]
        command += ["--hessians", *options.hessians]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        rows.append(json.loads(done.stdout.splitlines()[-1]))
        print("  ".join(f"{key} {value}" for key, value in rows[-1].items()), flush=True)
    if options.json:
        Path(options.json).write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
