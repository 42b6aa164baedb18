"""From a float graph to true integers: smoothing, ranges, rounding, recipes."""

from esca.quantization.calibration import Calibration, CalibrationConfig, calibrate
from esca.quantization.quantize import QuantizedGraph, quantize
from esca.quantization.recipe import Recipe, load_recipe, recipe_names
from esca.quantization.statistics import Statistics, TexelMaps, collect

__all__ = [
    "Calibration",
    "CalibrationConfig",
    "QuantizedGraph",
    "Recipe",
    "Statistics",
    "TexelMaps",
    "calibrate",
    "collect",
    "load_recipe",
    "quantize",
    "recipe_names",
]
