"""Artifacts as decoders under test."""

from esca.evaluation.videos import Method
from esca.runtime.artifact import Artifact, artifact_bytes
from esca.runtime.integer import IntegerDecoder
from esca.runtime.saturation import WatchedDecoder


def method_of(artifact: Artifact) -> Method:
    """One artifact, run on integers; named after its recipe, sized by its payload.

    Its decoder is watched: it warns where it clamps far more than calibration did.
    """
    quantized = artifact.quantized
    recipe = quantized.recipe
    size = sum(artifact_bytes(quantized).values())
    decoder = WatchedDecoder(IntegerDecoder(quantized), artifact.provenance.get("clamped", {}))
    return Method(recipe.name, recipe.label, size, decoder)
