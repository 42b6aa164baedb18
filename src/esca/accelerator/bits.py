"""How many bits every tensor, weight and texel bias is stored on."""

from collections.abc import Mapping
from dataclasses import dataclass

from esca.graph import Graph
from esca.graph.layers import Layer, schedule, tied_inputs
from esca.graph.ops import GridSample, Linear, TexelBias, Weighted
from esca.quantization.quantize import QuantizedGraph
from esca.quantization.recipe import Recipe


@dataclass(frozen=True)
class StorageBits:
    """Bits by node name: ``tensors`` between layers, ``weights``, ``texel_biases``."""

    tensors: Mapping[str, int]
    weights: Mapping[str, int]
    texel_biases: Mapping[str, int]


def quantized_bits(quantized: QuantizedGraph) -> StorageBits:
    """The bits of a quantized graph."""
    return StorageBits(
        {name: grid.bits for name, grid in quantized.grids.items()},
        {name: weight.bits for name, weight in quantized.weights.items()},
        {name: bias.bits for name, bias in quantized.texel_biases.items()},
    )


def planned_bits(graph: Graph, recipe: Recipe) -> StorageBits:
    """The bits that quantizing ``graph`` by ``recipe`` gives, known without statistics."""
    weights = {
        node.name: recipe.bits_of(node.name, isinstance(node.op, Linear)).weights
        for node in graph.weighted
    }
    biases = {
        node.name: recipe.coordinate if _feeds_grid(graph, node.name) else recipe.texel_bias
        for node in graph.nodes
        if isinstance(node.op, TexelBias)
    }
    return StorageBits(_tensor_bits(graph, recipe), weights, biases)


def _feeds_grid(graph: Graph, name: str) -> bool:
    return any(
        isinstance(reader.op, GridSample) and reader.inputs[1] == name
        for reader in graph.consumers[name]
    )


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
