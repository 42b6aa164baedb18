"""Artifacts as decoders under test."""

from esca.evaluation.videos import Method
from esca.runtime.artifact import Artifact, artifact_bytes
from esca.runtime.integer import IntegerDecoder


def method_of(artifact: Artifact) -> Method:
    """One artifact, run on integers; named after its recipe, sized by its payload."""
    quantized = artifact.quantized
    recipe = quantized.recipe
    size = sum(artifact_bytes(quantized).values())
    return Method(recipe.name, recipe.label, size, IntegerDecoder(quantized))
