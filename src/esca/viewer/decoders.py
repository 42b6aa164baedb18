"""The decoders that the page compares, opened when they are first asked for and timed."""

import time
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from esca.avatars import Avatar
from esca.quantization.calibration import decoder_graph
from esca.runtime.artifact import Artifact, artifact_bytes
from esca.runtime.backends import Decoder, Engine, open_decoder
from esca.runtime.backends.onnx_runtime import OnnxRuntimeDecoder
from esca.runtime.backends.openvino import OpenVinoDecoder
from esca.runtime.backends.pytorch import TorchDecoder
from esca.runtime.extra import needed
from esca.viewer.latest import Recent


@dataclass(frozen=True, eq=False)
class Candidate:
    """An artifact: its method and bits as in tables, its file, its payload in bytes."""

    artifact: Artifact
    path: Path

    @property
    def method(self) -> str:
        """Name of the recipe."""
        return self.artifact.quantized.recipe.name

    @property
    def bits(self) -> str:
        """As in "W4A4"."""
        return self.artifact.quantized.recipe.label.upper()

    @property
    def bytes(self) -> int:
        """Integers, scales and biases."""
        return sum(artifact_bytes(self.artifact.quantized).values())


@dataclass(eq=False)
class Timed:
    """A decoder with the milliseconds that its last calls took."""

    decoder: Decoder
    times: Recent = field(default_factory=Recent)

    def decode(self, code: Tensor, view: Tensor) -> tuple[Tensor, Tensor]:
        """Texture (3, T, T) and mesh (3V,) of a code (L,) and a direction (3,)."""
        began = time.perf_counter()
        with torch.no_grad():
            texture, mesh = self.decoder.decode(code[None], view[None])
        self.times.add(1e3 * (time.perf_counter() - began))
        return texture[0], mesh[0]


class Decoders:
    """All candidates and the fp32 avatar, on one engine with ``threads`` threads each."""

    def __init__(
        self, avatar: Avatar, candidates: tuple[Candidate, ...], engine: Engine, threads: int
    ) -> None:
        self.candidates = candidates
        self._engine, self._threads = engine, threads
        self._opened: dict[int, Timed] = {}
        self.reference = Timed(_reference(avatar, engine, threads))
        self.reference_bytes = 4 * sum(value.numel() for value in avatar.decoder.parameters())

    def quantized(self, index: int) -> Timed:
        """The decoder of a candidate; opening takes seconds, once."""
        if index not in self._opened:
            made = open_decoder(
                self.candidates[index].artifact.quantized, self._engine, self._threads
            )
            self._opened[index] = Timed(made)
        return self._opened[index]

    def is_open(self, index: int) -> bool:
        """Whether :meth:`quantized` answers at once."""
        return index in self._opened


def _reference(avatar: Avatar, engine: Engine, threads: int) -> Decoder:
    """The fp32 decoder in the form that is fastest on the engine."""
    graph = decoder_graph(avatar)
    if engine in ("integer", "torch"):
        return TorchDecoder(graph, threads=threads)
    needed("onnx", "export")
    # Imported here, since exporting needs onnx and PyTorch does not.
    from esca.runtime.export.model import float_model

    if engine == "onnxruntime":
        return OnnxRuntimeDecoder(float_model(graph, split=True).SerializeToString(), threads)
    return OpenVinoDecoder(float_model(graph, split=False).SerializeToString(), threads)
