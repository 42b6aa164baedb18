"""Exported files against the integer runtime on frames of a capture."""

from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from esca.avatars import Avatar
from esca.captures import Capture
from esca.captures.layout import SampleId
from esca.errors import EscaError
from esca.quantization.calibration import encode_frames, encoder_inputs
from esca.quantization.quantize import QuantizedGraph
from esca.runtime.backends.onnx_runtime import OnnxRuntimeDecoder
from esca.runtime.backends.openvino import OpenVinoDecoder
from esca.runtime.export.difference import Difference, Feeds, differences

Progress = Callable[[int, int], None]
Found = dict[str, dict[str, Difference]]


class _Engine(Protocol):
    def run(self, feeds: Mapping[str, Tensor]) -> dict[str, Tensor]: ...


def check_decoder(
    quantized: QuantizedGraph,
    path: Path,
    avatar: Avatar,
    capture: Capture,
    frames: int,
    progress: Progress | None = None,
) -> Found:
    """Differences by engine and output, codes and views as ``frames`` held-out frames have them."""
    feeds: list[Feeds] = []
    for sample in held_out(capture, frames):
        camera = capture.camera(sample.camera)
        view = camera.view_direction(capture.transform(sample.frame_id))
        code = encode_frames(avatar, capture, [sample.frame_id])
        feeds.append({"z": code, "view": torch.from_numpy(view).float()[None]})
    return _compared(quantized, path, feeds, progress)


def check_encoder(
    quantized: QuantizedGraph,
    path: Path,
    avatar: Avatar,
    capture: Capture,
    frames: int,
    progress: Progress | None = None,
) -> Found:
    """The same for an encoder."""
    feeds: list[Feeds] = []
    for sample in held_out(capture, frames):
        texture, mesh = encoder_inputs(capture, [sample.frame_id], avatar.texture_size)
        feeds.append({"average_texture": texture, "mesh": mesh})
    return _compared(quantized, path, feeds, progress)


def held_out(capture: Capture, count: int) -> Sequence[SampleId]:
    """Samples of held-out frames, evenly spread over frames and cameras."""
    samples = capture.samples(segments=capture.held_out_prefixes)
    if not samples:
        raise EscaError(f"{capture.root}: holds out no frame that has textures")
    return [samples[i * len(samples) // count] for i in range(min(count, len(samples)))]


def _compared(
    quantized: QuantizedGraph, path: Path, feeds: list[Feeds], progress: Progress | None
) -> Found:
    engines: dict[str, _Engine] = {"ONNX Runtime": OnnxRuntimeDecoder(path)}
    if find_spec("openvino") is not None:
        engines["OpenVINO"] = OpenVinoDecoder(path)
    return {
        name: differences(quantized, engine.run, feeds, progress)
        for name, engine in engines.items()
    }
