"""Which weights a unit's tile holds, and what they are as bytes in DRAM and in the weight buffer.

A part is what one tile of outputs needs over its whole reduction. Its weights are stored once each,
whatever the number of PEs that hold them: pairs (output channel, tap) in rising order, each with
all input channels, packed to the layer's bits. Tiles that need the same pairs share one part.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from esca.accelerator.axes import NOTHING, Ints
from esca.accelerator.mappings import Pass, Tiling
from esca.accelerator.plan import LayerPlan
from esca.accelerator.workload import stored_bytes

Part = tuple[int, int]
"""Pass and tile of outputs."""


@dataclass(frozen=True, eq=False)
class TileWeights:
    """``pairs``: (n,) rising codes ``(channel * taps_y + tap_y) * taps_x + tap_x``. ``place``:
    (slots, columns) index into them, -1 for a PE without a weight.
    """

    pairs: Ints
    place: Ints

    def matrix(self, values: NDArray[np.int8]) -> NDArray[np.int8]:
        """(slots, input channels, columns) of stored ``values`` (pairs, input channels)."""
        padded = np.concatenate([values, np.zeros_like(values, shape=(1, values.shape[1]))])
        return padded[self.place].transpose(0, 2, 1)  # -1 takes the zeros


def tile_weights(tiling: Tiling, part: Part) -> TileWeights:
    """The weights of one tile, from the mapping's tables."""
    p = tiling.passes[part[0]]
    low = p.first_columns[part[1]]
    columns = np.arange(low, low + p.tile_columns[part[1]])
    channel, y, x = split_columns(p, columns, tiling.mapping == "scatter")
    taps_y, taps_x = tiling.layer.kernel
    tap_y, tap_x = p.y.tap[:, y], p.x.tap[:, x]
    codes = (channel * taps_y + tap_y)[:, None] * taps_x + tap_x[None]
    codes[(tap_y[:, None] < 0) | (tap_x[None] < 0)] = NOTHING
    codes = codes.reshape(-1, len(columns))
    pairs = np.unique(codes)
    pairs = pairs[pairs >= 0]
    place = np.searchsorted(pairs, codes)
    place[codes < 0] = NOTHING
    return TileWeights(pairs, place)


def split_columns(p: Pass, columns: Ints, scatter: bool) -> tuple[Ints, Ints, Ints]:
    """Output channel and positions (y, x) of output indices."""
    if scatter:
        channel, position = columns // p.group, columns % p.group
    else:
        channel, position = columns % p.out_channels, columns // p.out_channels
    return channel, position // p.x.positions, position % p.x.positions


@dataclass(frozen=True, eq=False)
class WeightParts:
    """Parts of a layer's weights. ``shared``: the part that stands for each tile's; ``sizes``:
    bytes of those that stand for any, in order of first use.

    The first part, and on the linear engine every part, brings the int32 biases of its channels.
    A part of no bytes, of outputs that no tap reaches, is never loaded.
    """

    shared: dict[Part, Part]
    sizes: dict[Part, int]


def weight_parts(plan: LayerPlan) -> WeightParts:
    """Parts of a layer and their bytes, biases included."""
    layer = plan.layer
    biases = 4 if layer.channel_bias else 0
    order = sorted({unit.part for unit in plan.units})
    if plan.tiling is None:
        outputs = {unit.part: unit.values for unit in plan.units}
        sizes = {
            part: stored_bytes(outputs[part] * layer.input.values, layer.weight_bits)
            + biases * outputs[part]
            for part in order
        }
        return WeightParts({part: part for part in order}, sizes)
    shared, sizes = {}, {}
    seen: dict[bytes, Part] = {}
    for part in order:
        pairs = tile_weights(plan.tiling, part).pairs
        first = seen.setdefault(pairs.tobytes(), part)
        shared[part] = first
        if first is part:
            values = len(pairs) * layer.input.channels
            sizes[part] = stored_bytes(values, layer.weight_bits)
    sizes[order[0]] += biases * layer.output.channels
    return WeightParts(shared, sizes)
