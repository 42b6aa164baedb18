"""Entropy coding of small integers: asymmetric numeral systems with fixed, shared tables.

A symbol's table is a two-sided geometric distribution of one of ``CLASSES`` widths. The tables are
made with integers alone, so every machine has the same ones. The state is one large integer (a
packet holds about a thousand bits), which needs no renormalization and wastes no bits.

Source of the coder: J. Duda, "Asymmetric numeral systems", arXiv 1311.2540 (range variant).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import isqrt

import numpy as np
from numpy.typing import NDArray

from esca.errors import EscaError

PRECISION = 14
"""Bits of a table: all frequencies of one width sum to ``2**PRECISION``."""

CLASSES = 14
"""Widths; class ``c`` decays by ``1 - 2**(-(c + 1) / 2)`` a step, so two classes double it."""

REACH = 127
"""Largest magnitude that any table holds; beyond its table's own a symbol is escaped."""

ESCAPED_BITS = 17
"""Bits of an escaped symbol, sign included."""

LARGEST = (1 << (ESCAPED_BITS - 1)) - 1
"""Largest magnitude that can be coded at all."""


@dataclass(frozen=True)
class Table:
    """Frequencies of one width: symbols ``-reach .. reach``, then the escape.

    ``frequency``, ``start``: of each symbol, at place ``symbol + reach``. ``place``: of each slot.
    """

    reach: int
    frequency: tuple[int, ...]
    start: tuple[int, ...]
    place: tuple[int, ...]

    @property
    def escape(self) -> int:
        """Place of the escape."""
        return 2 * self.reach + 1


@cache
def table(width: int) -> Table:
    """The table of class ``width``, 0 to ``CLASSES - 1``."""
    if not 0 <= width < CLASSES:
        raise EscaError(f"entropy: class is {width}, expected 0 to {CLASSES - 1}")
    one = 1 << 16
    decay = one - isqrt(1 << (32 - width - 1))
    weights = [1 << 40]
    while len(weights) <= REACH:
        weights.append(weights[-1] * decay >> 16)
    total = 2 * sum(weights) - weights[0]
    slots = 1 << PRECISION
    shares = [weight * slots // total for weight in weights]
    reach = max((size for size, share in enumerate(shares) if share), default=0)
    sides = shares[1 : reach + 1]
    frequency = [*reversed(sides), shares[0], *sides, 1]
    # What rounding down left over goes to the escape, but for half of it, which the zero takes.
    spare = slots - sum(frequency)
    frequency[reach] += spare - spare // 2
    frequency[-1] += spare // 2
    start = [0]
    for count in frequency[:-1]:
        start.append(start[-1] + count)
    place = tuple(index for index, count in enumerate(frequency) for _ in range(count))
    return Table(reach, tuple(frequency), tuple(start), place)


def encode(symbols: Sequence[int], widths: Sequence[int]) -> bytes:
    """Bytes of ``symbols``, each coded with the table of its class in ``widths``."""
    if len(symbols) != len(widths):
        raise EscaError(f"entropy: {len(symbols)} symbols, expected {len(widths)} as classes")
    state = 1
    for symbol, width in zip(reversed(symbols), reversed(widths), strict=True):
        model = table(width)
        place = symbol + model.reach
        if not 0 <= place < model.escape:
            if abs(symbol) > LARGEST:
                raise EscaError(f"entropy: symbol {symbol}, expected at most {LARGEST} either way")
            state = (state << ESCAPED_BITS) | (symbol + LARGEST)
            place = model.escape
        whole, rest = divmod(state, model.frequency[place])
        state = (whole << PRECISION) + model.start[place] + rest
    return state.to_bytes((state.bit_length() + 7) // 8, "big")


def decode(data: bytes, widths: Sequence[int]) -> list[int]:
    """Symbols of ``data``; EscaError where it is not what :func:`encode` makes of these classes."""
    state = int.from_bytes(data, "big")
    symbols = []
    slot = (1 << PRECISION) - 1
    for width in widths:
        model = table(width)
        index = state & slot
        place = model.place[index]
        state = model.frequency[place] * (state >> PRECISION) + index - model.start[place]
        if place == model.escape:
            symbols.append((state & ((1 << ESCAPED_BITS) - 1)) - LARGEST)
            state >>= ESCAPED_BITS
        else:
            symbols.append(place - model.reach)
    if state != 1 or any(abs(symbol) > LARGEST for symbol in symbols):
        raise EscaError("entropy: damaged data, expected what the encoder wrote")
    return symbols


@cache
def _costs() -> NDArray[np.float32]:
    """(CLASSES, 2 REACH + 3) bits of each symbol, by class; first and last are escapes."""
    bits = np.empty((CLASSES, 2 * REACH + 3), np.float32)
    for width in range(CLASSES):
        model = table(width)
        share = np.array(model.frequency) / (1 << PRECISION)
        bits[width] = ESCAPED_BITS - np.log2(share[-1])
        middle = REACH + 1
        bits[width, middle - model.reach : middle + model.reach + 1] = -np.log2(share[:-1])
    return bits


def costs_of(symbols: NDArray[np.integer], widths: NDArray[np.integer]) -> NDArray[np.float32]:
    """Bits that :func:`encode` will need, but for the last byte's padding.

    ``symbols``: (L,). ``widths``: (W, L) or (W, 1) classes of W alternatives; returns (W,).
    """
    places = np.clip(symbols, -REACH - 1, REACH + 1) + REACH + 1
    return _costs()[widths, places].sum(axis=1)
