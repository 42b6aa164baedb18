"""Weight normalization against a computation by hand."""

import pytest
import torch

from esca.avatars.normed import NormedConv2d, NormedConvTranspose2d, NormedLinear, normalized


def test_one_norm_for_the_whole_tensor() -> None:
    weight = torch.tensor([[3.0, 0.0], [0.0, 4.0]])
    effective = normalized(weight, torch.tensor([10.0, 5.0]), axis=0)
    assert effective.tolist() == [[6.0, 0.0], [0.0, 4.0]]


def test_linear_by_hand() -> None:
    layer = NormedLinear(2, 2)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[3.0, 0.0], [0.0, 4.0]]))
        layer.g.copy_(torch.tensor([10.0, 5.0]))
        layer.bias.copy_(torch.tensor([1.0, -1.0]))
        assert layer(torch.tensor([[1.0, 2.0]])).tolist() == [[7.0, 7.0]]


@pytest.mark.parametrize("transposed", [False, True])
def test_gains_belong_to_output_channels(transposed: bool) -> None:
    layer = NormedConvTranspose2d(2, 3) if transposed else NormedConv2d(2, 3, kernel=4, stride=2)
    x = torch.randn(1, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        layer.bias.zero_()
        before = layer(x)
        layer.g[1] *= 7
        after = layer(x)
    torch.testing.assert_close(after[:, 1], before[:, 1] * 7)
    assert torch.equal(after[:, [0, 2]], before[:, [0, 2]])


def test_scale_of_the_weight_does_not_matter() -> None:
    layer = NormedConv2d(2, 3, kernel=3, stride=1)
    x = torch.randn(1, 2, 5, 5, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        before = layer(x)
        layer.weight *= 12.5
        torch.testing.assert_close(layer(x), before)
