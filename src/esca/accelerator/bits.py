"""How many bits every tensor, weight and texel bias is stored on."""

from collections.abc import Mapping
from dataclasses import dataclass

from esca.graph import Graph
from esca.graph.layers import Layer, schedule, tied_inputs
from esca.graph.ops import GridSample, Linear, TexelBias, Weighted
from esca.quantization.quantize import QuantizedGraph, feeds_grid
from esca.quantization.recipe import Recipe
from esca.quantization.weights import quantize_coordinates


@dataclass(frozen=True)
class StorageBits:
    """Bits by node name: ``tensors`` between layers, ``weights``, ``texel_biases``.

    A texel bias of 0 bits is a ramp, which the epilogue adds up and nobody stores.
    """

    tensors: Mapping[str, int]
    weights: Mapping[str, int]
    texel_biases: Mapping[str, int]


def quantized_bits(quantized: QuantizedGraph) -> StorageBits:
    """The bits of a quantized graph."""
    return StorageBits(
        {name: grid.bits for name, grid in quantized.grids.items()},
        {name: weight.bits for name, weight in quantized.weights.items()},
        {
            name: 0 if bias.ramp is not None else bias.bits
            for name, bias in quantized.texel_biases.items()
        },
    )


def planned_bits(graph: Graph, recipe: Recipe) -> StorageBits:
    """The bits that quantizing ``graph`` by ``recipe`` gives, known without statistics.

    In a graph without values, biases of sampling grids count as ramps, which those of avatars are.
    """
    weights = {
        node.name: recipe.bits_of(node.name, isinstance(node.op, Linear)).weights
        for node in graph.weighted
    }
    biases = {
        node.name: _bias_bits(graph, node.name, node.op, recipe)
        for node in graph.nodes
        if isinstance(node.op, TexelBias)
    }
    return StorageBits(_tensor_bits(graph, recipe), weights, biases)


def _bias_bits(graph: Graph, name: str, op: TexelBias, recipe: Recipe) -> int:
    if not feeds_grid(graph, name):
        return recipe.texel_bias
    if op.bias.is_meta or quantize_coordinates(op.bias, recipe.coordinate).ramp is not None:
        return 0
    return recipe.coordinate


def _tensor_bits(graph: Graph, recipe: Recipe) -> dict[str, int]:
    """Tensors that moves tie to one grid take the most bits that any of them needs."""
    groups: list[set[str]] = [{node.name} for node in graph.inputs]
    for step in schedule(graph):
        if isinstance(step, Layer):
            groups.append({step.output.name})
            continue
        tied = {step.node.name, *tied_inputs(step.node)}
        joined = [group for group in groups if group & tied]
        groups = [group for group in groups if not group & tied]
        groups.append(tied.union(*joined))
    bits = {}
    for group in groups:
        most = max(_wanted(graph, recipe, name) for name in group)
        bits.update(dict.fromkeys(group, most))
    return bits


def _wanted(graph: Graph, recipe: Recipe, name: str) -> int:
    wanted = []
    if name in graph.outputs.values():
        is_map = len(graph.by_name[name].shape) == 3
        wanted.append(recipe.texture if is_map else recipe.mesh)
    for reader in graph.consumers[name]:
        if isinstance(reader.op, Weighted):
            wanted.append(recipe.bits_of(reader.name, isinstance(reader.op, Linear)).activations)
        elif isinstance(reader.op, GridSample):
            wanted.append(recipe.coordinate if reader.inputs[1] == name else recipe.texture)
    if not wanted:
        wanted = [_wanted(graph, recipe, reader.name) for reader in graph.consumers[name]]
    return max(wanted, default=recipe.linear.activations)
