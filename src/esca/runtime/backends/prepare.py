"""Files for a benchmark: of an avatar and its artifacts, or of one with random values."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from onnx import ModelProto

from esca.avatars import AvatarConfig, build_avatar, load_avatar, save_avatar
from esca.avatars.initialize import randomize_biases
from esca.quantization.calibration import decoder_graph
from esca.quantization.quantize import quantize
from esca.quantization.recipe import load_recipe
from esca.quantization.statistics import TexelMaps, collect
from esca.runtime.artifact import Artifact, load_artifact, save_artifact
from esca.runtime.backends.bench import Candidate, example
from esca.runtime.export.model import float_model, quantized_model, save_model
from esca.runtime.fits import check_artifact_fits

SHUFFLED = "3x3 convolution and depth to space"
AS_IS = "transposed convolution"


@dataclass(frozen=True)
class Subject:
    """A checkpoint and artifacts of its decoder."""

    checkpoint: Path
    artifacts: tuple[Path, ...]


def random_subject(config: AvatarConfig, folder: Path, seed: int = 0) -> Subject:
    """An avatar of random values at W8A8 and W4A4: times and memory do not depend on them.

    Grids come from two random codes, weights are rounded to nearest.
    """
    avatar = build_avatar(config, seed).eval().requires_grad_(False)
    generator = torch.Generator().manual_seed(seed)
    randomize_biases(avatar, generator)
    checkpoint = folder / "avatar.safetensors"
    save_avatar(avatar, checkpoint)
    graph = decoder_graph(avatar)
    codes = [example(config.latent, seed + number) for number in (1, 2)]
    feeds = [{"z": z, "view": view} for z, view in codes]
    statistics = collect(graph, lambda: feeds, TexelMaps(), ())
    artifacts = []
    for bits in ("w8a8", "w4a4"):
        artifacts.append(folder / f"{bits}.esca")
        made = quantize(graph, statistics, load_recipe("rtn", bits))
        save_artifact(Artifact(made, {"seed": seed}), artifacts[-1])
    return Subject(checkpoint, tuple(artifacts))


def candidates(
    subject: Subject, folder: Path, threads: int, device: str | None = None
) -> tuple[Candidate, ...]:
    """Everything that can run the subject; exported files are written to ``folder``.

    ``device``: also measure PyTorch there. EscaError where an artifact and the checkpoint differ.
    """
    avatar = load_avatar(subject.checkpoint)
    loaded = {path: load_artifact(path) for path in subject.artifacts}
    for path, artifact in loaded.items():
        check_artifact_fits(avatar, artifact, path)
    graph = decoder_graph(avatar)
    found = [Candidate("torch", "fp32", AS_IS, subject.checkpoint, threads)]
    if device is not None:
        form = f"{AS_IS}, {device}"
        found.append(Candidate("torch", "fp32", form, subject.checkpoint, threads, device))
    for form, split in ((AS_IS, False), (SHUFFLED, True)):
        path = _written(float_model(graph, split), folder / f"fp32-{split}.onnx")
        found += _engines("fp32", form, path, threads)
    for number, (path, artifact) in enumerate(loaded.items()):
        bits = artifact.quantized.recipe.label.upper()
        found.append(Candidate("integer", bits, "reference", path, threads))
        for name in ("qdq", "cpu"):
            model = quantized_model(artifact.quantized, name)
            exported = _written(model, folder / f"{number}-{name}.onnx")
            found += _engines(bits, name, exported, threads)
    return tuple(found)


def _engines(bits: str, form: str, path: Path, threads: int) -> Sequence[Candidate]:
    return [
        Candidate("onnxruntime", bits, form, path, threads),
        Candidate("openvino", bits, form, path, threads),
    ]


def _written(model: ModelProto, path: Path) -> Path:
    save_model(model, path)
    return path
