"""Latency of single layers, as the cost that a budget of bits is kept in."""

from dataclasses import replace
from functools import cache
from math import ceil

from esca.accelerator.config import AcceleratorConfig
from esca.accelerator.plan import plan_layer
from esca.accelerator.workload import WorkLayer, Workload
from esca.errors import EscaError
from esca.quantization.budget import LayerCost


def latency_cost(workload: Workload, config: AcceleratorConfig) -> LayerCost:
    """Milliseconds of a layer with other bits: ``cost(layer, weight_bits, activation_bits)``.

    The layer alone: its fastest mapping at those bits, or the time in which its weights and texel
    biases come from DRAM where that is longer. Sums over layers leave out what overlaps between
    them, and what feature maps move. EscaError for a layer that the workload does not have.
    """
    layers = {layer.name: layer for layer in workload.layers}

    @cache
    def cost(layer: str, weight_bits: int, activation_bits: int) -> float:
        if layer not in layers:
            raise EscaError(f"{workload.name}: no layer {layer!r}")
        return _milliseconds(_with_bits(layers[layer], weight_bits, activation_bits), config)

    return cost


def _with_bits(layer: WorkLayer, weight_bits: int, activation_bits: int) -> WorkLayer:
    inputs = tuple(replace(tensor, bits=activation_bits) for tensor in layer.inputs)
    return replace(layer, inputs=inputs, weight_bits=weight_bits)


def _milliseconds(layer: WorkLayer, config: AcceleratorConfig) -> float:
    cycles = plan_layer(layer, config).standalone_cycles(config)
    moved = ceil((layer.weight_bytes + layer.texel_bias_bytes) / config.dram_bytes_per_cycle)
    return 1e3 * max(cycles, moved) / config.clock_hertz
