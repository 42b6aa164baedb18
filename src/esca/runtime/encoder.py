"""An avatar's encoder on integers: the same artifact and arithmetic as a decoder's."""

from collections.abc import Callable, Iterable
from pathlib import Path

import torch

from esca.avatars import Avatar
from esca.captures import Capture
from esca.files import sha256
from esca.graph.graph import Graph
from esca.graph.trace import trace
from esca.quantization.calibration import (
    CalibrationConfig,
    calibration_samples,
    check_fits,
    encoder_inputs,
)
from esca.quantization.quantize import quantize
from esca.quantization.recipe import Recipe
from esca.quantization.statistics import Feeds, TexelMaps, collect
from esca.runtime.artifact import Artifact

RECIPE = "rtn"
BITS = "w8a8"
"""Codes move the whole face, and one encoder runs a headset: 8 bits throughout."""


def encoder_graph(avatar: Avatar) -> Graph:
    """The avatar's encoder as a graph: ``average_texture``, ``mesh`` -> ``mean``, ``logstd``."""
    side = avatar.texture_size
    shapes: dict[str, tuple[int, ...]] = {
        "average_texture": (3, side, side),
        "mesh": (avatar.vertex_values,),
    }
    return trace(avatar.encoder, shapes, ("mean", "logstd"))


def encoder_artifact(
    avatar: Avatar,
    capture: Capture,
    recipe: Recipe,
    checkpoint: Path,
    config: CalibrationConfig | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Artifact:
    """Quantize the encoder on ``config.frames`` training frames, which are read twice.

    ``recipe`` must need neither smoothing nor Hessians, which have no meaning without texels.
    """
    config = config or CalibrationConfig()
    check_fits(avatar, capture)
    samples = calibration_samples(capture, config)
    frames = [sample.frame_id for sample in samples]
    graph = encoder_graph(avatar)

    def batches() -> Iterable[Feeds]:
        for start in range(0, len(frames), config.batch):
            part = frames[start : start + config.batch]
            textures, meshes = encoder_inputs(capture, part, avatar.texture_size)
            yield {"average_texture": textures, "mesh": meshes}

    with torch.no_grad():
        statistics = collect(graph, batches, TexelMaps(), (), progress, len(frames))
        quantized = quantize(graph, statistics, recipe)
    provenance = {
        "checkpoint": checkpoint.name,
        "checkpoint_sha256": sha256(checkpoint),
        "capture": capture.root.name,
        "frames": ["/".join(sample) for sample in samples],
        "seed": config.seed,
    }
    return Artifact(quantized, provenance)
