import torch

from esca.evaluation.simulated import simulated_method
from esca.quantization.published import FloatSimulation
from esca.quantization.recipe import Bits


def test_tables_say_that_it_is_a_float_simulation(decoder, frames) -> None:
    graph, feeds = decoder(), frames(2)
    method = simulated_method(FloatSimulation(graph, Bits(4, 8), 123))
    assert (method.name, method.bits, method.bytes) == (
        "esca-published (float simulation)",
        "w4a8",
        123,
    )
    texture, mesh = method.decoder.decode(feeds["z"], feeds["view"])
    assert texture.shape == (2, 2, 16, 16) and mesh.shape == (2, 5)
    assert bool(torch.isfinite(texture).all())
