"""The functional simulator held against the integer runtime, on codes of real frames."""

from collections.abc import Callable

import numpy as np
import torch

from esca.accelerator.compiler import compile_program
from esca.accelerator.config import AcceleratorConfig
from esca.accelerator.machine import execute, issue_order
from esca.avatars import Avatar
from esca.captures.layout import FrameId, SampleId
from esca.captures.reader import Capture
from esca.errors import EscaError
from esca.quantization.calibration import check_fits, encode_frames
from esca.quantization.quantize import QuantizedGraph
from esca.quantization.statistics import Feeds
from esca.runtime import IntegerDecoder


def held_out_codes(avatar: Avatar, capture: Capture, count: int) -> Feeds:
    """``z`` (N, L) and ``view`` (N, 3) of ``count`` frames, spread over the held-out segments.

    Codes are the encoder's means; cameras take turns. EscaError where the avatar does not fit the
    capture, or nothing is held out.
    """
    if count < 1:
        raise EscaError(f"frames is {count}, expected 1 or more")
    check_fits(avatar, capture)
    samples: dict[FrameId, list[SampleId]] = {}
    for sample in capture.samples(segments=capture.held_out_prefixes):
        samples.setdefault(sample.frame_id, []).append(sample)
    if not samples:
        prefixes = " ".join(f"{prefix}*" for prefix in capture.held_out_prefixes)
        raise EscaError(f"{capture.root}: no frame of the held-out segments {prefixes} has data")
    frames = list(samples)
    places = np.linspace(0, len(frames) - 1, min(count, len(frames))).round().astype(int)
    chosen = [frames[place] for place in places]
    views = []
    for turn, frame in enumerate(chosen):
        camera = capture.camera(samples[frame][turn % len(samples[frame])].camera)
        views.append(torch.from_numpy(camera.view_direction(capture.transform(frame))).float())
    codes = [encode_frames(avatar, capture, [frame]) for frame in chosen]
    return {"z": torch.cat(codes), "view": torch.stack(views)}


def random_codes(quantized: QuantizedGraph, count: int, seed: int = 0) -> Feeds:
    """``count`` standard normal values of every input."""
    if count < 1:
        raise EscaError(f"frames is {count}, expected 1 or more")
    generator = torch.Generator().manual_seed(seed)
    return {
        node.name: torch.randn(count, *node.shape, generator=generator)
        for node in quantized.graph.inputs
    }


def check_bit_identity(
    quantized: QuantizedGraph,
    config: AcceleratorConfig,
    feeds: Feeds,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Compile and execute frames (reals, batch first); how many output integers were compared.

    EscaError where one differs from the integer runtime, or feeds do not fit.
    """
    for node in quantized.graph.inputs:
        shape = tuple(feeds[node.name].shape[1:])
        if shape != node.shape:
            raise EscaError(
                f"codes: {node.name} is {shape} a frame, the artifact takes {node.shape}"
            )
    program, runtime = compile_program(quantized, config), IntegerDecoder(quantized)
    order, integers = issue_order(program), runtime.quantize(feeds)
    count = len(next(iter(integers.values())))
    compared = 0
    for frame in range(count):
        one = {name: value[frame : frame + 1] for name, value in integers.items()}
        wanted, found = runtime.run(one), execute(program, one, order).outputs
        for label, value in wanted.items():
            different = int((found[label] != value[0]).sum())
            if different:
                raise EscaError(f"simulator: frame {frame}: {different} values of {label} differ")
            compared += value.numel()
        if progress:
            progress(frame + 1, count)
    return compared
