"""Opening an artifact with any engine."""

from typing import Literal, get_args

from torch import Tensor

from esca.errors import EscaError
from esca.quantization.quantize import QuantizedGraph
from esca.runtime.backends.interface import Decoder
from esca.runtime.backends.onnx_runtime import OnnxRuntimeDecoder
from esca.runtime.backends.openvino import OpenVinoDecoder
from esca.runtime.backends.pytorch import TorchDecoder
from esca.runtime.extra import needed
from esca.runtime.integer import IntegerDecoder

Engine = Literal["integer", "torch", "onnxruntime", "openvino"]
ENGINES: tuple[Engine, ...] = get_args(Engine)


def open_decoder(
    quantized: QuantizedGraph,
    engine: Engine = "integer",
    threads: int | None = None,
    device: str = "cpu",
    textures: Tensor | None = None,
) -> Decoder:
    """A decoder for a quantized graph.

    ``integer``: the bit-exact reference. ``onnxruntime``, ``openvino``: the exported form ``cpu``,
    the reference's arithmetic, rarely a step off. ``torch``: its dequantized parameters in float32
    with activations that are not quantized, on ``device``. ``textures``: (N, T, T, 3) float32
    memory that the textures of frames are written to in turn, where an engine can (``openvino``).
    EscaError for another engine or a missing extra.
    """
    if engine == "integer":
        return IntegerDecoder(quantized)
    if engine == "torch":
        return TorchDecoder(quantized.graph, device, threads)
    if engine not in ENGINES:
        raise EscaError(f"engine: {engine!r}, expected one of {', '.join(ENGINES)}")
    needed("onnx", "export")
    # Imported here, since exporting needs onnx and opening files does not.
    from esca.runtime.export.model import quantized_model

    if engine == "onnxruntime":
        model = quantized_model(quantized, "cpu")
        return OnnxRuntimeDecoder(model.SerializeToString(), threads)
    model = quantized_model(quantized, "cpu", last=True)
    return OpenVinoDecoder(model.SerializeToString(), threads, last=True, textures=textures)
