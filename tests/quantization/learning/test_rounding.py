import pytest
import torch

from esca.graph.ops import ConvTranspose2d
from esca.quantization.learning.rounding import SoftRounding, annealed
from esca.quantization.weights import quantize_weight


def layer() -> ConvTranspose2d:
    weight = torch.randn(5, 3, 4, 4, generator=torch.Generator().manual_seed(2))
    return ConvTranspose2d(weight, None, 2, 1)


def test_soft_weights_start_at_the_float_ones_and_h_at_the_fractional_part() -> None:
    op = layer()
    for granularity in ("channel", "channel_phase"):
        stored = quantize_weight(op, 4, granularity, "minmax")
        soft = SoftRounding(op, stored, op.weight)
        assert torch.allclose(soft(), op.weight, atol=1e-5)
        steps = op.weight / soft.unit
        assert torch.allclose(soft.soft(), steps - steps.floor(), atol=1e-5)
        # Frozen at once, it is rounding to nearest.
        assert torch.equal(soft.frozen().values, stored.values)
        assert torch.equal(soft.frozen().scale, stored.scale)


def test_what_the_grid_does_not_reach_stays_at_its_bound() -> None:
    op = layer()
    stored = quantize_weight(op, 3, "channel", "mse")
    soft = SoftRounding(op, stored, op.weight)
    beyond = (op.weight / soft.unit).abs() > soft.limit
    assert bool(beyond.any())
    assert torch.allclose((soft() / soft.unit)[beyond].abs(), torch.tensor(3.0))
    soft().sum().backward()
    assert int(soft.frozen().values.abs().max()) == soft.limit


def test_the_regularizer_drives_h_to_the_nearer_of_0_and_1() -> None:
    op = layer()
    soft = SoftRounding(op, quantize_weight(op, 4, "channel", "minmax"), op.weight)
    start = soft.soft().detach()
    optimizer = torch.optim.Adam(soft.parameters(), 0.05)
    for step in range(300):
        optimizer.zero_grad()
        soft.regularizer(annealed(step / 300, 0.2)).backward()
        optimizer.step()
    end = soft.soft().detach()
    sure = (start - 0.5).abs() > 0.01
    assert set(end[sure].tolist()) == {0.0, 1.0}
    assert torch.equal(end[sure], (start[sure] > 0.5).float())
    assert float(soft.regularizer(2.0).detach()) < 0.05 * op.weight.numel()
    assert torch.allclose(soft(), soft.frozen().values * soft.unit, atol=0.02)


def test_the_regularizer_against_its_formula() -> None:
    op = layer()
    soft = SoftRounding(op, quantize_weight(op, 4, "channel", "minmax"), op.weight)
    wanted = sum(1 - abs(2 * h - 1) ** 7 for h in soft.soft().flatten().tolist())
    assert abs(float(soft.regularizer(7.0).detach()) - wanted) < 1e-3
    powers = [annealed(p, 0.2) for p in (0.0, 0.2, 0.6, 1.0)]
    assert powers == pytest.approx([20, 20, 11, 2])
