"""The board's own configuration, which fits it beside what else it needs."""

from importlib import resources

from esca.accelerator.config import AcceleratorConfig, load_config, parse_config

NAME = "ecp5-4x4"


def board_config(preset: str = NAME) -> AcceleratorConfig:
    """The board's own, or another preset or YAML file."""
    if preset != NAME:
        return load_config(preset)
    source = resources.files("esca.accelerator.rtl.board") / f"{NAME}.yaml"
    return parse_config(source.read_text(encoding="utf-8"), f"{NAME}.yaml")
