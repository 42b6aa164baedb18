"""Costs, units and allocations, against enumeration of every choice."""

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from esca.errors import EscaError
from esca.graph.graph import macs
from esca.quantization.budget import (
    CHOICES,
    Allocation,
    Option,
    Unit,
    byte_cost,
    fixed_cost,
    mac_cost,
    overrides_of,
    pareto_front,
    unit_cost,
    units,
    within_budget,
)
from esca.quantization.quantize import quantize
from esca.quantization.recipe import Bits, Override, Recipe
from esca.quantization.statistics import TexelMaps, collect

COSTS = st.integers(0, 20).map(float)
UNITS = st.lists(st.lists(st.tuples(COSTS, COSTS), min_size=1, max_size=3), max_size=6)


def enumerated(options):
    """Costs and losses of every choice that no other beats."""
    sums = {
        (sum(o.cost for o in chosen), sum(o.loss for o in chosen)) for chosen in product(*options)
    }
    return sorted(
        one
        for one in sums
        if not any(other != one and other[0] <= one[0] and other[1] <= one[1] for other in sums)
    )


@given(UNITS)
@settings(max_examples=150, deadline=None)
def test_front_is_what_enumeration_finds(values):
    options = [
        [Option(Bits(2 + place, 2), *pair) for place, pair in enumerate(unit)] for unit in values
    ]
    front = pareto_front(options)
    assert [(a.cost, a.loss) for a in front] == enumerated(options)
    for allocation in front:
        chosen = [options[i][bits.weights - 2] for i, bits in enumerate(allocation.bits)]
        assert sum(option.cost for option in chosen) == allocation.cost
        assert sum(option.loss for option in chosen) == allocation.loss


def test_budget_takes_the_last_that_fits():
    front = [Allocation(cost, 10 - cost, ()) for cost in (1.0, 2.0, 4.0)]
    assert within_budget(front, 3.9).cost == 2
    assert within_budget(front, 4.0).cost == 4
    with pytest.raises(EscaError, match="below the cheapest"):
        within_budget(front, 0.5)
    with pytest.raises(EscaError, match="unit 0 has no options"):
        pareto_front([[]])


def test_costs(decoder):
    graph = decoder()
    cost, size = mac_cost(graph), byte_cost(graph)
    whole = macs(graph, "conv2")
    assert [cost("conv2", *bits) / whole for bits in ((4, 4), (4, 8), (8, 8))] == [1, 2, 4]
    assert cost("conv2", 8, 4) == cost("conv2", 4, 8)
    assert size("conv2", 4, 8) == graph.weight_op("conv2").weight.numel() / 2
    recipe = Recipe("r")
    assert fixed_cost(graph, recipe, cost) == 4 * (macs(graph, "fc") + macs(graph, "mesh"))
    assert unit_cost(Unit(("conv1", "conv2"), 8), Bits(4, 4), cost) == 2 * (
        macs(graph, "conv1") + whole
    )


def test_layers_that_read_one_tensor_are_one_unit(decoder):
    assert [unit.layers for unit in units(decoder(), Recipe("r"))] == [
        ("conv1",),
        ("conv2",),
        ("conv3",),
    ]
    upsampled = units(decoder("upsample"), Recipe("r"))
    assert [unit.name for unit in upsampled] == ["conv1", "conv2", "conv3"]


@pytest.mark.parametrize("variant", ["base", "res", "warp"])
def test_choices_become_the_bits_of_weights_and_grids(traced_avatar, variant):
    graph = traced_avatar(variant).graph
    found = units(graph, Recipe("r"))
    layers = [layer for unit in found for layer in unit.layers]
    convolutions = [n.name for n in graph.weighted if len(n.shape) == 3]
    assert sorted(layers) == sorted(convolutions)


@pytest.mark.parametrize("variant", ["plain", "residual", "upsample"])
def test_quantizing_gives_the_chosen_bits(decoder, frames, variant):
    graph = decoder(variant)
    statistics = collect(graph, lambda: [frames(2)], TexelMaps(), ())
    recipe = Recipe("r")
    found = units(graph, recipe)
    for place, unit in enumerate(found):
        for bits in CHOICES:
            chosen = dict.fromkeys(found, CHOICES[0]) | {unit: bits}
            mixed = Recipe("r", overrides=overrides_of(chosen, recipe))
            assert len(mixed.overrides) == (0 if bits == CHOICES[0] else len(unit.layers))
            made = quantize(graph, statistics, mixed)
            for layer in unit.layers:
                real = unit.effective(bits)
                assert made.weights[layer].bits == real.weights
                assert made.grids[graph.by_name[layer].inputs[0]].bits == real.activations
            for other in found[:place]:
                assert made.weights[other.name].bits == 4


def test_overrides_leave_out_what_the_recipe_has():
    recipe = Recipe("r", bits=Bits(8, 8), overrides=(Override("a", 4, 4),))
    assert overrides_of({Unit(("a", "b")): Bits(4, 4)}, recipe) == (Override("b", 4, 4),)
