"""Decoders side by side: one run, one after the other in turn, so that noise hits all alike."""

import gc
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from esca.avatars import load_avatar
from esca.errors import EscaError
from esca.quantization.calibration import decoder_graph
from esca.runtime.artifact import load_artifact
from esca.runtime.backends.interface import Decoder
from esca.runtime.backends.onnx_runtime import OnnxRuntimeDecoder
from esca.runtime.backends.openvino import OpenVinoDecoder
from esca.runtime.backends.pytorch import TorchDecoder
from esca.runtime.extra import needed
from esca.runtime.integer import IntegerDecoder
from esca.runtime.memory import peak_bytes, reset_peak

REST = 0.005
"""Seconds between two measurements: threads of the engine before stop spinning."""

_LIBRARIES = {"onnxruntime": ("onnxruntime", "export"), "openvino": ("openvino", "openvino")}


@dataclass(frozen=True)
class Candidate:
    """What is measured. ``bits``: fp32, W8A8 ... ``form``: what the engine runs, for tables.

    ``path``: a checkpoint (torch), an artifact (integer) or an exported file. ``device``: of torch.
    """

    engine: Literal["integer", "torch", "onnxruntime", "openvino"]
    bits: str
    form: str
    path: Path
    threads: int
    device: str = "cpu"

    def open(self) -> Decoder:
        """Load the file; other processes can do it too."""
        match self.engine:
            case "torch":
                graph = decoder_graph(load_avatar(self.path))
                return TorchDecoder(graph, self.device, self.threads)
            case "integer":
                torch.set_num_threads(self.threads)
                return IntegerDecoder(load_artifact(self.path).quantized)
            case "onnxruntime":
                return OnnxRuntimeDecoder(self.path, self.threads)
            case "openvino":
                return OpenVinoDecoder(self.path, self.threads)


@dataclass(frozen=True)
class Measured:
    """Milliseconds a frame: ``median``, quartiles ``low`` and ``high``, over ``runs``.

    ``memory``: bytes by which a loaded decoder raises the peak resident memory of a process of its
    own while it decodes, libraries not counted; None where it was not asked for.
    """

    candidate: Candidate
    median: float
    low: float
    high: float
    runs: int
    memory: int | None


def measure(
    candidates: Sequence[Candidate],
    latent: int,
    rounds: int = 20,
    memory: bool = True,
    slow_rounds: int = 3,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Measured, ...]:
    """Time every candidate on one frame, ``rounds`` times in turn.

    Before each measurement a decoder runs once unmeasured, so that it meets warm caches as in a
    session. The integer reference, which is built to be exact, takes part in ``slow_rounds`` only.
    """
    if rounds < 3:
        raise EscaError(f"rounds: {rounds}, expected 3 or more")
    peaks = [_peak(candidate, latent) if memory else None for candidate in candidates]
    opened = [candidate.open() for candidate in candidates]
    frame = example(latent)
    times: list[list[float]] = [[] for _ in candidates]
    for number in range(rounds):
        for candidate, decoder, kept in zip(candidates, opened, times, strict=True):
            if candidate.engine == "integer" and number >= slow_rounds:
                continue
            time.sleep(REST)
            decoder.decode(*frame)
            kept.append(_milliseconds(decoder, frame))
        if progress:
            progress(number + 1, rounds)
    rows = []
    for candidate, kept, peak in zip(candidates, times, peaks, strict=True):
        low, middle, high = statistics.quantiles(kept, n=4, method="inclusive")
        rows.append(Measured(candidate, middle, low, high, len(kept), peak))
    return tuple(rows)


def example(latent: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """One code (1, L) and one view direction (1, 3)."""
    generator = torch.Generator().manual_seed(seed)
    view = torch.randn(1, 3, generator=generator)
    return torch.randn(1, latent, generator=generator), view / view.norm()


def _milliseconds(decoder: Decoder, frame: tuple[Tensor, Tensor]) -> float:
    start = time.perf_counter()
    decoder.decode(*frame)
    return 1e3 * (time.perf_counter() - start)


def _peak(candidate: Candidate, latent: int) -> int:
    """In a fresh process, since memory that one decoder gave back another one would reuse."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_added, candidate, latent).result()


def _added(candidate: Candidate, latent: int) -> int:
    """What a loaded decoder adds while it decodes; what only loading took is not counted."""
    if candidate.engine in _LIBRARIES:
        needed(*_LIBRARIES[candidate.engine])
    reset_peak()
    before = peak_bytes()
    decoder = candidate.open()
    gc.collect()
    reset_peak()
    for _ in range(3):
        decoder.decode(*example(latent))
    return max(peak_bytes() - before, 0)
