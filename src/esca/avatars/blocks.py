"""Stages of the texture networks: two doublings or two halvings each."""

from torch import Tensor, nn
from torch.nn import functional

from esca.avatars.normed import NormedConv2d, NormedConvTranspose2d

SLOPE = 0.2
"""Negative slope of every hidden activation."""


def lrelu(x: Tensor) -> Tensor:
    """The hidden activation, LeakyReLU(0.2)."""
    return functional.leaky_relu(x, SLOPE)


class Doubling(nn.Module):
    """Doubles a feature map: ``deconv`` with its bias per channel, then ``bias`` per texel.

    ``size``: side of the output. ``texel``: whether ``bias`` is (1, cout, size, size) or
    (1, cout, 1, 1). ``nearest``: nearest upsampling and a 3x3 convolution in place of the
    transposed convolution.
    """

    def __init__(self, cin: int, cout: int, size: int, *, texel: bool, nearest: bool) -> None:
        super().__init__()
        self.nearest = nearest
        self.deconv: NormedConv2d | NormedConvTranspose2d
        if nearest:
            self.deconv = NormedConv2d(cin, cout, kernel=3, stride=1)
        else:
            self.deconv = NormedConvTranspose2d(cin, cout)
        side = size if texel else 1
        self.bias = nn.Parameter(self.deconv.weight.new_zeros(1, cout, side, side))

    def forward(self, x: Tensor) -> Tensor:
        """(B, cin, size / 2, size / 2) to (B, cout, size, size)."""
        if self.nearest:
            x = functional.interpolate(x, scale_factor=2.0, mode="nearest")
        return self.deconv(x) + self.bias


class UpStage(nn.Module):
    """Two doublings, ``conv1`` and ``conv2``, each with a residual convolution in variant ``res``.

    ``last``: the stage ends without an activation.
    """

    def __init__(
        self,
        channels: tuple[int, int, int],
        size: int,
        *,
        texel: bool = True,
        nearest: bool = False,
        residual: bool = False,
        last: bool = False,
    ) -> None:
        super().__init__()
        cin, hidden, cout = channels
        self.residual = residual
        self.last = last
        self.conv1 = Doubling(cin, hidden, size * 2, texel=texel, nearest=nearest)
        self.conv2 = Doubling(hidden, cout, size * 4, texel=texel, nearest=nearest)
        if residual:
            self.res1 = NormedConv2d(hidden, hidden, kernel=3, stride=1)
            self.res2 = NormedConv2d(cout, cout, kernel=3, stride=1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, cin, size, size) to (B, cout, 4 size, 4 size)."""
        h = lrelu(self.conv1(x))
        if self.residual:
            h = lrelu(self.res1(h) + h)
        h = self.conv2(h)
        if not self.last:
            h = lrelu(h)
        if self.residual:
            h = self.res2(h) + h
            if not self.last:
                h = lrelu(h)
        return h


class DownStage(nn.Module):
    """Two 4x4 convolutions of stride 2, each with a residual convolution in variant ``res``."""

    def __init__(self, cin: int, cout: int, *, residual: bool = False) -> None:
        super().__init__()
        self.residual = residual
        self.conv1 = NormedConv2d(cin, cout, kernel=4, stride=2)
        self.conv2 = NormedConv2d(cout, cout, kernel=4, stride=2)
        if residual:
            self.res1 = NormedConv2d(cout, cout, kernel=3, stride=1)
            self.res2 = NormedConv2d(cout, cout, kernel=3, stride=1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, cin, H, W) to (B, cout, H / 4, W / 4)."""
        h = lrelu(self.conv1(x))
        if self.residual:
            h = lrelu(self.res1(h) + h)
        h = lrelu(self.conv2(h))
        if self.residual:
            h = lrelu(self.res2(h) + h)
        return h
