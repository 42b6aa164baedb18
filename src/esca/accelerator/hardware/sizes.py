"""What of a configuration with banked buffers can be timed as a machine that is built."""

from collections.abc import Iterable

from esca.accelerator.config import AcceleratorConfig
from esca.accelerator.hardware.jobs import bus_bytes
from esca.accelerator.hardware.latencies import OVERLAP_LATENCY, SLACK
from esca.accelerator.plan import Engine
from esca.errors import EscaError

LEAST_EPILOGUE = 8
"""Cycles of the epilogue: outputs must not overtake the array's last reads of what they overwrite.
"""


def least_epilogue(config: AcceleratorConfig) -> int:
    """Cycles of the epilogue, at least; more where its first ones order what overlaps."""
    return LEAST_EPILOGUE + (OVERLAP_LATENCY if "scatter" in config.mappings else 0)


def check_sizes(config: AcceleratorConfig, engines: Iterable[Engine]) -> None:
    """EscaError, by field, for sizes and rates at which no machine with ``engines`` is built."""
    bus, columns, lanes = bus_bytes(config), config.array.columns, config.engines.epilogue_lanes
    used, given = {*engines}, config.engines
    wrong: list[tuple[str, float, str]] = []
    if lanes < columns and 2 * lanes != columns:
        wrong.append(("engines.epilogue_lanes", lanes, f"{columns // 2}, {columns} or more"))
    if config.buffers.accumulator_banks < columns:
        banks = config.buffers.accumulator_banks
        wrong.append(("buffers.accumulator_banks", banks, f"{columns} or more, one a column"))
    least = least_epilogue(config)
    if given.epilogue_latency_cycles < least:
        latency = given.epilogue_latency_cycles
        wrong.append(("engines.epilogue_latency_cycles", latency, f"{least} or more"))
    if config.memory.dram_latency_cycles <= SLACK:
        latency = config.memory.dram_latency_cycles
        wrong.append(("memory.dram_latency_cycles", latency, f"more than {SLACK}"))
    for engine, field in (
        ("upsample", "upsample_values_per_cycle"),
        ("move", "move_values_per_cycle"),
    ):
        if engine in used and getattr(given, field) < bus:
            wrong.append((f"engines.{field}", getattr(given, field), f"{bus} or more"))
    if "grid_sample" in used and given.grid_samples_per_cycle != 1:
        wrong.append(("engines.grid_samples_per_cycle", given.grid_samples_per_cycle, "1"))
    if wrong:
        field, value, expected = wrong[0]
        raise EscaError(
            f"{config.name}: {field} is {value:g}, expected {expected} where buffers.banked is true"
        )
