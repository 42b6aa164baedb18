import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from esca.errors import EscaError
from esca.graph.ops import Conv2d, ConvTranspose2d, Linear
from esca.quantization.weights import (
    dequantize_weight,
    quantize_texel_bias,
    quantize_weight,
    symmetric_scale,
)


def layer(seed: int = 0) -> ConvTranspose2d:
    generator = torch.Generator().manual_seed(seed)
    return ConvTranspose2d(torch.randn(3, 5, 4, 4, generator=generator), None, 2, 1)


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_minmax_covers_the_largest_weight_of_each_output_channel(bits: int) -> None:
    op = layer()
    made = quantize_weight(op, bits, "channel", "minmax")
    limit = 2 ** (bits - 1) - 1
    assert made.values.dtype == torch.int8
    assert made.scale.shape == (5, 1)
    for channel in range(5):
        weights = op.weight[:, channel]
        scale = float(weights.abs().max()) / limit
        assert float(made.scale[channel]) == pytest.approx(scale, rel=1e-6)
        expected = torch.round(weights / scale)
        assert torch.equal(made.values[:, channel].float(), expected)
        assert int(made.values[:, channel].abs().max()) == limit
    error = (dequantize_weight(op, made) - op.weight).abs()
    assert float((error / made.scale[:, 0][None, :, None, None]).max()) <= 0.5 + 1e-4
    assert float(error.max()) > 0  # the quantized weights are other weights


def test_a_scale_for_each_phase_covers_the_taps_of_that_phase() -> None:
    op = layer()
    made = quantize_weight(op, 4, "channel_phase", "minmax")
    assert made.scale.shape == (5, 4)
    for row in range(2):
        for column in range(2):
            # Output rows of parity `row` read the taps of parity row + padding.
            taps = op.weight[:, :, (row + 1) % 2 :: 2, (column + 1) % 2 :: 2]
            expected = taps.abs().amax((0, 2, 3)) / 7
            torch.testing.assert_close(made.scale[:, row * 2 + column], expected)
    coarse = quantize_weight(op, 4, "channel", "minmax")
    fine_error = (dequantize_weight(op, made) - op.weight).square().sum()
    assert fine_error < (dequantize_weight(op, coarse) - op.weight).square().sum()


def test_phases_without_taps_do_no_harm() -> None:
    op = ConvTranspose2d(torch.randn(2, 3, 1, 1), None, 2, 0)
    hessians = [torch.eye(2)] + [torch.zeros(0, 0)] * 3
    for granularity in ("channel", "channel_phase"):
        for given_hessians in (None, hessians):
            made = quantize_weight(op, 8, granularity, "mse", given_hessians)
            torch.testing.assert_close(dequantize_weight(op, made), op.weight, atol=0.02, rtol=0)


def test_other_layers_have_one_scale_a_channel() -> None:
    for op in (Linear(torch.randn(4, 6), None), Conv2d(torch.randn(4, 2, 3, 3), None, 1, 1)):
        made = quantize_weight(op, 8, "channel_phase", "minmax")
        assert made.scale.shape == (4, 1)
        torch.testing.assert_close(dequantize_weight(op, made), op.weight, atol=0.02, rtol=0)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 6))
def test_searched_scales_are_never_worse_than_minmax(seed: int, bits: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(4, 30, generator=generator) ** 3
    importance = torch.rand(30, generator=generator)
    limit = 2 ** (bits - 1) - 1

    def error(scale: torch.Tensor) -> torch.Tensor:
        restored = torch.round(rows / scale[:, None]).clamp(-limit, limit) * scale[:, None]
        return ((rows - restored) ** 2 * importance).sum(1)

    searched = symmetric_scale(rows, bits, "mse", importance)
    assert bool((error(searched) <= error(symmetric_scale(rows, bits, "minmax")) * 1.0001).all())


def test_zero_rows_stay_zero() -> None:
    op = Linear(torch.cat([torch.zeros(1, 4), torch.randn(1, 4)]), None)
    for method in ("minmax", "mse"):
        made = quantize_weight(op, 4, "channel", method)
        assert not made.values[0].any()
        assert bool(torch.isfinite(dequantize_weight(op, made)).all())


@pytest.mark.parametrize(("phase", "told"), [(0, "phase 0 of"), (3, "phase 3 of")])
def test_a_hessian_without_information_is_named(phase: int, told: str) -> None:
    op = ConvTranspose2d(torch.randn(2, 3, 4, 4), None, 2, 1)
    hessians = [torch.eye(8) for _ in range(4)]
    hessians[phase] = torch.zeros(8, 8)
    with pytest.raises(EscaError, match=f"^{told} layer 'up.2': gptq: the Hessian is zero"):
        quantize_weight(op, 4, "channel", "mse", hessians, layer="up.2")


@pytest.mark.parametrize("bits", [1, 9])
def test_weight_bits_out_of_range(bits: int) -> None:
    with pytest.raises(EscaError, match=f"weight bits is {bits}, expected 2 to 8"):
        quantize_weight(layer(), bits, "channel", "minmax")


@pytest.mark.parametrize("bits", [2, 8, 16])
def test_texel_biases_are_within_half_a_step(bits: int) -> None:
    bias = torch.randn(3, 5, 7)
    bias[1] = 0
    made = quantize_texel_bias(bias, bits)
    limit = 2 ** (bits - 1) - 1
    assert int(made.values.abs().max()) == limit
    error = (made.real - bias).abs() / made.scale[:, None, None]
    assert float(error[[0, 2]].max()) <= 0.5 + limit * 1e-6
    assert not made.real[1].any()
    for wrong in (1, 17):
        with pytest.raises(EscaError, match=f"texel bias bits is {wrong}, expected 2 to 16"):
            quantize_texel_bias(bias, wrong)
