"""Integers only: lowering, bit-exact execution and the artifact file."""

from esca.runtime.artifact import (
    Artifact,
    artifact_bytes,
    load_artifact,
    quantized_artifact,
    save_artifact,
)
from esca.runtime.integer import IntegerDecoder

__all__ = [
    "Artifact",
    "IntegerDecoder",
    "artifact_bytes",
    "load_artifact",
    "quantized_artifact",
    "save_artifact",
]
