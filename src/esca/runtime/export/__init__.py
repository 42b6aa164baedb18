"""Quantized graphs as ONNX. Import :mod:`esca.runtime.export.model` where ``onnx`` is there."""
