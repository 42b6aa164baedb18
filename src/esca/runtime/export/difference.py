"""How far another execution is from the integer runtime, in steps of its outputs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from esca.quantization.quantize import QuantizedGraph
from esca.runtime.integer import IntegerDecoder

Feeds = Mapping[str, Tensor]


@dataclass(frozen=True)
class Difference:
    """Of one output: ``max`` and ``mean`` in steps of its grid; ``same``: share within half a step,
    which the same integer stands for. ``bits`` of the grid.
    """

    max: float
    mean: float
    same: float
    bits: int

    def __str__(self) -> str:
        return (
            f"at most {self.max:.2f}, on average {self.mean:.2g} of {2**self.bits - 1} steps, "
            f"{self.same:.4%} the same"
        )


def differences(
    quantized: QuantizedGraph,
    execute: Callable[[Feeds], Mapping[str, Tensor]],
    batches: list[Feeds],
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Difference]:
    """Differences of ``execute``, reals to reals, over all batches, by output label."""
    reference = IntegerDecoder(quantized)
    steps: dict[str, list[Tensor]] = {label: [] for label in quantized.graph.outputs}
    for done, feeds in enumerate(batches, 1):
        right, found = reference.run(reference.quantize(feeds)), execute(feeds)
        for label, name in quantized.graph.outputs.items():
            grid = quantized.grids[name]
            integers = found[label].double() / grid.scale + grid.zero_point
            off = (integers - right[label]).abs()
            # Sums, not the values themselves: a texture has millions of them.
            sums = (off.max(), off.sum(), (off < 0.5).sum(), torch.tensor(off.numel()))
            steps[label].append(torch.stack([value.double() for value in sums]))
        if progress:
            progress(done, len(batches))
    made = {}
    for label, parts in steps.items():
        largest, total, same, count = torch.stack(parts).unbind(1)
        bits = quantized.grids[quantized.graph.outputs[label]].bits
        mean, share = float(total.sum() / count.sum()), float(same.sum() / count.sum())
        made[label] = Difference(float(largest.max()), mean, share, bits)
    return made
