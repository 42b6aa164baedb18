"""A configuration with an array that is compiled in seconds."""

from dataclasses import replace

import pytest

from esca.accelerator import AcceleratorConfig, load_config


@pytest.fixture(scope="session")
def config() -> AcceleratorConfig:
    """``edge-8x8`` with 4 x 4 PEs, by mappings that gather."""
    config = load_config("edge-8x8")
    array = replace(config.array, rows=4, columns=4, weight_port_bytes_per_cycle=8)
    return replace(config, array=array, mappings=("compressed", "phases"))
