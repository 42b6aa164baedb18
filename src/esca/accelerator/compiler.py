"""The compiler, in passes: legalize, fuse the epilogue, choose mapping and tiling, place, schedule
(which allocates buffers and orders DMA), lay out DRAM, emit.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from esca.accelerator.config import AcceleratorConfig
from esca.accelerator.constants import LayerConstants, layer_constants, weight_values
from esca.accelerator.order import place
from esca.accelerator.plan import LayerPlan, plan_layer
from esca.accelerator.program import MachineProgram, Step, outlined
from esca.accelerator.schedule import schedule_jobs
from esca.accelerator.unit_outputs import unit_outputs
from esca.accelerator.weights import Part, tile_weights
from esca.accelerator.workload import ARRAY_KINDS, Workload, quantized_workload
from esca.errors import EscaError
from esca.graph.layers import Layer, schedule
from esca.quantization.quantize import QuantizedGraph
from esca.runtime.lowering import lower
from esca.runtime.packing import pack


def compile_program(
    quantized: QuantizedGraph,
    config: AcceleratorConfig,
    name: str = "artifact",
    part: str = "decoder",
) -> MachineProgram:
    """A program for one frame. ``part``: ``decoder`` for the whole graph (of an encoder, too), or
    ``texture``. EscaError where a layer, its bits or its buffers do not fit the configuration.
    """
    return _compiled(quantized, config, *_legalized(quantized, name, part))


def compile_layer(
    quantized: QuantizedGraph, config: AcceleratorConfig, layer: str
) -> MachineProgram:
    """A program of one ``layer`` alone, by its name: operands come from DRAM, its output, which is
    its label, too, goes there. EscaError as above, and for an unknown layer.
    """
    workload = quantized_workload(quantized).alone(layer)
    return _compiled(quantized, config, workload, {workload.outputs[0]: workload.outputs[0]})


def _compiled(
    quantized: QuantizedGraph,
    config: AcceleratorConfig,
    workload: Workload,
    labels: dict[str, str],
) -> MachineProgram:
    constants = layer_constants(quantized, lower(quantized))  # with the fused epilogue
    plans = [plan_layer(layer, config) for layer in workload.layers]  # mapping and tiling
    placement = place(workload, plans, config)  # order, what stays on chip, strips
    scheduled = schedule_jobs(workload, placement, config)  # addresses, double buffers, DMA
    outline = outlined(workload, config, scheduled)
    image = _Image(quantized, constants)
    steps = tuple(
        replace(
            step,
            constants=constants[plan.layer.name],
            weights=image.weights(plan, step),
            texel_biases=image.texel_biases(plan),
        )
        for step, plan in zip(outline.steps, scheduled.plans, strict=True)
    )
    return replace(outline, labels=labels, steps=steps, image=image.bytes())


def _legalized(quantized: QuantizedGraph, name: str, part: str) -> tuple[Workload, dict[str, str]]:
    """Typed layers, each of a kind and with bits that some engine takes."""
    workload = quantized_workload(quantized, name, part)
    labels = dict(quantized.graph.outputs)
    if part == "texture":
        labels = {"texture": workload.outputs[0]}
    if not workload.layers:
        raise EscaError(f"{name}: no layer to run")
    return workload, labels


class _Image:
    """Weights and texel biases as they lie in DRAM, one after the other."""

    def __init__(self, quantized: QuantizedGraph, constants: dict[str, LayerConstants]) -> None:
        self.quantized, self.constants = quantized, constants
        self.texel = {
            step.name: step.texel_biases
            for step in schedule(quantized.graph)
            if isinstance(step, Layer)
        }
        self.pieces = [np.zeros(0, np.uint8)]
        self.size = 0

    def weights(self, plan: LayerPlan, step: Step) -> dict[Part, tuple[int, int]]:
        """Places of a layer's parts, whose sizes its outline has."""
        layer = plan.layer
        if layer.kind not in ARRAY_KINDS:
            return {}
        values = weight_values(self.quantized, layer)
        biases = self.constants[layer.name].tables["bias"].astype("<i4")
        units = {unit.part: unit for unit in plan.units}
        places = {}
        for number, (part, (_, size)) in enumerate(step.weights.items()):
            if plan.tiling is None:
                outputs = slice(*units[part].raster[2:])
                held, brought = values[outputs], biases[outputs]
            else:
                pairs = tile_weights(plan.tiling, part).pairs
                held = values.reshape(-1, layer.input.channels)[pairs]
                brought = biases if number == 0 else biases[:0]
            piece = _packed(held, layer.weight_bits)
            if layer.channel_bias:
                piece = np.concatenate([piece, brought.view(np.uint8)])
            if len(piece) != size:
                raise AssertionError(f"{layer.name}: part {part} is {len(piece)} bytes")
            places[part] = self._add(piece)
        return places

    def texel_biases(self, plan: LayerPlan) -> tuple[int, ...]:
        """Addresses of a layer's stored texel biases, each in the order of units."""
        layer, places = plan.layer, []
        for node in self.texel.get(layer.name, ()):
            stored = self.quantized.texel_biases[node.name]
            if stored.ramp is not None:
                continue
            values = stored.values.numpy()
            taken = [
                values[slice(*block.channels)][:, block.rows[:, None], block.columns].ravel()
                for unit in plan.units
                for block in unit_outputs(layer, plan.tiling, unit.part, unit.raster)
            ]
            places.append(self._add(_packed(np.concatenate(taken), stored.bits))[0])
        return tuple(places)

    def bytes(self) -> NDArray[np.uint8]:
        """All of it."""
        return np.concatenate(self.pieces)

    def _add(self, piece: NDArray[np.uint8]) -> tuple[int, int]:
        self.pieces.append(piece)
        self.size += len(piece)
        return self.size - len(piece), len(piece)


def _packed(values: NDArray[Any], bits: int) -> NDArray[np.uint8]:
    packed: NDArray[Any] = pack(torch.from_numpy(np.ascontiguousarray(values)), bits).numpy()
    return packed.view(np.uint8)
