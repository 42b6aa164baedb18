"""The published configuration as a method under test."""

from esca.evaluation.videos import Method
from esca.quantization.published import RECIPE, FloatSimulation

SIMULATED = f"{RECIPE.name} (float simulation)"
"""Its name in tables: what hardware cannot run is told apart from what it can."""


def simulated_method(simulation: FloatSimulation) -> Method:
    """The published configuration, run in float."""
    bits = simulation.bits
    label = f"w{bits.weights}a{bits.activations}"
    return Method(SIMULATED, label, simulation.bytes, simulation)
