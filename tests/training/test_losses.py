"""Every loss against numbers worked out by hand."""

import math

import pytest
import torch

from esca.training.losses import kl_divergence, screen_loss, texture_loss, vertex_loss


def test_vertex_loss() -> None:
    assert float(vertex_loss(torch.tensor([[1.0, 2, 3]]), torch.tensor([[1.0, 0, 0]]))) == (
        pytest.approx((0 + 4 + 9) / 3)
    )


def test_texture_loss_counts_masked_texels_in_the_mean() -> None:
    predicted = torch.tensor([2.0, 5.0, 1.0, 0.0]).reshape(1, 1, 2, 2)
    target = torch.tensor([0.0, 1.0, 1.0, 8.0]).reshape(1, 1, 2, 2)
    mask = torch.tensor([1.0, 0.5, 1.0, 0.0]).reshape(1, 1, 2, 2)
    assert float(texture_loss(predicted, target, mask)) == pytest.approx((4 + 4 + 0 + 0) / 4)


def test_kl_divergence() -> None:
    mean, logstd = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, math.log(2)]])
    first = 0.5
    second = 0.5 * (4 - 1) - math.log(2)
    assert float(kl_divergence(mean, logstd)) == pytest.approx((first + second) / 2)


def test_screen_loss_is_over_the_whole_picture() -> None:
    predicted = torch.tensor([[10.0, 20.0, 30.0], [0.0, 0.0, 0.0]])
    photo = torch.tensor([[8.0, 20.0, 30.0], [0.0, 4.0, 0.0]])
    weight = torch.tensor([[1.0], [0.25]])
    loss = screen_loss(predicted, photo, weight, std=2.0, size=10)
    assert float(loss) == pytest.approx((1.0 + 4.0 * 0.25) / 30)
