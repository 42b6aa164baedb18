"""What the array takes from the activation buffer in a cycle, against the tables' entries."""

from collections.abc import Callable
from dataclasses import replace
from itertools import product

import pytest

from esca.accelerator import AcceleratorConfig, Tiling, WorkLayer, load_config, tile_layer
from esca.accelerator.activity import read_bytes_per_cycle
from esca.accelerator.mappings import Pass
from esca.accelerator.structure import read_port_bytes


def offered_values(p: Pass, row_y: int, row_x: int, first: int) -> int:
    """Distinct (input, channel) pairs that the places of one reduction tile meet in one cycle."""
    total = 0
    for place in range(first, min(first + p.array_rows, p.reduction)):
        slot_y, slot_x = divmod(place // p.in_channels, p.x.slots)
        met = {
            (int(p.y.input[row_y, slot_y, y]), int(p.x.input[row_x, slot_x, x]))
            for y, x in product(range(p.y.positions), range(p.x.positions))
            if p.y.tap[slot_y, y] >= 0 and p.x.tap[slot_x, x] >= 0
        }
        total += len({pair for pair in met if min(pair) >= 0})
    return total


def most_bytes(tiling: Tiling) -> int:
    bits = tiling.layer.input.bits
    return max(
        -(-offered_values(p, y, x, first) * bits // 8)
        for p in tiling.passes
        for y, x in product(range(p.y.rows), range(p.x.rows))
        for first in range(0, p.reduction, p.array_rows)
    )


@pytest.mark.parametrize(("weights", "bits"), [(4, 4), (4, 8), (8, 4), (8, 8)])
@pytest.mark.parametrize(
    ("mapping", "block"),
    [
        ("dense", None),
        ("compressed", None),
        ("phases", None),
        ("phases", (4, 4)),
        ("scatter", None),
    ],
)
def test_read_bytes_are_those_of_the_busiest_cycle(
    layer: Callable[..., WorkLayer],
    small: AcceleratorConfig,
    mapping: str,
    block: tuple[int, int] | None,
    weights: int,
    bits: int,
) -> None:
    made = layer("conv_transpose2d", 6, 5, (7, 6), (4, 4), 2, 1, bits=bits, weight_bits=weights)
    tiling = tile_layer(made, small, mapping, block)
    assert most_bytes(tiling) <= read_bytes_per_cycle(tiling)
    # Below it where places meet inserted zeros, or where slots choose from unequal numbers.
    if mapping != "dense" and (mapping, block) != ("phases", None):
        assert most_bytes(tiling) == read_bytes_per_cycle(tiling)


def test_a_wide_mux_asks_for_more_than_the_port_gives(layer: Callable[..., WorkLayer]) -> None:
    config = load_config("esca-16x16")
    made = layer("conv_transpose2d", 64, 3, (32, 32), (4, 4), 2, 1, bits=4)
    assert read_bytes_per_cycle(tile_layer(made, config, "phases", (4, 4))) == 128
    assert read_port_bytes(config) == 128
    mixed = layer("conv_transpose2d", 64, 3, (32, 32), (4, 4), 2, 1, bits=8, weight_bits=4)
    assert read_bytes_per_cycle(tile_layer(mixed, config, "phases", (4, 4))) == 128
    wider = replace(config, array=replace(config.array, mux_width=16))
    assert read_bytes_per_cycle(tile_layer(made, wider, "phases", (8, 8))) > 128
