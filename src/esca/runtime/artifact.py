"""One file that holds a quantized decoder and can run without the model it came from.

A safetensors file: packed integers, scales and biases as tensors; graph, grids, recipe, statistics
and provenance as JSON in its header. Loading parses data and never executes any.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

import esca
from esca.errors import EscaError
from esca.files import contents_sha256, sha256, written_beside
from esca.graph.graph import Graph, Node
from esca.graph.ops import (
    OPERATORS,
    Affine,
    Conv2d,
    ConvTranspose2d,
    Input,
    LeakyRelu,
    Linear,
    Op,
    PixelShuffle,
    Reshape,
    TexelBias,
    Upsample,
    Weighted,
)
from esca.quantization.calibration import Calibration
from esca.quantization.grid import Grid
from esca.quantization.quantize import QuantizedGraph, Smoothed
from esca.quantization.ramp import Ramp
from esca.quantization.recipe import Recipe, recipe_data, recipe_from_data
from esca.quantization.stages import Progress, quantize_calibrated
from esca.quantization.weights import QuantizedBias, QuantizedWeight, dequantize_weight
from esca.runtime.packing import pack, unpack
from esca.runtime.saturation import calibrated_shares

FORMAT = "esca-artifact-1"


@dataclass(frozen=True, eq=False)
class Artifact:
    """A quantized graph and where it came from.

    ``provenance``: plain data: versions, hashes of avatar and capture, calibration frames and
    seed, ``observed`` ranges of every tensor, and ``clamped``, the share of the calibration values
    that the tensor's grid clamps.
    """

    quantized: QuantizedGraph
    provenance: Mapping[str, Any]


def save_artifact(artifact: Artifact, path: Path) -> None:
    """Write the artifact, beside first and then renamed."""
    quantized = artifact.quantized
    tensors: dict[str, Tensor] = {}
    nodes = [_node_data(node, quantized, tensors) for node in quantized.graph.nodes]
    smoothed = []
    for index, made in enumerate(quantized.smoothed):
        tensors[f"smoothing.{index}.scales"] = made.scales
        tensors[f"smoothing.{index}.exempt"] = made.exempt
        smoothed.append(list(made.sinks))
    header = {
        "format": FORMAT,
        "versions": {"esca": esca.__version__, "torch": torch.__version__},
        "nodes": nodes,
        "outputs": dict(quantized.graph.outputs),
        "grids": {
            name: [grid.scale, grid.zero_point, grid.bits] for name, grid in quantized.grids.items()
        },
        "recipe": recipe_data(quantized.recipe),
        "smoothed": smoothed,
        "provenance": dict(artifact.provenance),
    }
    # Clones, since two nodes may share a tensor, which the format does not take. One metadata
    # field, since the order of several is not fixed and equal artifacts are to be equal bytes.
    tensors = {
        name: tensor.clone(memory_format=torch.contiguous_format)
        for name, tensor in tensors.items()
    }
    sealed = header | {"sha256": contents_sha256(header, tensors)}
    with written_beside(path) as beside:
        metadata = {"esca": json.dumps(sealed, sort_keys=True)}
        beside.write_bytes(save(tensors, metadata=metadata))


def load_artifact(path: Path) -> Artifact:
    """Read an artifact; a damaged one is an error that says what is wrong."""
    path = Path(path)
    if not path.is_file():
        raise EscaError(f"{path}: no such artifact")
    try:
        with safe_open(path, framework="pt") as stored:
            metadata = stored.metadata() or {}
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise EscaError(f"{path}: damaged or no artifact ({error})") from error
    text = metadata.get("esca")
    if text is None:
        raise EscaError(f"{path}: no artifact of esca (header field 'esca' is missing)")
    try:
        header = dict(json.loads(text))
    except (ValueError, TypeError) as error:
        raise EscaError(f"{path}: damaged artifact, field 'esca' is no JSON object") from error
    if header.get("format") != FORMAT:
        raise EscaError(f"{path}: format is {header.get('format')!r}, expected {FORMAT!r}")
    if header.pop("sha256", None) != contents_sha256(header, tensors):
        raise EscaError(f"{path}: damaged artifact, its contents do not match field 'sha256'")
    return Artifact(_quantized_graph(path, header, tensors), header.get("provenance", {}))


def artifact_bytes(quantized: QuantizedGraph) -> dict[str, int]:
    """Payload by part, in bytes: convolutions, linear, texel biases, channel biases, scales."""
    parts = dict.fromkeys(("convolutions", "linear", "texel_biases", "biases", "scales"), 0)
    for name, weight in quantized.weights.items():
        op = quantized.graph.weight_op(name)
        packed = pack(weight.values, weight.bits)
        part = "linear" if isinstance(op, Linear) else "convolutions"
        parts[part] += packed.numel() * packed.element_size()
        parts["scales"] += weight.scale.numel() * 4
        parts["biases"] += 0 if op.bias is None else op.bias.numel() * 4
    for bias in quantized.texel_biases.values():
        stored = _stored_bias(bias)
        parts["texel_biases"] += stored.numel() * stored.element_size()
        parts["scales"] += bias.scale.numel() * 4
    return parts


def _stored_bias(bias: QuantizedBias) -> Tensor:
    """Packed values, or (C, 2, 2) starts and steps of a ramp."""
    if bias.ramp is None:
        return pack(bias.values, bias.bits)
    return torch.stack([bias.ramp.start, bias.ramp.step], 1)


def _node_data(node: Node, quantized: QuantizedGraph, tensors: dict[str, Tensor]) -> dict[str, Any]:
    """JSON of a node; its tensors go into ``tensors`` under its name."""
    op, name = node.op, node.name
    fields: dict[str, Any] = {}
    match op:
        case Linear() | Conv2d() | ConvTranspose2d():
            stored = quantized.weights[name]
            tensors[f"{name}.weight"] = pack(stored.values, stored.bits)
            tensors[f"{name}.scale"] = stored.scale
            if op.bias is not None:
                tensors[f"{name}.bias"] = op.bias
            fields = {"shape": list(stored.values.shape), "bits": stored.bits}
            if not isinstance(op, Linear):
                fields |= {"stride": op.stride, "padding": op.padding}
            if isinstance(op, ConvTranspose2d):
                fields["output_padding"] = op.output_padding
        case TexelBias():
            bias = quantized.texel_biases[name]
            kind = "values" if bias.ramp is None else "ramp"
            tensors[f"{name}.{kind}"] = _stored_bias(bias)
            tensors[f"{name}.scale"] = bias.scale
            fields = {"shape": list(bias.values.shape), "bits": bias.bits}
        case Affine():
            tensors[f"{name}.scale"], tensors[f"{name}.offset"] = op.scale, op.offset
        case LeakyRelu():
            fields = {"slope": op.slope}
        case Reshape():
            fields = {"shape": list(op.shape)}
        case Upsample():
            fields = {"factor": op.factor, "mode": op.mode}
        case PixelShuffle():
            fields = {"factor": op.factor}
    return {
        "name": name,
        "op": type(op).__name__,
        "inputs": list(node.inputs),
        "output_shape": list(node.shape),
        "fields": fields,
    }


def _quantized_graph(
    path: Path, header: Mapping[str, Any], tensors: Mapping[str, Tensor]
) -> QuantizedGraph:
    weights: dict[str, QuantizedWeight] = {}
    biases: dict[str, QuantizedBias] = {}
    try:
        nodes = tuple(
            Node(
                data["name"],
                _operator(data, tensors, weights, biases),
                tuple(data["inputs"]),
                tuple(data["output_shape"]),
            )
            for data in header["nodes"]
        )
        grids = {name: Grid(*values) for name, values in header["grids"].items()}
        smoothed = tuple(
            Smoothed(
                tuple(sinks),
                tensors[f"smoothing.{index}.scales"],
                tensors[f"smoothing.{index}.exempt"],
            )
            for index, sinks in enumerate(header["smoothed"])
        )
        graph = Graph(nodes, header["outputs"])
        recipe = recipe_from_data(header["recipe"], f"{path}: recipe")
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        what = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise EscaError(f"{path}: damaged artifact, {what} is missing or wrong") from error
    return QuantizedGraph(graph, recipe, weights, biases, grids, smoothed)


def _operator(
    data: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
    weights: dict[str, QuantizedWeight],
    biases: dict[str, QuantizedBias],
) -> Op:
    name, fields = data["name"], data["fields"]
    kind = OPERATORS[data["op"]]
    if kind is TexelBias:
        shape, bits, ramp = tuple(fields["shape"]), fields["bits"], None
        if f"{name}.ramp" in tensors:
            ramp = Ramp(*tensors[f"{name}.ramp"].unbind(1))
            values = ramp.values(*shape[1:])
        else:
            values = unpack(tensors[f"{name}.values"], bits, shape, name)
        biases[name] = QuantizedBias(values, tensors[f"{name}.scale"], bits, ramp)
        return TexelBias(biases[name].real)
    if kind is Affine:
        return Affine(tensors[f"{name}.scale"], tensors[f"{name}.offset"])
    if kind not in (Linear, Conv2d, ConvTranspose2d):
        if kind is Reshape:
            return Reshape(tuple(fields["shape"]))
        return Input() if kind is Input else kind(**fields)
    shape, bits = tuple(fields["shape"]), fields["bits"]
    values = unpack(tensors[f"{name}.weight"], bits, shape, name).to(torch.int8)
    weights[name] = QuantizedWeight(values, tensors[f"{name}.scale"], bits)
    geometry = {key: value for key, value in fields.items() if key not in ("shape", "bits")}
    op: Weighted = kind(values.float(), tensors.get(f"{name}.bias"), **geometry)
    return replace(op, weight=dequantize_weight(op, weights[name]))


def quantized_artifact(
    calibration: Calibration,
    recipe: Recipe,
    checkpoint: Path,
    capture: str,
    progress: Progress | None = None,
    lesson: Path | None = None,
) -> Artifact:
    """Quantize a calibrated avatar; the artifact says from which files, frames and seed.

    ``progress`` counts the steps of what learns. ``lesson``: where a distillation keeps its state,
    so that an interrupted one goes on.
    """
    statistics = calibration.statistics
    made = quantize_calibrated(calibration, recipe, progress, lesson)
    quantized = made.quantized
    provenance = {
        "checkpoint": checkpoint.name,
        "checkpoint_sha256": sha256(checkpoint),
        "capture": capture,
        "frames": list(calibration.samples),
        "seed": calibration.config.seed,
        "observed": {
            name: [float(tensor.low.min()), float(tensor.high.max())]
            for name, tensor in statistics.tensors.items()
        },
        "clamped": calibrated_shares(quantized, statistics),
    }
    if made.course is not None:
        losses = {str(step): loss for step, loss in made.course.losses.items()}
        provenance["distillation"] = {"kept_step": made.course.best, "held_out_loss": losses}
    return Artifact(quantized, provenance)
