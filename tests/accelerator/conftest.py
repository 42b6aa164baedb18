"""Small layers and configurations for the accelerator's tests."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from esca.accelerator import AcceleratorConfig, TensorShape, WorkLayer, load_config
from esca.accelerator.order import place
from esca.accelerator.plan import plan_layer
from esca.accelerator.program import MachineProgram, outlined
from esca.accelerator.schedule import schedule_jobs
from esca.accelerator.shapes import avatar_workload


def make_layer(
    kind: Any,
    cin: int,
    cout: int,
    side: tuple[int, int],
    kernel: tuple[int, int] = (1, 1),
    stride: int = 1,
    padding: int = 0,
    output_padding: int = 0,
    bits: int = 8,
    weight_bits: int | None = None,
) -> WorkLayer:
    """``bits``: of input and output, and of weights where ``weight_bits`` is not given."""

    def out(axis: int) -> int:
        if kind == "conv_transpose2d":
            return (side[axis] - 1) * stride - 2 * padding + kernel[axis] + output_padding
        return (side[axis] + 2 * padding - kernel[axis]) // stride + 1

    return WorkLayer(
        "layer",
        kind,
        (TensorShape("x", (cin, *side), bits),),
        TensorShape("y", (cout, out(0), out(1)), bits),
        None,
        kernel,
        stride,
        padding,
        output_padding,
        weight_bits=weight_bits or bits,
    )


@pytest.fixture(scope="session")
def layer() -> Callable[..., WorkLayer]:
    return make_layer


@pytest.fixture(scope="session")
def small() -> AcceleratorConfig:
    """A 3x5 array with every mapping, muxes that take any block, and room for little."""
    config = load_config("esca-16x16")
    return replace(
        config,
        array=replace(config.array, rows=3, columns=5, mux_width=64),
        buffers=replace(config.buffers, accumulator_bytes=32768, accumulator_banks=20),
        mappings=("dense", "compressed", "phases", "scatter"),
    )


@pytest.fixture(scope="session", params=[("base", "texture"), ("warp", "decoder")])
def outline(request: pytest.FixtureRequest) -> MachineProgram:
    """An avatar's instructions for ``esca-16x16``, without data."""
    config, (variant, part) = load_config("esca-16x16"), request.param
    workload = avatar_workload(variant, 256, part, "w4a4")
    plans = [plan_layer(layer, config) for layer in workload.layers]
    return outlined(
        workload, config, schedule_jobs(workload, place(workload, plans, config), config)
    )
