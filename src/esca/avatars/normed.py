"""Layers whose weight is normalized by the norm of the whole tensor.

MultiFace's weight normalization is not PyTorch's: ``effective = weight * g / ||weight||_F`` with
one Frobenius norm for all of ``weight`` and one gain ``g`` per output channel.
"""

from torch import Tensor, nn
from torch.linalg import vector_norm
from torch.nn import functional


def normalized(weight: Tensor, g: Tensor, axis: int) -> Tensor:
    """``weight * g / ||weight||_F``, with ``g`` along ``axis``, the output channels."""
    shape = [1] * weight.dim()
    shape[axis] = -1
    return weight * (g / vector_norm(weight)).reshape(shape)


class NormedLinear(nn.Linear):
    """Fully connected layer; adds the parameter ``g`` (out_features,)."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__(in_features, out_features)
        self.g = nn.Parameter(self.bias.new_ones(out_features))

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_features) to (B, out_features)."""
        # The gain goes onto the outputs: a mesh layer of millions of weights is then never copied.
        return functional.linear(x, self.weight) * (self.g / vector_norm(self.weight)) + self.bias


class NormedConv2d(nn.Conv2d):
    """2D convolution; adds the parameter ``g`` (out_channels,)."""

    def __init__(self, cin: int, cout: int, kernel: int, stride: int) -> None:
        super().__init__(cin, cout, kernel, stride, padding=1)
        self.g = nn.Parameter(self.weight.new_ones(cout))

    def forward(self, x: Tensor) -> Tensor:
        """(B, cin, H, W) to (B, cout, H / stride, W / stride)."""
        weight = normalized(self.weight, self.g, 0)
        return functional.conv2d(x, weight, self.bias, self.stride, padding=1)


class NormedConvTranspose2d(nn.ConvTranspose2d):
    """Transposed 4x4 convolution of stride 2; adds the parameter ``g`` (out_channels,)."""

    def __init__(self, cin: int, cout: int) -> None:
        super().__init__(cin, cout, kernel_size=4, stride=2, padding=1)
        self.g = nn.Parameter(self.weight.new_ones(cout))

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        """(B, cin, H, W) to (B, cout, 2H, 2W)."""
        weight = normalized(self.weight, self.g, 1)
        return functional.conv_transpose2d(x, weight, self.bias, stride=2, padding=1)
