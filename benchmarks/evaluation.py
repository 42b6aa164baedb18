"""Seconds a frame that evaluation takes, by part, for each method and view.

    python benchmarks/evaluation.py CAPTURE AVATAR [ARTIFACT ...] [--frames 5] [--scale 0.25]
                                    [--json out.json]

Parts, one after the other on as many threads as torch takes: ``decode`` (codes to texture and
mesh), ``render`` (colours, rasterizing, shading), ``vdp`` (FovVideoVDP of the whole view against
the reference and against fp32), ``metrics`` (PSNR, SSIM, flicker) and ``regions`` (all of it in the
eyes, mouth and nose). ``esca evaluate`` overlaps scoring with the next method's rendering.
"""

import argparse
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

from esca.avatars import load_avatar
from esca.captures import open_capture
from esca.evaluation import Clips, Protocol, method_of, prepare_clips
from esca.evaluation.clips import Clip, Segment
from esca.evaluation.evaluate import FP32
from esca.evaluation.metrics import Video, flicker, psnr, ssim
from esca.evaluation.vdp import jod
from esca.evaluation.videos import FloatDecoder, Method
from esca.rendering.raster import Scene
from esca.runtime import load_artifact

Seconds = dict[str, float]


@contextmanager
def timed(seconds: Seconds, part: str) -> Iterator[None]:
    """Add the time of the block to a part."""
    began = time.perf_counter()
    yield
    seconds[part] = seconds.get(part, 0.0) + time.perf_counter() - began


def rendered(method: Method, segment: Segment, clip: Clip, clips: Clips, seconds: Seconds) -> Video:
    """The view's video."""
    pictures = []
    for number, code in enumerate(segment.codes):
        with timed(seconds, "decode"), torch.no_grad():
            direction = clip.directions[number]
            texture, mesh = method.decoder.decode(code[None], direction[None])
        with timed(seconds, "render"):
            scene = Scene(clips.meshes(mesh)[0], clips.topology.faces)
            (picture,) = clips.pictures(texture, clip.camera_index)
            pose = segment.transforms[number]
            pictures.append(clips.picture(picture, scene, clip.camera, pose))
    return np.stack(pictures)


def score(video: Video, ideal: Video, clip: Clip, protocol: Protocol, seconds: Seconds) -> None:
    """Every figure of a row."""
    display = (protocol.display, protocol.fps, protocol.foveated)
    truth = ideal if clip.reference is None else clip.reference
    with timed(seconds, "vdp"):
        jod(video, truth, *display)
        if truth is not ideal:
            jod(video, ideal, *display)
    with timed(seconds, "metrics"):
        psnr(video, ideal, clip.mask)
        for metric in (psnr, ssim, flicker):
            metric(video, truth, clip.mask)
    with timed(seconds, "regions"):
        for box in clip.boxes.values():
            crop, right, mask = video[box.slices], truth[box.slices], clip.mask[box.slices]
            psnr(crop, right, mask)
            ssim(crop, right, mask)
            jod(crop, right, *display)


def main() -> None:
    """Time every method in every view of the first held-out segment."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("capture", type=Path)
    parser.add_argument("avatar", type=Path)
    parser.add_argument("artifacts", type=Path, nargs="*")
    parser.add_argument("--frames", type=int, default=5)
    parser.add_argument("--scale", type=float, default=0.25)
    parser.add_argument("--json", help="also write the rows here")
    options = parser.parse_args()
    avatar = load_avatar(options.avatar)
    protocol = Protocol(scale=options.scale, crop="face", frames=options.frames)
    began = time.perf_counter()
    clips = prepare_clips(open_capture(options.capture), avatar, protocol)
    prepared = time.perf_counter() - began
    frames = sum(len(segment.frames) for segment in clips.segments)
    print(f"prepare {prepared / frames:.3f} seconds a frame, all views", flush=True)
    own = FloatDecoder(avatar)
    methods = [Method(FP32, FP32, own.bytes, own)]
    methods += [method_of(load_artifact(path)) for path in options.artifacts]
    segment, rows = clips.segments[0], []
    for clip in segment.clips:
        ideal: Video | None = None
        for method in methods:
            seconds: Seconds = {}
            video = rendered(method, segment, clip, clips, seconds)
            ideal = video if ideal is None else ideal
            score(video, ideal, clip, clips.protocol, seconds)
            parts = {name: round(value / len(video), 4) for name, value in seconds.items()}
            rows.append(
                {
                    "method": method.name,
                    "bits": method.bits,
                    "view": clip.view,
                    "rows": clip.camera.size[0],
                    "columns": clip.camera.size[1],
                    **parts,
                    "total": round(sum(parts.values()), 4),
                }
            )
            print("  ".join(f"{key} {value}" for key, value in rows[-1].items()), flush=True)
    if options.json:
        Path(options.json).write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
