import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from esca.avatars.networks import normal_grid
from esca.quantization.ramp import RAMP_BITS, Ramp, fit_ramp
from esca.quantization.weights import quantize_coordinates, quantize_texel_bias


@pytest.mark.parametrize("size", [256, 512, 1024])
def test_the_grid_of_an_avatar_is_within_a_step_of_sixteen_bits(size: int) -> None:
    grid = normal_grid(size)[0]
    made = quantize_coordinates(grid, 16)
    assert made.ramp is not None
    assert int((made.values - quantize_texel_bias(grid, 16).values).abs().max()) <= 1
    # 8 bits move the texture by up to two texels, a ramp by less than a hundredth.
    assert float((made.real - grid).abs().max()) * size / 2 < 0.01


def test_values_are_those_of_the_formula() -> None:
    generator = torch.Generator().manual_seed(2)
    start = torch.randint(-(2**29), 2**29, (3, 2), generator=generator, dtype=torch.int32)
    step = torch.randint(-(2**18), 2**18, (3, 2), generator=generator, dtype=torch.int32)
    made = Ramp(start, step).values(4, 5)
    for channel in range(3):
        (row, column), (down, right) = start[channel].tolist(), step[channel].tolist()
        for y in range(4):
            for x in range(5):
                wanted = (row + y * down) // 2**RAMP_BITS + (column + x * right) // 2**RAMP_BITS
                assert int(made[channel, y, x]) == wanted


@given(st.integers(0, 10**6), st.integers(1, 40), st.integers(1, 40), st.sampled_from([8, 12, 16]))
def test_planes_are_met_and_nothing_leaves_its_bits(
    seed: int, height: int, width: int, bits: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    base, down, right = torch.randn(3, 2, 1, 1, generator=generator).unbind(0)
    y, x = torch.linspace(-1, 1, height)[:, None], torch.linspace(-1, 1, width)
    plane = base + down * y + right * x
    made = quantize_coordinates(plane, bits)
    limit = 2 ** (bits - 1) - 1
    assert int(made.values.abs().max()) <= limit
    assert float(((made.real - plane) / made.scale[:, None, None]).abs().max()) <= 1.01
    if made.ramp is not None:
        assert torch.equal(made.values, made.ramp.values(height, width))


def test_what_does_not_rise_evenly_is_stored_by_texel() -> None:
    grid = normal_grid(32)[0]
    for bent in (grid.square(), grid + 0.01 * torch.randn(grid.shape), grid.flip(0) * grid):
        made = quantize_coordinates(bent, 12)
        assert made.ramp is None
        assert torch.equal(made.values, quantize_texel_bias(bent, 12).values)


def test_a_single_texel_off_the_plane_is_no_ramp() -> None:
    steps = normal_grid(16)[0] * 1000
    assert fit_ramp(steps, 1000) is not None
    steps[1, 7, 9] += 3
    assert fit_ramp(steps, 1100) is None
