"""Bring any decoder made of supported layers: trace, calibrate, quantize, run on integers.

python examples/own_decoder.py
"""

import torch
from torch import nn

from esca.graph import trace
from esca.quantization import TexelMaps, collect, load_recipe, quantize
from esca.runtime import IntegerDecoder


def own_decoder() -> nn.Module:
    """A small decoder: 8 numbers to a 32 x 32 picture."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(8, 16 * 8 * 8),
        nn.LeakyReLU(0.2),
        nn.Unflatten(1, (16, 8, 8)),
        nn.ConvTranspose2d(16, 8, 4, 2, 1),
        nn.LeakyReLU(0.2),
        nn.ConvTranspose2d(8, 3, 4, 2, 1),
    )


def main() -> None:
    """Print the signal-to-noise ratio of the integer decoder at 4 and 8 bits."""
    decoder = own_decoder()
    codes = torch.randn(64, 8)
    graph = trace(decoder, {"code": (8,)}, ("picture",))
    statistics = collect(graph, lambda: [{"code": codes}], TexelMaps())
    expected = decoder(codes).detach()
    for bits in ("w4a4", "w8a8"):
        integer = IntegerDecoder(quantize(graph, statistics, load_recipe("gptq", bits)))
        picture = integer.dequantize(
            "picture", integer.run(integer.quantize({"code": codes}))["picture"]
        )
        noise = (picture - expected).square().mean() / expected.square().mean()
        print(f"{bits}: {-10 * noise.log10():.1f} dB")


if __name__ == "__main__":
    main()
