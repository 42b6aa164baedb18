from dataclasses import replace

import pytest
import yaml

from esca.accelerator import (
    config_data,
    config_from_data,
    config_hash,
    load_config,
    parse_config,
    preset_names,
)
from esca.accelerator.config import MODES
from esca.errors import EscaError


def test_every_preset_loads_under_its_name() -> None:
    assert set(preset_names()) >= {"esca-16x16", "dense-16x16", "esca-published", "esca-32x32"}
    for name in preset_names():
        assert load_config(name).name == name


def test_the_hash_follows_values_and_not_the_order_of_fields() -> None:
    config = load_config("esca-16x16")
    again = config_from_data(dict(reversed(config_data(config).items())), "x")
    assert config_hash(again) == config_hash(config)
    assert len({config_hash(load_config(name)) for name in preset_names()}) == len(preset_names())
    wider = replace(config, array=replace(config.array, mux_width=8))
    assert config_hash(wider) != config_hash(config)


def test_the_baseline_is_the_same_array_without_combining() -> None:
    ours, dense = load_config("esca-16x16"), load_config("dense-16x16")
    assert replace(ours.array, mux_width=1) == dense.array
    assert (ours.buffers, ours.memory, ours.engines) == (
        dense.buffers,
        dense.memory,
        dense.engines,
    )


def test_derived_figures() -> None:
    config = load_config("esca-16x16")
    assert config.accumulator_rows == 131072 // 2 // 4 // 16
    assert config.dram_bytes_per_cycle == 32
    assert [config.macs_per_cycle(mode) for mode in MODES] == [1024, 512, 256]
    assert [config.array.runs(mode) for mode in MODES] == list(MODES)
    published = load_config("esca-published")
    assert [published.macs_per_cycle(mode) for mode in MODES] == [1024, 256, 256]
    assert [published.array.runs(mode) for mode in MODES] == ["4x4", "8x8", "8x8"]


@pytest.mark.parametrize(
    ("where", "value", "message"),
    [
        (("array", "colums"), 16, r"mine.yaml: array.colums: Unexpected"),
        (("array", "rows"), 0, r"mine.yaml: array.rows: .*greater than or equal to 1, got 0"),
        (("array", "macs_4x8"), 5, r"mine.yaml: array: .*macs_4x8 <= macs_4bit, got 1, 5, 4"),
        (("array", "macs_8bit"), 3, r"expected macs_8bit <= macs_4x8 .*, got 3, 2, 4"),
        (("frequency",), 1, r"mine.yaml: frequency: Unexpected"),
        (("mappings",), ["diagonal"], r"mappings.0: .*'diagonal'"),
        (("mappings",), ["phases", "phases"], r"mappings names one twice"),
        (("buffers", "accumulator_bytes"), 64, r"accumulator_bytes holds no row twice"),
        (("technology", "node_nanometres"), 5, r"technology.node_nanometres"),
        (("clock_hertz",), "fast", r"clock_hertz: .*got 'fast'"),
    ],
)
def test_a_wrong_field_is_named(where: tuple[str, ...], value: object, message: str) -> None:
    data = config_data(load_config("esca-16x16"))
    inner = data
    for key in where[:-1]:
        inner = inner[key]
    inner[where[-1]] = value
    with pytest.raises(EscaError, match=message):
        parse_config(yaml.safe_dump(data), "mine.yaml")


def test_a_missing_field_and_a_missing_file_are_named(tmp_path) -> None:
    data = config_data(load_config("esca-16x16"))
    del data["engines"]["epilogue_lanes"]
    with pytest.raises(EscaError, match=r"engines.epilogue_lanes: Field required"):
        config_from_data(data, "x")
    data = config_data(load_config("esca-16x16"))
    del data["array"]["macs_4x8"]
    with pytest.raises(EscaError, match=r"mine.yaml: array.macs_4x8: Field required"):
        parse_config(yaml.safe_dump(data), "mine.yaml")
    with pytest.raises(EscaError, match=r"none.yaml: no such configuration file"):
        load_config(tmp_path / "none.yaml")
    with pytest.raises(EscaError, match=r"'eska' is none of .*esca-16x16"):
        load_config("eska")
    with pytest.raises(EscaError, match="expected a mapping"):
        parse_config("- 1", "x")
    with pytest.raises(EscaError, match="not valid YAML"):
        parse_config("a: [", "x")
