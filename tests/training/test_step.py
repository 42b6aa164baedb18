import numpy as np
import torch

from esca.rendering.atlas import border_texels, dilate
from esca.training.step import bled


def charts() -> np.ndarray:
    mask = np.zeros((12, 12), bool)
    mask[3:7, 2:9] = True
    return mask


def test_charts_are_bled_as_in_evaluation() -> None:
    textures = torch.rand(2, 3, 12, 12)
    border = torch.from_numpy(np.stack(border_texels(charts(), 2)))
    for texture, found in zip(textures, bled(textures, border), strict=True):
        expected = dilate(texture.permute(1, 2, 0).numpy(), charts(), 2)
        assert np.array_equal(found.permute(1, 2, 0).numpy(), expected)
    assert torch.equal(bled(textures, border[:, :0]), textures)


def test_gradients_of_what_was_bled_go_to_its_source() -> None:
    texture = torch.rand(1, 1, 12, 12, dtype=torch.float64, requires_grad=True)
    targets, sources = border_texels(charts(), 2)
    weight = torch.rand(1, 1, 12, 12, dtype=torch.float64)
    (bled(texture, torch.from_numpy(np.stack([targets, sources]))) * weight).sum().backward()
    expected = weight.flatten().numpy().copy()
    expected[targets] = 0
    np.add.at(expected, sources, weight.flatten().numpy()[targets])
    assert texture.grad is not None
    np.testing.assert_allclose(texture.grad.flatten().numpy(), expected)
