"""A recipe from its first stage to its last: what needs statistics alone, then what learns."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from esca.graph.graph import Graph
from esca.quantization.calibration import Calibration
from esca.quantization.learning.bounds import train_bounds
from esca.quantization.learning.codes import CodeBook
from esca.quantization.learning.distill import Course, distill
from esca.quantization.learning.reconstruct import reconstruct
from esca.quantization.quantize import QuantizedGraph, quantize
from esca.quantization.recipe import Distillation, Recipe, Reconstruction
from esca.quantization.smoothing import apply_scales, scaling_groups

Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Made:
    """What a recipe made; ``course``: how its distillation went, if it asked for one."""

    quantized: QuantizedGraph
    course: Course | None = None


def quantize_calibrated(
    calibration: Calibration,
    recipe: Recipe,
    progress: Progress | None = None,
    checkpoint: Path | None = None,
) -> Made:
    """Run every stage of a recipe on a calibrated avatar.

    ``progress`` counts the steps of learned stages. ``checkpoint``: see :func:`distill`.
    """
    graph = calibration.graph
    quantized = quantize(graph, calibration.statistics, recipe)
    wanted = smoothed_like(graph, quantized)
    book = CodeBook(calibration.codes, calibration.views)
    match recipe.reconstruction:
        case Reconstruction(method="dqc") as config:
            quantized = train_bounds(quantized, wanted, book, config, progress)
        case Reconstruction() as config:
            seen = calibration.visibility
            quantized = reconstruct(quantized, wanted, book, seen, config, progress)
    if recipe.distill is None:
        return Made(quantized)
    weight = _texel_weight(calibration, recipe.distill)
    return Made(
        *distill(quantized, graph, wanted, book, weight, recipe.distill, progress, checkpoint)
    )


def _texel_weight(calibration: Calibration, config: Distillation) -> Tensor | None:
    seen = calibration.maps.weight
    if config.weight == "uniform" or seen is None:
        return None
    # Errors are squared, so is the gain from a raw error to a shown one.
    return seen * calibration.gain.square() if config.weight == "shown" else seen


def smoothed_like(graph: Graph, quantized: QuantizedGraph) -> Graph:
    """The float graph with the channel scales that ``quantized`` was smoothed by."""
    groups = {group.sinks: group for group in scaling_groups(graph)}
    return apply_scales(graph, {groups[made.sinks]: made.scales for made in quantized.smoothed})
