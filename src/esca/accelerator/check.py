"""The functional simulator held against the integer runtime."""

from collections.abc import Callable

import torch

from esca.accelerator.compiler import compile_program
from esca.accelerator.config import AcceleratorConfig
from esca.accelerator.machine import execute, issue_order
from esca.errors import EscaError
from esca.quantization.quantize import QuantizedGraph
from esca.runtime import IntegerDecoder


def check_bit_identity(
    quantized: QuantizedGraph,
    config: AcceleratorConfig,
    frames: int,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Execute frames of random codes; the number of frames, or EscaError where a bit differs."""
    program, runtime = compile_program(quantized, config), IntegerDecoder(quantized)
    order = issue_order(program)
    generator = torch.Generator().manual_seed(seed)
    for frame in range(frames):
        reals = {
            node.name: torch.randn(1, *node.shape, generator=generator)
            for node in quantized.graph.inputs
        }
        feeds = runtime.quantize(reals)
        wanted, found = runtime.run(feeds), execute(program, feeds, order).outputs
        for label, value in wanted.items():
            different = int((found[label] != value[0]).sum())
            if different:
                raise EscaError(f"simulator: frame {frame}: {different} values of {label} differ")
        if progress:
            progress(frame + 1, frames)
    return frames
