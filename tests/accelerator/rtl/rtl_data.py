"""Random tiles for the array: integers, what hardware is told of them, and their exact sums."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from esca.accelerator.rtl.params import Parameters, activation_digits, weight_digits

Ints = NDArray[np.int64]

WIDTHS = {  # name -> mode, bits of weights and of activations, MACs
    "w4a4": ("4x4", 4, 4, 4),
    "w4a8": ("4x8", 4, 8, 2),
    "w8a4": ("4x8", 8, 4, 2),
    "w8a8": ("8x8", 8, 8, 1),
}


class Tile(NamedTuple):
    """``offers`` (streamed, rows, mux, macs), ``weights`` (rows, columns, macs), ``select`` (rows,
    columns), ``sums`` (streamed, columns).
    """

    offers: Ints
    weights: Ints
    select: Ints
    sums: Ints


def random_tile(p: Parameters, name: str, sizes: tuple[int, int, int], rng) -> Tile:
    """Values over the whole range, their extremes among them."""
    _, weight_bits, bits, macs = WIDTHS[name]
    macs = macs if p.composed else p.products
    rows, columns, streamed = sizes
    top, low = (1 << bits) - 1, -(1 << (weight_bits - 1))
    offers = rng.integers(-top if p.centred else 0, top + 1, (streamed, rows, p.mux, macs))
    offers[streamed // 2] = top
    offers[streamed // 3] = -top if p.centred else 0
    weights = rng.integers(low, -low, (rows, columns, macs))
    weights[:, 0] = low
    weights[:, -1] = low if columns == 1 else -low - 1
    select = rng.integers(0, p.mux, (rows, columns))
    chosen = offers[:, np.arange(rows)[:, None], select]
    return Tile(offers, weights, select, (chosen * weights).sum((1, 3)))


def operand_digits(p: Parameters, name: str, values: Ints) -> Ints:
    """(..., digits) of (..., macs) activations."""
    mode, _, bits, _ = WIDTHS[name]
    if not p.small:
        return values
    made = [
        activation_digits(one.tolist(), mode, bits) for one in values.reshape(-1, values.shape[-1])
    ]
    return np.array(made).reshape(*values.shape[:-1], p.digits)


def held_fields(p: Parameters, name: str, weights: Ints, select: Ints) -> dict[str, Ints]:
    """Fields of ``held_shape`` for (..., macs) weights and (...) selections."""
    mode, bits, _, _ = WIDTHS[name]
    if not p.small:
        return {"weights": weights, "select": select}
    made = [
        weight_digits(one.tolist(), mode, bits) for one in weights.reshape(-1, weights.shape[-1])
    ]
    digits = np.array(made).reshape(*weights.shape[:-1], p.digits)
    held = {"weights": digits, "select": select}
    if not p.composed:
        return held
    ones = np.ones_like(select)
    return held | {"wide": ones * (mode != "4x4"), "widest": ones * (mode == "8x8")}
